"""Cohen's kappa beside values worked by hand, its interval beside the paper's formula, and who is compared."""

import math

import numpy as np
import pytest

from lilliput.base.errors import DataError
from lilliput.lab.labelling.agreement import agreement, cohens_kappa, wilson
from lilliput.lab.labelling.record import Record
from tests.lab.labelling.conftest import replies


def judged(counts: dict[tuple[str, str], int]) -> list[list[tuple[str, str]]]:
    return [[pair] for pair, number in counts.items() for _ in range(number)]


def rating(labeller: str, item: str, good: bool, **change: object) -> Record:
    values = {
        "event": "answer",
        "mode": "rate",
        "item": item,
        "labeller": labeller,
        "utc": "2030-01-01T00:00:00Z",
        "seconds": 2,
        "prompt": "One day",
        "candidates": replies("One day", 1),
        "shown": (0,),
        "answer": good,
    }
    return Record.model_validate({**values, **change})


def ranking(labeller: str, item: str, answer: tuple, **change: object) -> Record:
    count = sum(map(len, answer))
    candidates, shown = replies("One day", count), tuple(range(count))
    fields: dict = {"mode": "rank", "candidates": candidates, "shown": shown, "answer": answer}
    return rating(labeller, item, True, **{**fields, **change})


def test_kappa_by_hand() -> None:
    # Of 50 items both say good 20 times and bad 15 times: p_o = 0.7. The first says good 25 times and the second 30
    # times: p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5. So kappa = 0.2 / 0.5.
    found = cohens_kappa(judged({("good", "good"): 20, ("good", "bad"): 5, ("bad", "good"): 10, ("bad", "bad"): 15}))
    assert found.kappa == pytest.approx(0.4)
    assert (found.items, found.judgements, found.agreed, found.percent) == (50, 50, 35, 70)
    assert found.counts["bad", "good"] == 10


def test_kappa_of_three_labels_by_hand() -> None:
    # p_o = (4 + 3 + 2) / 12 = 0.75; first 5, 4, 3 of 12; second 5, 4, 3: p_e = (25 + 16 + 9) / 144.
    counts = {("a", "a"): 4, ("a", "b"): 1, ("b", "b"): 3, ("b", "c"): 1, ("c", "c"): 2, ("c", "a"): 1}
    chance = 50 / 144
    assert cohens_kappa(judged(counts)).kappa == pytest.approx((0.75 - chance) / (1 - chance))


def test_the_interval_is_that_of_fleiss_cohen_and_everitt() -> None:
    counts = {
        ("a", "a"): 53,
        ("a", "b"): 5,
        ("a", "c"): 2,
        ("b", "a"): 11,
        ("b", "b"): 14,
        ("b", "c"): 5,
        ("c", "c"): 10,
    }
    n = sum(counts.values())
    p = {pair: number / n for pair, number in counts.items()}
    rows = {k: sum(v for (i, _), v in p.items() if i == k) for k in "abc"}
    columns = {k: sum(v for (_, j), v in p.items() if j == k) for k in "abc"}
    same, chance = sum(p.get((k, k), 0) for k in "abc"), sum(rows[k] * columns[k] for k in "abc")
    kappa = (same - chance) / (1 - chance)
    # The three terms as the paper (Psychological Bulletin 72, 1969) prints them.
    first = sum(p.get((k, k), 0) * (1 - (rows[k] + columns[k]) * (1 - kappa)) ** 2 for k in "abc")
    second = (1 - kappa) ** 2 * sum(v * (columns[i] + rows[j]) ** 2 for (i, j), v in p.items() if i != j)
    third = (kappa - chance * (1 - kappa)) ** 2
    error = math.sqrt((first + second - third) / (n * (1 - chance) ** 2))
    found = cohens_kappa(judged(counts))
    assert found.interval == pytest.approx((kappa - 1.96 * error, kappa + 1.96 * error))


def test_the_interval_holds_the_true_kappa_as_often_as_it_claims() -> None:
    rng, shares = np.random.default_rng(0), np.array([0.45, 0.1, 0.15, 0.3])
    pairs = [("g", "g"), ("g", "b"), ("b", "g"), ("b", "b")]
    chance = 0.55 * 0.6 + 0.45 * 0.4
    true = (0.75 - chance) / (1 - chance)
    inside = 0
    for _ in range(300):
        found = cohens_kappa(judged(dict(zip(pairs, map(int, rng.multinomial(150, shares)), strict=True))))
        assert found.interval is not None
        inside += found.interval[0] <= true <= found.interval[1]
    assert 0.91 <= inside / 300 <= 0.985


