"""Grammars: verbatim values are parts of the text; every other value has its type; nothing else can be written."""

import json
from calendar import isleap, monthrange
from functools import cache
from typing import Any

import pytest

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.constrained import Constraint
from lilliput.worlds.extraction.grammar import MOST_ENTRIES, PART_CHUNKS, constraint_of
from lilliput.worlds.extraction.source_text import SourceText
from lilliput.worlds.extraction.template import read_template

pytest.importorskip("llguidance")


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["Ada saw Bo in Oslo. He was 3."] * 3, TokenizerConfig(vocab_size=300, sample_bytes=1000))


def limit(template: Any, text: str) -> Constraint:
    return constraint_of(read_template(template), SourceText(text), tokenizer())


TEXT = 'Ada "the\n queen" Moss-Berg saw {"a": null} in São\tPaulo, naïve\\ly.'


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (" Ada", True), (' Ada "the queen"', True), ("the queen", True), (" Moss", True),
        ("Berg saw", True), (' queen"', True),
        (' {"a": null}', True), (" São Paulo", True), (" naïve\\ly", True),
        (" Ad", False), (" da", False), ("", False), (" ", False), (" Ada Moss", False), (" Paul", False),
        (" Bo", False), (" the\n queen", False), (" Sao Paulo", False), ("queen", False),
    ],
)  # fmt: skip
def test_a_verbatim_value_is_a_part_of_the_text_between_words(value: str, allowed: bool) -> None:
    made = limit({"v": "verbatim-string"}, TEXT)
    assert made.matches('{"v":' + json.dumps(value, ensure_ascii=False) + "}") == allowed
    assert made.matches('{"v":null}')


def test_a_text_without_words_or_with_a_single_word() -> None:
    none = limit({"v": "verbatim-string", "l": ["verbatim-string"], "n": "integer"}, " \n\t ")
    assert none.matches('{"v":null,"l":[],"n":3}')
    assert not none.matches('{"v":" x","l":[],"n":3}')
    single = limit({"v": "verbatim-string"}, "Bo")
    assert single.matches('{"v":" Bo"}')
    assert not single.matches('{"v":" Bo Bo"}')


def test_types_lists_and_keys() -> None:
    template = {'a "b"\\': "integer", "n": "number", "s": "string", "e": ["big {", 'a "q"'], "l": [{"x": "integer"}]}
    made = limit(template, "Bo")

    def fits(**changes: Any) -> bool:
        values = {'a "b"\\': 3, "n": -2.5, "s": " x y", "e": 'a "q"', "l": [{"x": 1}, {"x": None}], **changes}
        return made.matches(json.dumps(values, separators=(",", ":"), ensure_ascii=False))

    assert fits()
    assert fits(n=3, s=None, e=None, l=[])
    assert fits(s=' say "hi" \\ é')
    for wrong in (
        {"n": "3"},
        {"s": "x"},
        {"s": " "},
        {"e": "small"},
        {"l": [None]},
        {"l": None},
        {"l": [{}]},
        {"s": 1},
    ):
        assert not fits(**wrong), wrong
    assert fits(l=[{"x": 1}] * MOST_ENTRIES)
    assert not fits(l=[{"x": 1}] * (MOST_ENTRIES + 1))
    assert not made.matches('{"a \\"b\\"\\\\": 3,"n":1,"s":null,"e":null,"l":[]}')  # the form has no white space


def test_dates_are_exactly_those_of_the_calendar() -> None:
    made = limit({"d": "date"}, "Bo")

    def fits(text: str) -> bool:
        return made.matches('{"d":"' + text + '"}')

    for year in (1, 400, 1900, 2000, 2023, 2024):
        for month in range(1, 13):
            for day in (1, 28, 29, 30, 31):
                assert fits(f"{year:04}-{month:02}-{day:02}") == (day <= monthrange(year, month)[1]), (year, month, day)
        assert isleap(year) == fits(f"{year:04}-02-29")
    assert fits("1815")
    assert fits("1815-12")
    assert not any(map(fits, ("0000", "0000-02-29", "1815-13", "1815-00", "815", "1815-1", "")))


def test_a_part_has_a_longest_length() -> None:
    words = [f" w{number}" for number in range(150)]
    made = limit({"v": "verbatim-string"}, "".join(words))
    for start in range(150 - PART_CHUNKS + 1):
        assert made.matches('{"v":"' + "".join(words[start : start + PART_CHUNKS]) + '"}')
    for start in range(150 - 2 * PART_CHUNKS):
        assert not made.matches('{"v":"' + "".join(words[start : start + 2 * PART_CHUNKS + 1]) + '"}')
