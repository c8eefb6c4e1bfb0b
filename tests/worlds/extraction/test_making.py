"""Made examples: their values fill their templates and are in their texts; files of examples are read and refused."""

import json
from pathlib import Path
from random import Random

import pytest

from lilliput.base.errors import ConfigError, DataError
from lilliput.worlds.extraction.biographies import biography
from lilliput.worlds.extraction.biography_words import GIVEN
from lilliput.worlds.extraction.entities import entities_of
from lilliput.worlds.extraction.making import (
    KINDS,
    MAKERS,
    Example,
    Maker,
    completion_of,
    make_examples,
    makers_of,
    read_examples,
    row_of,
    write_examples,
)
from lilliput.worlds.extraction.source_text import SourceText
from lilliput.worlds.extraction.template import empty, misfits, read_template
from lilliput.worlds.extraction.three_biographies import RIGHT, TEMPLATE, TEXTS


@pytest.mark.parametrize("kinds", [KINDS, ("persona", "diary")])
@pytest.mark.parametrize("held_out", [False, True])
def test_made_examples_are_right_and_depend_on_their_number_alone(held_out: bool, kinds: tuple[str, ...]) -> None:
    every = list(make_examples(makers_of(kinds), 60, seed=3, held_out=held_out))
    assert every == list(make_examples(makers_of(kinds), 60, seed=3, held_out=held_out))
    assert every[:9] == list(make_examples(makers_of(kinds), 9, seed=3, held_out=held_out))
    filled = 0
    for each in every:
        assert list(misfits(each.template, each.values)) == []
        written = json.loads(completion_of(each))  # raises where a verbatim value is not in the text
        assert list(written) == [name for name, _ in each.template.fields]
        filled += each.values != empty(each.template)
    assert filled > 50


def test_a_word_of_a_value_has_the_space_that_it_has_in_the_text() -> None:
    made = Example(
        'Ada  Moss ("Bo") ran.',
        read_template({"a": "verbatim-string", "b": "verbatim-string", "s": "string"}),
        {"a": "Ada Moss", "b": "Bo", "s": "x"},
    )
    turns = row_of(made)["messages"]
    assert turns[0]["content"] == '{"a":"verbatim-string","b":"verbatim-string","s":"string"}\n Ada Moss ("Bo") ran.'
    assert turns[1]["content"] == '{"a":" Ada Moss","b":"Bo","s":" x"}'


def test_biographies_tell_what_they_know() -> None:
    lives = [biography(Random(number)) for number in range(150)]
    assert sum(it.born is None for _, it in lives) > 10
    for text, it in lives:
        known = [it.name, it.birthplace, it.profession, it.spouse, it.deathplace, it.parent, *it.towns]
        known += [*(it.children or ()), *it.languages, *(work["title"] for work in it.works)]
        assert all(any(True for _ in SourceText(text).spans(each)) for each in known if each)
        if it.children is not None:
            assert it.child_count == len(it.children)


def test_held_out_names_are_not_those_of_training() -> None:
    def names(held_out: bool) -> set[str]:
        found = [biography(Random(number), held_out)[1].name.split()[0] for number in range(250)]
        return {name for name in found if name in GIVEN["she"] or name in GIVEN["he"]}

    assert len(names(True)) > 20
    assert not names(True) & names(False)


def test_the_three_biographies_have_right_values() -> None:
    template = read_template(TEMPLATE)
    for text, values in zip(TEXTS, RIGHT, strict=True):
        assert json.loads(completion_of(Example(text, template, values)))


def test_examples_are_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    every = list(make_examples(makers_of(KINDS), 12))
    assert write_examples(every, file) == 12
    assert read_examples([file]) == every


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "Bo", "template": {"a": "strin"}, "values": {}}', "'strin' is no type (did you mean 'string'?)"),
        ('{"text": "Bo", "template": {"a": "integer"}, "values": {"a": "3"}}', 'a is "3", not integer'),
        (
            '{"text": "Bo", "template": {"a": "verbatim-string"}, "values": {"a": "Ida"}}',
            '"Ida" is no part of its text',
        ),
        ('{"text": "Bo", "values": {}}', "is no example"),
        ('{"text": 3, "template": {"a": "integer"}, "values": {"a": 3}}', "is no example"),
        ("[1]", "is no example"),
        ("{", "is no example"),
    ],
)
def test_a_wrong_example_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_text('{"text": "Bo", "template": {"a": "integer"}, "values": {"a": null}}\n' + line + "\n")
    with pytest.raises(DataError) as caught:
        read_examples([file])
    assert f"{file}:2" in caught.value.message
    assert message in caught.value.message


def test_entities_of_a_tagged_file(tmp_path: Path) -> None:
    assert entities_of(["a", "b", "c", "a"], ["B-x", "B-x", "I-x", "B-x"]) == {"x": ["a", "b c"]}
    assert entities_of(["a", "b", "c"], ["I-x", "I-y", "O"]) == {"x": ["a"], "y": ["b"]}
    file = tmp_path / "tags.conll"
    file.write_text("".join(f"Ida{n}\tB-person\nsaw\tO\nOslo\tB-place\n\n" for n in range(20)))
    trained = list(make_examples(makers_of((), [str(file)]), 60))
    held = list(make_examples(makers_of((), [str(file)]), 60, held_out=True))
    assert {each.text for each in held} == {"Ida0 saw Oslo", "Ida10 saw Oslo"}
    assert not {each.text for each in trained} & {each.text for each in held}
    assert any(each.values == {"person": [each.text.split()[0]], "place": ["Oslo"]} for each in trained)
    assert all(completion_of(each) for each in trained)
    with pytest.raises(ConfigError, match="--tagged FILE"):
        makers_of(["entities"])
    with pytest.raises(ConfigError, match="did you mean 'biography'"):
        makers_of(["biografy"])


def test_a_further_kind_is_a_class() -> None:
    class Greetings(Maker):
        kind: str = "greeting"

        def example(self, random: Random, held_out: bool) -> Example:
            name = random.choice(("Ida", "Bo"))
            return Example(f"Hello {name}!", read_template({"who": "verbatim-string"}), {"who": name})

    name = "greeting of a test"
    MAKERS.add(name)(Greetings)
    try:
        (made,) = make_examples([MAKERS[name]()], 1)
        assert completion_of(made) == f'{{"who":" {made.values["who"]}"}}'
    finally:
        del MAKERS._entries[name]
