"""The instrument "pairs": every kind has its controls, and only what beats untrained weights is a finding."""

import json
from dataclasses import replace

import pytest

from lilliput.lens.pairs_section import Pairs
from lilliput.objectives.masked import Masked
from lilliput.objectives.reversed import Reversed
from lilliput.storybook.minimal_pairs import MAKERS, QUESTIONS
from tests.lens.story_subject import generator, subject


def scores(share: float, low: float, high: float) -> dict[str, float]:
    return {"share": share, "low": low, "high": high, "difference": 1.0, "pairs": 32}


@pytest.mark.parametrize("objective", [None, Reversed()])
def test_every_kind_has_its_controls(objective):
    made = replace(subject(), generator=generator(objective=objective), sibling=generator(seed=1, objective=objective))
    found = Pairs().measure(made)
    assert json.loads(json.dumps(found)) == found
    assert found["forwards"] == (objective is None)
    assert found["kinds"].keys() == MAKERS.keys()
    for one in found["kinds"].values():
        assert one["scores"].keys() == {"model", "words in random order", "untrained", "another seed"}
        assert one["scores"]["model"]["low"] <= one["scores"]["model"]["share"] <= one["scores"]["model"]["high"]
    section = Pairs().section(found)
    assert all(question in section for question in QUESTIONS.values())
    assert ("reads backwards" in section) == (objective is not None)
    assert Pairs().comparable(found).keys() == {
        f"right answers: {question} ({kind})" for kind, question in QUESTIONS.items()
    }


def test_a_kind_that_beats_untrained_weights_is_a_finding():
    plain = scores(0.5, 0.33, 0.66)
    found = {
        "forwards": True,
        "kinds": {
            "hero": {"example": {}, "scores": {"model": scores(0.97, 0.84, 0.99), "untrained": plain}},
            "want": {"example": {}, "scores": {"model": scores(0.7, 0.6, 0.8), "untrained": plain}},
            "gender": {"why": "the tokenizer has too few words"},
        },
    }
    assert Pairs().findings(found) == [
        "Who is the hero? The model prefers the right word in 97% (84% to 99%) of answers, and with untrained weights "
        "in 50% (33% to 66%)."
    ]
    figures = Pairs().comparable(found)
    assert [one.value for one in figures.values()] == [0.97, 0.7]
    assert [one.control for one in figures.values()] == [0.5, 0.5]


def test_a_kind_without_words_is_named_with_its_reason():
    found = Pairs().measure(subject())
    found["kinds"]["gender"] = {"why": "the tokenizer has too few words"}
    section = Pairs().section(found)
    assert "Not asked: She or he? the tokenizer has too few words." in section
    assert "(gender)" not in section


def test_models_that_do_not_fit_are_refused():
    refuses = Pairs().refuses
    assert refuses(subject()) == ""
    assert "generates no text" in refuses(replace(subject(), generator=generator(objective=Masked())))
