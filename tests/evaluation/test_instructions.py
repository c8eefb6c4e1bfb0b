"""The share of requests that are done orders its controls: true replies, shuffled sentences, shuffled words."""

import random
from collections.abc import Callable

from lilliput.data.examples import Example
from lilliput.data.story_tasks import Instructions
from lilliput.evaluation.instructions import _reply, summary
from lilliput.storybook.vocabulary import sentences


def _sentences(text: str, rng: random.Random) -> str:
    parts = sentences(text)
    rng.shuffle(parts)
    return " ".join(parts)


def _words(text: str, rng: random.Random) -> str:
    parts = text.split()
    rng.shuffle(parts)
    return " ".join(parts)


def test_controls_are_ordered() -> None:
    examples: list[Example] = [one.example for one in Instructions(count=150).documents() if one.example is not None]
    single = [one for one in examples if len(one.row["messages"]) == 2]

    def scores(change: Callable[[str, random.Random], str]) -> tuple[float, float]:
        rng = random.Random(0)
        texts = [change(one.row["messages"][-1]["content"], rng) for one in single]
        found = summary([_reply(one.columns, "", text, None) for one, text in zip(single, texts, strict=True)])
        assert found["replies"] == len(single)
        return found["done"], found["score"]

    true, shuffled, salad = scores(lambda text, _: text), scores(_sentences), scores(_words)
    assert true[0] > 0.95
    assert true[0] > shuffled[0] > salad[0]
    assert true[1] > shuffled[1] > salad[1]
    assert scores(lambda text, _: "")[0] == 0
