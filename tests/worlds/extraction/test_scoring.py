"""Scores: leaves agree by their type, and entries of lists are matched so that most agree."""

from itertools import permutations
from random import Random

import pytest

from lilliput.worlds.extraction.scoring import Score, score
from lilliput.worlds.extraction.template import empty, read_template

pytest.importorskip("scipy")
NODE = read_template(
    {"n": "verbatim-string", "s": "string", "k": "integer", "l": [{"x": "verbatim-string", "y": "integer"}]}
)


def test_equal_values_score_one_and_nothing_scores_one() -> None:
    values = {"n": "Bo", "s": "a b", "k": 3, "l": [{"x": "c", "y": None}]}
    assert score(NODE, values, values) == Score(4.0, 4, 4)
    none = score(NODE, empty(NODE), empty(NODE))
    assert (none.f1, none.precision, none.recall) == (1.0, 1.0, 1.0)


def test_leaves_by_type() -> None:
    right = {"n": "Bo Ek", "s": "a big dog", "k": 3, "l": []}
    found = score(NODE, {"n": "Bo  Ek", "s": "a big cat", "k": None, "l": [{"x": "z", "y": 1}]}, right)
    assert found.found == 4
    assert found.right == 3
    assert found.agree == pytest.approx(1 + 2 * 6 / 18)  # "a big " and no letter of cat
    assert score(NODE, {**right, "n": "Bo E"}, right).agree == 2


def test_lists_are_matched_whatever_their_order() -> None:
    random = Random(0)
    node = read_template({"l": [{"x": "integer", "y": "integer"}]})
    for _ in range(30):
        one, other = (
            [{"x": random.randrange(3), "y": random.randrange(3)} for _ in range(random.randrange(5))] for _ in range(2)
        )
        few, many = sorted((one, other), key=len)
        best = max(
            sum((a["x"] == b["x"]) + (a["y"] == b["y"]) for a, b in zip(few, chosen, strict=True))
            for chosen in permutations(many, len(few))
        )
        found = score(node, {"l": one}, {"l": other})
        assert found == Score(best, 2 * len(one), 2 * len(other))
