"""Templates: types, choices, lists and objects are read; mistakes are named with the text to type."""

import json
from pathlib import Path
from typing import Any

import pytest

from lilliput.base.errors import ConfigError
from lilliput.worlds.extraction.template import (
    DEEPEST,
    Leaf,
    ListOf,
    Object,
    empty,
    is_date,
    misfits,
    plain,
    read_template,
)

GIVEN: dict[str, Any] = {
    "name": "verbatim-string",
    'a "quoted" key': "string",
    "size": ["small", "large"],
    "colours": [["red", "blue"]],
    "children": [{"name": "verbatim-string", "age": "integer"}],
    "birth": {"date": "date", "weight": "number"},
}


def test_reads_json_a_file_and_an_object(tmp_path: Path) -> None:
    (tmp_path / "template.json").write_text(json.dumps(GIVEN))
    read = read_template(GIVEN)
    assert read == read_template(json.dumps(GIVEN)) == read_template(tmp_path / "template.json")
    assert plain(read) == GIVEN
    kinds = dict(read.fields)
    assert kinds["size"] == Leaf("enum", ("small", "large"))
    assert kinds["colours"] == ListOf(Leaf("enum", ("red", "blue")))
    assert isinstance(kinds["birth"], Object)
    assert empty(read) == {
        "name": None, 'a "quoted" key': None, "size": None, "colours": [], "children": [],
        "birth": {"date": None, "weight": None},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (
            '{"name": "verbatim"}',
            "'verbatim' is no type (did you mean 'verbatim-string'?)",
            "a leaf is verbatim-string",
        ),
        ('{"a": {"b": "strng"}}', "at 'a' at 'b': 'strng' is no type (did you mean 'string'?)", "a leaf is"),
        ('{"a": "string", "a": "date"}', 'the key "a" twice', "a name of its own"),
        ('{"a": 3}', "3 is no type", "a leaf is"),
        ('{"a": []}', "[] is no type", "a leaf is"),
        ('{"a": {}}', "at 'a' has no fields", "name the fields"),
        ("{}", "has no fields", "name the fields"),
        ('["string"]', "is no JSON object", "name the fields"),
        ('{"a": ["x", "x"]}', "differ from each other", "a leaf is"),
        ('{"a": ["string", "date"]}', "the choice 'string' is the name of a type", "one type"),
        ('{"a": [["string"]]}', "is a list of lists", "objects"),
        ('{"a": "string"', "is not valid JSON", "a leaf is"),
        ("nowhere.json", "nowhere.json cannot be read", "--template"),
    ],
)
def test_a_mistake_is_named_with_what_to_type(given: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_template(given)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_deep_nesting_is_allowed_to_a_bound() -> None:
    def nested(levels: int) -> Any:
        return {"a": nested(levels - 1)} if levels else "string"

    assert plain(read_template(nested(DEEPEST))) == nested(DEEPEST)
    with pytest.raises(ConfigError, match="levels deep"):
        read_template(nested(DEEPEST + 1))
    with pytest.raises(ConfigError, match="levels deep"):
        read_template('{"a":' * 100_000)


def test_misfits_names_each_value_that_does_not_fill() -> None:
    right = {
        "name": "Bo", 'a "quoted" key': None, "size": "small", "colours": ["red"],
        "children": [{"name": None, "age": 3}], "birth": {"date": "1815-12", "weight": 3.5},
    }  # fmt: skip
    read = read_template(GIVEN)
    assert list(misfits(read, right)) == []
    assert list(misfits(read, empty(read))) == []
    for change, named in (
        ({"size": "huge"}, 'size is "huge", not enum'),
        ({"colours": ["red", None]}, "colours[1] is null"),
        ({"children": [{"name": "x", "age": "3"}]}, "children[0].age"),
        ({"children": [{"name": "x"}]}, "children[0] has not the template's fields"),
        ({"birth": {"date": "1815-02-30", "weight": True}}, "birth.date"),
        ({"name": " "}, "name is"),
    ):
        assert named in " ".join(misfits(read, {**right, **change})), change


def test_dates_are_those_of_the_calendar() -> None:
    assert all(map(is_date, ("1815", "1815-12", "2024-02-29", "2000-02-29", "0001-01-01")))
    assert not any(map(is_date, ("1900-02-29", "2023-04-31", "2023-13", "0000", "815", "1815-1-2", "")))
