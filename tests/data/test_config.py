"""The `data` and `tokenizer` sections: any registered source, errors that name the key, and back to the same YAML."""

import pytest
import yaml

from lilliput.base.config import override, validate
from lilliput.base.errors import ConfigError
from lilliput.data.config import DataConfig, TokenizerConfig
from lilliput.data.source import SOURCES
from lilliput.data.steps import Length, Normalise
from lilliput.data.story import Stories
from lilliput.data.text import Text

RECIPE = """
sources:
- kind: text
  weight: 2.5
  paths: [a.txt, 'b/*.txt']
- kind: story
steps:
- kind: length
  min_words: 3
"""


def test_sources_and_steps_from_yaml_and_back():
    values = yaml.safe_load(RECIPE)
    config = validate(DataConfig, values, "recipe.yaml")
    assert config.sources == (Text(weight=2.5, paths=("a.txt", "b/*.txt")), Stories())
    assert config.steps == (Length(min_words=3),)
    assert config.differences() == values
    assert validate(DataConfig, config.model_dump(mode="json"), "resolved") == config


def test_defaults_are_the_story_world_and_normalisation():
    assert DataConfig().sources == (Stories(),)
    assert DataConfig().steps == (Normalise(),)
    assert DataConfig().differences() == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"sources": [{"kind": "text", "pathz": ["a"]}]},
            r"'sources.0'.*unknown key 'pathz' \(did you mean 'paths'\?\)",
        ),
        ({"sources": ["story", {"kind": "txt"}]}, r"'sources.1'.*unknown data source 'txt' \(did you mean 'text'\?\)"),
        ({"sources": [{"paths": ["a"]}]}, r"'sources.0': a data source is written '\{kind: NAME"),
        ({"sources": [{"kind": "story", "stories": "many"}]}, r"'sources.0'.*'stories': .*integer.*given 'many'"),
        ({"sources": []}, "no source is given"),
        ({"sources": {"kind": "text"}}, "give a list"),
        ({"steps": ["normalize"]}, r"unknown curation step 'normalize' \(did you mean 'normalise'\?\)"),
        ({"errors": "ignore"}, "'errors'"),
        ({"validation_fraction": 1}, "'validation_fraction'"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        validate(DataConfig, values, "recipe.yaml")


def test_the_json_schema_is_the_choice_of_all_sources():
    schema = DataConfig.model_json_schema()
    choices = schema["properties"]["sources"]["items"]["anyOf"]
    names = {choice["properties"]["kind"]["const"] for choice in choices}
    assert names == set(SOURCES)
    assert all(choice["additionalProperties"] is False for choice in choices)
    assert {"story", "text", "jsonl", "csv", "parquet", "tinystories_json", "hub"} <= names


def test_an_override_reaches_into_the_list_of_sources():
    values = {"data": {"sources": [{"kind": "text", "paths": ["a"]}]}}
    changed = override(values, [r'data.sources.0.separator="\n"', "data.sources.0.weight=2"])
    assert changed["data"]["sources"] == [{"kind": "text", "paths": ["a"], "separator": "\n", "weight": 2}]
    assert values == {"data": {"sources": [{"kind": "text", "paths": ["a"]}]}}
    with pytest.raises(ConfigError, match="'1' is not one of the 1 entries"):
        override(values, ["data.sources.1.weight=2"])


def test_tokenizer_options_are_checked():
    with pytest.raises(ConfigError, match="'pattern'"):
        validate(TokenizerConfig, {"pattern": "gpt2"}, "recipe.yaml")
    with pytest.raises(ConfigError, match="'vocab_size'"):
        validate(TokenizerConfig, {"vocab_size": 0}, "recipe.yaml")


def test_a_new_source_is_one_class(tmp_path, monkeypatch):
    """What the cost of an addition is: the class below is all that a source takes."""
    from collections.abc import Iterator
    from typing import Literal

    from lilliput.data.document import Document
    from lilliput.data.source import Errors, Source, hash_of

    class Numbers(Source):
        """Counts to `last`."""

        kind: Literal["numbers"] = "numbers"
        last: int = 3

        def documents(self, errors: Errors = "strict") -> Iterator[Document]:
            for number in range(self.last):
                yield Document(f"The number {number}.", f"numbers:{number}")

        def fingerprint(self) -> str:
            return hash_of("numbers", self.last)

        def describe(self) -> str:
            return f"numbers: {self.last} numbers · {self.fingerprint()[:12]}"

    assert "text" in SOURCES  # fills the registry before it is replaced
    monkeypatch.setattr(SOURCES, "_entries", {**SOURCES._entries, "numbers": Numbers})
    config = validate(DataConfig, {"sources": [{"kind": "numbers", "last": 2}]}, "recipe.yaml")
    assert [document.text for document in config.sources[0].documents()] == ["The number 0.", "The number 1."]
    assert config.differences() == {"sources": [{"kind": "numbers", "last": 2}]}
