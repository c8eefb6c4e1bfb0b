"""Story parts: paired changes by hand, and stories of an ablated model."""

import pytest

from lilliput.lens.ablation import Reference
from lilliput.lens.components import whole_layer
from lilliput.lens.story_parts import Asked, ablated_scores, means, story_change, story_scores, tells_stories
from tests.lens.hand_made import learned, rows_of, small


def scores(**parts: float | None) -> dict[str, float | None]:
    return {"name": 1.0, "pronoun": 1.0, "want": None, "ending": 0.5, "overall": 0.5, "words": 1.0} | parts


def test_changes_are_paired_by_story() -> None:
    before = [scores(), scores(name=0.5), scores(pronoun=None)]
    after = [scores(name=0.0), scores(name=0.0, pronoun=None), scores()]
    found = story_change(before, after)
    assert found["name"]["mean"] == pytest.approx(-0.5)
    assert found["name"]["low"] < -0.5 < found["name"]["high"]
    assert (found["pronoun"]["count"], found["pronoun"]["lost"]) == (1, 1)
    assert (found["want"]["mean"], found["want"]["count"]) == (None, 0)
    assert found["ending"]["mean"] == found["ending"]["low"] == found["ending"]["high"] == 0
    assert means(before)["name"] == pytest.approx(2.5 / 3)
    assert means(before)["want"] is None


def test_the_same_stories_without_a_change_and_others_with_one() -> None:
    generator = learned()
    asked = Asked(count=3, max_tokens=20)
    before = story_scores(generator, asked)
    assert len(before) == 3
    assert ablated_scores(generator, [], "zero", None, asked) == before
    reference = Reference(generator.model, rows_of(generator)[:, :-1])
    parts = [whole_layer(generator.model, layer) for layer in range(2)]
    assert ablated_scores(generator, parts, "mean", reference, asked) != before
    assert story_scores(generator, asked) == before


def test_a_model_of_other_texts_and_a_short_context_have_no_stories() -> None:
    assert story_scores(small(), Asked(count=2)) == []
    assert not tells_stories([])
    assert not tells_stories([scores(words=0.1), scores(words=None)])
    assert tells_stories([scores()])
