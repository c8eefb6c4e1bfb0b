"""The instrument "matters" on a model that learned a text by heart."""

from dataclasses import replace
from typing import Any

import pytest

from lilliput.lens import critical_section
from lilliput.lens.instrument import INSTRUMENTS
from tests.lens.hand_made import learned, seen, subject


def test_it_ranks_draws_and_has_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(critical_section, "STORIES", 3)
    monkeypatch.setattr(critical_section, "tells_stories", bool)
    instrument = INSTRUMENTS["matters"]()
    found, drawn = seen(instrument, replace(subject(), sibling=learned(1)))
    means = [one["mean"] for one in found["components"]]
    assert len(means) == 2 * 2 + 2
    assert means == sorted(means, reverse=True)
    assert means[0] > found["controls"]["head"]["mean"]
    assert means[0] > 10 * abs(found["untrained"]["mean"])
    assert len(found["pairs"]) == 5 * 4 / 2
    assert set(found["shares"]) == {"this model", "the other seed"}
    assert found["stories"]["count"] == 3
    for text in ("head 1.1", "MLP 0", "Holm", "random heads", "the other seed", "without random units"):
        assert text in drawn


def test_a_model_without_stories_has_no_such_table() -> None:
    instrument = INSTRUMENTS["matters"]()
    found = instrument.measure(replace(subject(), rows=subject().rows[:3]))
    once_more = instrument.measure(replace(subject(), rows=subject().rows[:3]))
    assert found == once_more
    assert "Stories without a part" not in instrument.section({**found, "stories": None})


def test_a_part_of_a_story_that_only_one_component_keeps_is_a_finding() -> None:
    def change(mean: float) -> dict[str, Any]:
        figure = {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "count": 4, "lost": 0}
        return dict.fromkeys(("name", "pronoun", "want", "ending", "overall"), figure)

    stories = {"without": {"head 3.0": {**change(-0.1), "name": change(-0.9)["name"]}, "MLP 0": change(0.0)}}
    first = {"name": "head 3.0", "kind": "head", "critical": True, **change(0.5)["name"]}
    found = {"components": [first], "controls": {"head": change(0.1)["name"]}}
    given = {**found, "stories": {**stories, "random": change(-0.1)}}
    lines = INSTRUMENTS["matters"]().findings(given)
    assert len(lines) == 2
    assert "Without head 3.0, the hero's name is lost: the score changes by -0.90 (-1.00 to -0.80)" in lines[1]
    assert len(INSTRUMENTS["matters"]().findings({**given, "stories": None})) == 1
