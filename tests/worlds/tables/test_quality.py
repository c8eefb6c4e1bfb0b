"""Figures of synthetic rows: each orders true rows, shuffled columns and copies, and equals a plain count."""

import numpy as np
import pytest

from lilliput.base.errors import ConfigError
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import Column, TableSchema
from lilliput.worlds.tables.evaluating import compare_tables
from lilliput.worlds.tables.leakage import Space, anonymity, area, copies, share_of
from lilliput.worlds.tables.page import page
from lilliput.worlds.tables.quality import detection, ks, pairs, shapes, worth
from lilliput.worlds.tables.time_quality import through_time

pytest.importorskip("sklearn")
SCHEMA = TableSchema(
    columns={"x": Column(kind="number"), "y": Column(kind="number"), "kind": Column(kind="category")}, rare=1
)


def table(count: int, seed: int) -> Columns:
    """Two numbers that go together, and a category that follows from them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 100, count).round()
    y = (x + rng.normal(0, 20, count)).round()
    kind = np.where(x + rng.normal(0, 30, count) > 0, "up", "down")
    return {"x": [str(v) for v in x], "y": [str(v) for v in y], "kind": [str(v) for v in kind]}


def apart(columns: Columns) -> Columns:
    """The same columns, each in another order: their distributions stay, their association goes."""
    rng = np.random.default_rng(0)
    return {name: [values[place] for place in rng.permutation(len(values))] for name, values in columns.items()}


TRAIN, TEST, OTHER = table(1600, 1), table(1600, 2), table(1600, 3)


def test_shapes_see_columns_and_pairs_see_their_association() -> None:
    assert max(shapes(SCHEMA, TRAIN, OTHER).values()) < 0.06
    assert max(shapes(SCHEMA, TRAIN, apart(TRAIN)).values()) == 0
    true, broken = (np.mean([*pairs(SCHEMA, TRAIN, made).values()]) for made in (OTHER, apart(TRAIN)))
    assert true < 0.05 < 0.3 < broken
    moved = {**OTHER, "x": [str(float(str(value)) + 500) for value in OTHER["x"]]}
    assert shapes(SCHEMA, TRAIN, moved)["x"] > 0.95


def test_ks_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(4)
    one, other = rng.normal(0, 1, 300).round(1), rng.normal(0.3, 1, 200).round(1)
    assert ks(one, other) == pytest.approx(stats.ks_2samp(one, other).statistic)


def test_detection_and_worth_order_their_controls() -> None:
    assert detection(SCHEMA, TRAIN, OTHER) < 0.56
    assert detection(SCHEMA, TRAIN, apart(TRAIN)) > 0.8
    found = worth(SCHEMA, {"real": TRAIN, "made": OTHER, "apart": apart(TRAIN)}, TEST, "kind")
    assert abs(found["real"] - found["made"]) < 0.03
    assert found["apart"] < 0.75 < 0.9 < found["real"]
    numbers = worth(SCHEMA, {"real": TRAIN, "apart": apart(TRAIN)}, TEST, "y")
    assert numbers["apart"] < 0.1 < 0.8 < numbers["real"]
    with pytest.raises(ConfigError, match="has one value"):
        worth(SCHEMA, {"real": TRAIN}, {**TEST, "kind": ["up"] * 1600}, "kind")


def test_copies_are_found_and_other_rows_are_not() -> None:
    half = {name: [*TRAIN[name][:800], *OTHER[name][:800]] for name in TRAIN}
    found = compare_tables(SCHEMA, TRAIN, TEST, half, target="kind")["leakage"]
    assert found["copies_of_train"]["share"] == pytest.approx(0.5, abs=0.04)
    assert found["copies_of_test"]["share"] < 0.06
    assert found["closer_to_train"]["share"] == pytest.approx(0.75, abs=0.03)
    assert found["membership_auc"]["low"] > 0.6
    fresh = compare_tables(SCHEMA, TRAIN, TEST, OTHER)["leakage"]
    assert fresh["closer_to_train"]["low"] < 0.5 < fresh["closer_to_train"]["high"]
    assert fresh["membership_auc"]["low"] < 0.5 < fresh["membership_auc"]["high"]


def test_nearest_distances_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lilliput.worlds.tables.leakage.BLOCK", 500)
    small = {side: {name: values[:60] for name, values in each.items()} for side, each in (("a", TRAIN), ("b", OTHER))}
    space = Space(SCHEMA, small, "a")
    numbers = {
        side: np.array([[float(str(v)) for v in each[name]] for name in ("x", "y")]) for side, each in small.items()
    }
    low, high = np.quantile(numbers["a"], (0.01, 0.99), axis=1)
    expected = []
    for row in range(60):
        gaps = [
            sum(min(1, abs(numbers["b"][c, row] - numbers["a"][c, other]) / (high[c] - low[c])) for c in (0, 1))
            + (small["b"]["kind"][row] != small["a"]["kind"][other])
            for other in range(60)
        ]
        expected.append(min(gaps) / 3)
    assert space.nearest("b", "a") == pytest.approx(expected, abs=1e-5)
    assert copies(space, "a", "a").share == 1


def test_shares_have_intervals_and_few_rows_are_refused() -> None:
    found = share_of(5, 100)
    assert (found.share, round(found.low, 3), round(found.high, 3)) == (0.05, 0.022, 0.112)
    few = {name: values[:1499] for name, values in OTHER.items()}
    with pytest.raises(ConfigError, match="1,499 synthetic rows are too few"):
        compare_tables(SCHEMA, TRAIN, TEST, few)


def test_area_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(5)
    one, other = rng.normal(0.5, 1, 200).round(1), rng.normal(0, 1, 300).round(1)
    expected = metrics.roc_auc_score([1] * 200 + [0] * 300, [*one, *other])
    assert area(one, other).share == pytest.approx(expected)


def test_anonymity_counts_rows_alone() -> None:
    found = anonymity({"a": ["1", "1", "2"], "b": ["x", "x", "y"]}, ["a", "b"])
    assert (found.k, found.alone) == (1, pytest.approx(1 / 3))


def test_order_in_time_is_seen() -> None:
    schema = TableSchema(
        columns={
            "id": Column(kind="category"),
            "at": Column(kind="date", format="%Y-%m-%d"),
            "kind": Column(kind="category"),
        },
        entity="id",
        time="at",
        rare=1,
    )
    ids = [str(number // 10) for number in range(2000)]
    days = [f"2024-01-{1 + 2 * (number % 10):02d}" for number in range(2000)]
    kinds = ["ab"[number % 2] for number in range(2000)]
    real: Columns = {"id": list(ids), "at": list(days), "kind": list(kinds)}
    mixed: Columns = {**real, "kind": apart(real)["kind"]}
    same, other = (through_time(schema, real, made) for made in (real, mixed))
    assert set(same.values()) == {0.0}
    assert other["kind, next"] > 0.4
    assert other["days_between"] == other["rows_per_entity"] == 0


def test_the_page_escapes_names(monkeypatch: pytest.MonkeyPatch) -> None:
    found = compare_tables(SCHEMA, TRAIN, TEST, OTHER, target="kind")
    found["quality"]["synthetic"]["columns"]["<script>"] = 0.5
    text = page(found)
    assert "<script>" not in text
    assert "No figure here is a guarantee" in text
    assert "trained on real rows" in text
