"""The figures of synthetic rows are those of SDMetrics, where it has the figure. Runs where sdmetrics is installed
(`make tables-check`)."""

from typing import Any

import numpy as np
import pytest

from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import Column, TableSchema
from lilliput.worlds.tables.leakage import Space, closer_to_train, copies
from lilliput.worlds.tables.quality import pairs, shapes

pytest.importorskip("sdmetrics", reason="sdmetrics is not installed")
import pandas as pd  # pyright: ignore[reportMissingImports]
from sdmetrics import column_pairs, single_column, single_table  # pyright: ignore[reportMissingImports]

NUMBERS, KINDS = ("age", "income"), ("city", "work")
SCHEMA = TableSchema(
    columns={**{name: Column(kind="number") for name in NUMBERS}, **{name: Column(kind="category") for name in KINDS}},
    rare=1,
)
METADATA = {
    "columns": {
        **{name: {"sdtype": "numerical"} for name in NUMBERS},
        **{name: {"sdtype": "categorical"} for name in KINDS},
    }
}


def table(count: int, seed: int, moved: float = 0.0) -> Columns:
    """Ages and incomes that go together, and a city and an occupation that do; some occupations are missing."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(18, 80, count)
    income = 500 * age + rng.normal(moved, 4000, count)
    city = np.where(rng.random(count) < 0.3 + moved / 5000, "Oslo", np.where(age > 50, "Rome", "Bonn"))
    work = [
        None if share < 0.1 else "baker" if town == "Rome" else "clerk"
        for share, town in zip(rng.random(count), city, strict=True)
    ]
    return {
        "age": [f"{value:.4f}" for value in age],
        "income": [f"{value:.4f}" for value in income],
        "city": [str(value) for value in city],
        "work": work,
    }


def frame(columns: Columns) -> Any:
    return pd.DataFrame({name: pd.to_numeric(each) if name in NUMBERS else each for name, each in columns.items()})


REAL, HELD, MADE = table(2000, 1), table(2000, 2), table(2000, 3, moved=800)


def test_columns_are_ks_and_tv_complement() -> None:
    found = shapes(SCHEMA, REAL, MADE)
    real, made = frame(REAL), frame(MADE)
    for name in NUMBERS:
        theirs = single_column.KSComplement.compute(real[name], made[name])
        assert found[name] == pytest.approx(1 - theirs, abs=1e-9)
    for name in KINDS:
        # A missing value is a category of its own to us, and left out there.
        theirs = single_column.TVComplement.compute(real[name].fillna("none"), made[name].fillna("none"))
        assert found[name] == pytest.approx(1 - theirs, abs=1e-9)
    assert min(found.values()) > 0.005


def test_pairs_are_correlation_and_contingency_similarity() -> None:
    found = pairs(SCHEMA, REAL, MADE)
    real, made = frame(REAL), frame(MADE)
    theirs = column_pairs.CorrelationSimilarity.compute(real[[*NUMBERS]], made[[*NUMBERS]])
    assert found[NUMBERS] == pytest.approx(1 - theirs, abs=1e-9)
    theirs = column_pairs.ContingencySimilarity.compute(real[[*KINDS]], made[[*KINDS]])
    assert found[KINDS] == pytest.approx(1 - theirs, abs=1e-9)


def test_copies_are_what_is_no_new_row() -> None:
    copied = {name: [*REAL[name][:300], *MADE[name][300:]] for name in REAL}
    space = Space(SCHEMA, {"real": REAL, "made": copied}, "real")
    real, made = (frame(each).drop(columns="work") for each in (REAL, copied))  # they take no missing value for a match
    columns = {name: each for name, each in METADATA["columns"].items() if name != "work"}
    theirs = single_table.NewRowSynthesis.compute(real, made, {"columns": columns}, numerical_match_tolerance=1e-9)
    assert copies(space, "made", "real").share == pytest.approx(1 - theirs, abs=0.001)


def test_rows_are_as_close_to_training_rows_as_theirs() -> None:
    leaked = {name: [*REAL[name][:400], *MADE[name][400:]] for name in REAL}
    space = Space(SCHEMA, {"real": REAL, "held": HELD, "made": leaked}, "real")
    theirs = single_table.DCROverfittingProtection.compute_breakdown(
        real_training_data={"rows": frame(REAL)},
        synthetic_data={"rows": frame(leaked)},
        real_validation_data=frame(HELD),
        metadata={"tables": {"rows": METADATA}},
        table_name="rows",
    )["synthetic_data_percentages"]["closer_to_training"]
    # Their range of a number is the whole range, and ours leaves out the ends, so that single rows change sides.
    assert closer_to_train(space, "made", "real", "held").share == pytest.approx(theirs, abs=0.02)
    assert theirs > 0.55