def test_pairs_of_one_ranking_count_as_dependent() -> None:
    items = judged({("first", "first"): 12, ("second", "first"): 6, ("second", "second"): 12, ("first", "second"): 5})
    alone = cohens_kappa(items)
    tripled = cohens_kappa([item * 3 for item in items])
    assert tripled.kappa == pytest.approx(alone.kappa)
    assert tripled.interval == pytest.approx(alone.interval)
    assert tripled.percent_interval == pytest.approx(alone.percent_interval)
    assert (tripled.items, tripled.judgements) == (35, 105)


def test_scikit_learn_gives_the_same_kappa() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    one = rng.choice(["first", "second", "equal"], 80)
    other = np.where(rng.random(80) < 0.6, one, rng.choice(["first", "second", "equal"], 80))
    found = cohens_kappa([[(str(a), str(b))] for a, b in zip(one, other, strict=True)])
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(one, other))


def test_kappa_is_not_defined_where_both_always_say_the_same_word() -> None:
    found = cohens_kappa(judged({("good", "good"): 9}))
    assert (found.kappa, found.interval, found.percent) == (None, None, 100)


def test_full_agreement_of_a_few_items_is_not_certain() -> None:
    few, many = (cohens_kappa(judged({("good", "good"): n, ("bad", "bad"): n})) for n in (3, 300))
    assert few.kappa == many.kappa == 1
    assert few.interval is not None
    assert many.interval is not None
    assert few.interval[0] < 0.5 < 0.97 < many.interval[0]


def test_the_interval_of_a_share() -> None:
    # Worked by hand for 8 of 10: middle (0.8 + 0.19208) / 1.38416, half 1.96 / 1.38416 * sqrt(0.016 + 0.009604).
    assert wilson(0.8, 10) == pytest.approx((0.49016, 0.94332), abs=2e-5)
    assert wilson(1.0, 5)[1] == 1.0
    assert wilson(0.0, 5)[0] == 0.0


def test_labellers_are_compared_on_the_items_of_both() -> None:
    records = [
        *(rating("ada", f"item {n}", n % 2 == 0) for n in range(6)),
        *(rating("ben", f"item {n}", n % 3 == 0) for n in range(1, 8)),
    ]
    (row,) = agreement(records)
    assert (row["mode"], row["labellers"], row["items"]) == ("rate", ["ada", "ben"], 5)
    # items 1 to 5: ada bad good bad good bad, ben bad bad good bad bad
    assert row["counts"] == {"bad": {"bad": 2, "good": 1}, "good": {"bad": 2}}
    assert row["agreed"] == 2


def test_rankings_are_compared_by_their_pairs_and_not_by_places() -> None:
    records = [
        ranking("ada", "one", ((0,), (1,), (2,)), shown=(2, 1, 0)),
        ranking("ben", "one", ((1,), (0, 2)), shown=(0, 1, 2)),
    ]
    (row,) = agreement(records)
    # pairs 0-1, 0-2, 1-2: ada first first first; ben second equal first
    assert row["counts"] == {"first": {"second": 1, "equal": 1, "first": 1}}
    assert (row["items"], row["judgements"]) == (1, 3)


def test_undone_answers_other_modes_and_other_replies_are_left_out() -> None:
    other = replies("One day", 1, model="x")[0].model_copy(update={"text": " went"})
    records = [
        rating("ada", "one", True),
        rating("ben", "one", True),
        rating("ada", "two", True),
        rating("ben", "two", False, candidates=(other,)),
        rating("ada", "three", False),
        rating("ben", "three", False),
        rating("ben", "three", False, event="undo", answer=None),
        ranking("ben", "four", ((0,), (1,))),
    ]
    (row,) = agreement(records)
    assert (row["items"], row["different"]) == (1, 1)


def test_three_labellers_are_three_pairs() -> None:
    records = [rating(name, f"{n}", n % k == 0) for k, name in enumerate(("ada", "ben", "eve"), 1) for n in range(6)]
    assert [row["labellers"] for row in agreement(records)] == [["ada", "ben"], ["ada", "eve"], ["ben", "eve"]]


def test_one_labeller_agrees_with_nobody() -> None:
    with pytest.raises(DataError, match="no two labellers"):
        agreement([rating("ada", "one", True), rating("ben", "two", True)])
    with pytest.raises(DataError, match="no item"):
        cohens_kappa([])
