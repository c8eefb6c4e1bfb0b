"""The instrument "knows" on a model that learned a text by heart, beside its controls."""

from dataclasses import replace

from lilliput.lens.instrument import INSTRUMENTS
from tests.lens.hand_made import seen, subject


def test_more_context_helps_and_controls_are_worse() -> None:
    found, drawn = seen(INSTRUMENTS["knows"](), subject())
    losses = {one["tokens"]: one for one in found["contexts"]}
    assert losses[0]["model"]["low"] > losses[4]["model"]["high"]
    assert losses[0]["model"]["mean"] > found["whole"]["mean"]
    for control in (losses[4]["untrained"], found["shuffled"]):
        assert control["low"] > found["whole"]["high"]
    assert found["shuffled"]["more"]["low"] > 0
    grams = [one["model"]["mean"] for one in found["ngrams"]]
    assert len(grams) == 4
    assert grams[0] > grams[1] > grams[2]
    for text in (
        "the last token",
        "the whole text so far",
        "trigram",
        "untrained weights",
        "in random order",
        "tokens 5 to 8",
    ):
        assert text in drawn


def test_without_training_text_there_are_no_ngrams() -> None:
    found, drawn = seen(INSTRUMENTS["knows"](), replace(subject(), train=None))
    assert found["ngrams"] == []
    assert "trigram" not in drawn
