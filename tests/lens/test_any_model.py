"""Every instrument on models that differ from the usual one: backwards, and with a context of 32 tokens."""

from collections.abc import Mapping
from typing import Any

import pytest

from lilliput.lens.instrument import INSTRUMENTS, Subject
from lilliput.lens.look import plain
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.reversed import Reversed
from tests.lens.subjects import subject
from tests.model.families import FAMILIES, PATTERNED

SLOW = {"features"}
"""Instruments that train for seconds; test_features.py measures with them."""
RUN = {"forming": "belongs to no run"}


def measured(made: Subject, name: str) -> Mapping[str, Any]:
    assert INSTRUMENTS[name]().refuses(made) == ""
    return plain(INSTRUMENTS[name]().measure(made))


@pytest.mark.parametrize("objective", [None, Reversed(by="word"), Reversed(by="token")])
@pytest.mark.parametrize("name", sorted({*INSTRUMENTS} - SLOW))
def test_it_measures_in_32_tokens_and_in_both_directions(
    objective: ObjectiveConfig | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lilliput.lens.patching_section.reads_names", lambda *given: True)  # random weights read none
    made = subject(objective=objective, context_length=32, with_sibling=True)
    if name in RUN:
        assert RUN[name] in INSTRUMENTS[name]().refuses(made)
        return
    found, instrument = measured(made, name), INSTRUMENTS[name]()
    assert "<" in instrument.section(found)
    assert all(isinstance(line, str) for line in instrument.findings(found))
    assert all(one.value is not None for one in instrument.comparable(found).values())


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in PATTERNED])
@pytest.mark.parametrize("name", sorted({*INSTRUMENTS} - SLOW))
def test_without_a_pattern_it_refuses_by_name_or_measures(family: str, name: str, monkeypatch) -> None:
    monkeypatch.setattr("lilliput.lens.patching_section.reads_names", lambda *given: True)
    made, instrument = subject(family, context_length=32, with_sibling=True), INSTRUMENTS[name]()
    if instrument.patterns:
        layers = {"own_gated_delta": "layers 0, 1", "own_hybrid": "layers 0"}[family]
        wanted = f"it needs attention patterns, and {layers} (attention=gated_delta) have none"
        assert instrument.refuses(made) == wanted
        return
    found = measured(made, name)
    assert "<" in instrument.section(found)
    assert isinstance(instrument.findings(found), list)


def test_instruments_that_read_patterns_say_so() -> None:
    assert {name for name in INSTRUMENTS if INSTRUMENTS[name].patterns} == {
        "attention", "decided", "forming", "heads", "matched", "walkthrough",
    }  # fmt: skip
