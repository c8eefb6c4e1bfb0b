"""The order in which replies are shown: recorded, repeatable, and free of any information about the replies."""

from collections import Counter
from itertools import permutations

import pytest

from lilliput.base import seeds
from lilliput.lab.labelling.figures import figures
from lilliput.lab.labelling.record import order, pairs
from lilliput.lab.labelling.store import read
from tests.lab.labelling.conftest import Labelling


def test_the_recorded_seed_gives_the_recorded_order(labelling: Labelling) -> None:
    session = labelling.session(samples=4)
    present = session.present()
    assert present is not None
    session.answer(present.item.key, [[0], [1, 2, 3]])
    (record,) = read(labelling.path)
    assert record.shown == tuple(seeds.generator(record.order_seed, "shown").permutation(4))
    assert present.replies == tuple(record.candidates[number].text for number in record.shown)
    assert record.answer == ((record.shown[0],), tuple(sorted(record.shown[1:])))


def test_every_order_is_equally_likely_and_says_nothing_of_the_reply() -> None:
    counts = Counter(order(0, f"item {n}", "ada", 3)[1] for n in range(6000))
    assert set(counts) == set(permutations(range(3)))
    # Chi-square with 5 degrees of freedom: 20.5 is passed by chance once in a thousand.
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5


def test_labellers_and_seeds_have_orders_of_their_own() -> None:
    of = {(seed, name): [order(seed, f"item {n}", name, 2)[1] for n in range(64)] for seed in (0, 1) for name in "ab"}
    assert len({tuple(orders) for orders in of.values()}) == 4
    agreeing = sum(one == other for one, other in zip(of[0, "a"], of[0, "b"], strict=True))
    assert 16 < agreeing < 48
    assert order(3, "item", "ada", 4) == order(3, "item", "ada", 4)


def test_pressing_one_key_all_the_time_prefers_no_candidate(labelling: Labelling) -> None:
    prompts = [f"Prompt {n}" for n in range(60)]
    session = labelling.session(prompts=prompts)
    while (present := session.present()) is not None:
        session.answer(present.item.key, [[0], [1]])
    records = read(labelling.path)
    best = Counter(record.answer[0][0] for record in records)  # type: ignore[index, union-attr]
    assert min(best[0], best[1]) > 15
    assert figures(records)["first_places"] == [60, 0, 0, 0]  # and the habit shows in the report


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        (((2,), (0,), (1,)), [(2, 0), (2, 1), (0, 1)]),
        (((2,), (0, 1)), [(2, 0), (2, 1)]),
        (((0, 1, 2),), []),
        (((0, 3), (1, 2)), [(0, 1), (0, 2), (3, 1), (3, 2)]),
    ],
)
def test_every_ordered_pair_of_a_ranking(ranking: tuple, expected: list) -> None:
    assert pairs(ranking) == expected
