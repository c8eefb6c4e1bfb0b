"""Quality of synthetic rows: columns, pairs, detection, and what a model that is trained on them is worth on real
rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from lilliput.base.errors import ConfigError, MissingExtra
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import TableSchema
from lilliput.worlds.tables.matrix import (
    categorical,
    codes_of,
    is_number,
    matrix,
    measured_columns,
    numbers_of,
)

BINS = 10
"""Parts of equal share of the real rows into which a number is cut where pairs are compared."""
FOLDS = 5


def shapes(schema: TableSchema, real: Columns, made: Columns) -> dict[str, float]:
    """Return the error of each column's distribution, 0 to 1: the Kolmogorov-Smirnov statistic of numbers, the total
    variation distance of categories. One less it is the score of SDMetrics' KSComplement and TVComplement. Missing
    values are left out of numbers, and are a category of their own (TVComplement leaves them out)."""
    found = {}
    for name in measured_columns(schema, real):
        if is_number(schema, name):
            found[name] = ks(numbers_of(schema, name, real[name]), numbers_of(schema, name, made[name]))
        else:
            both = codes_of({"real": real[name], "made": made[name]})
            found[name] = total_variation(both["real"], both["made"])
    return found


def ks(real: np.ndarray, made: np.ndarray) -> float:
    """Return the greatest distance of two distribution functions; 1 where one of them has no numbers."""
    real, made = np.sort(real[~np.isnan(real)]), np.sort(made[~np.isnan(made)])
    if not len(real) or not len(made):
        return float(len(real) != len(made))
    at = np.concatenate((real, made))
    sides = [np.searchsorted(each, at, side="right") / len(each) for each in (real, made)]
    return float(np.abs(sides[0] - sides[1]).max())


def total_variation(real: np.ndarray, made: np.ndarray) -> float:
    """Return half the sum of the differences of shares of codes."""
    size = int(max(real.max(initial=0), made.max(initial=0))) + 1
    shares = [np.bincount(each, minlength=size) / max(1, len(each)) for each in (real, made)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def pairs(schema: TableSchema, real: Columns, made: Columns) -> dict[tuple[str, str], float]:
    """Return the error of the association of each pair of columns, 0 to 1. Of two numbers it is half the difference of
    their correlations (Pearson's), as in SDMetrics' CorrelationSimilarity. Of any others it is the total variation
    distance of their table of counts, numbers cut into BINS by the real rows (ContingencySimilarity)."""
    names = measured_columns(schema, real)
    cut: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    plain: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in names:
        if is_number(schema, name):
            sides = numbers_of(schema, name, real[name]), numbers_of(schema, name, made[name])
            plain[name] = sides
            cut[name] = _cut(*sides)
        else:
            both = codes_of({"real": real[name], "made": made[name]})
            cut[name] = both["real"], both["made"]
    found = {}
    for one, other in combinations(names, 2):
        if one in plain and other in plain:
            ends = [_correlation(plain[one][side], plain[other][side]) for side in (0, 1)]
            found[one, other] = abs(ends[0] - ends[1]) / 2
        else:
            size = 1 + max(int(part.max(initial=0)) for part in cut[other])
            joint = [cut[one][side] * size + cut[other][side] for side in (0, 1)]
            found[one, other] = total_variation(joint[0], joint[1])
    return found


def _cut(real: np.ndarray, made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = real[~np.isnan(real)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)
    sides = [np.where(np.isnan(each), len(edges) + 1, np.searchsorted(edges, each)) for each in (real, made)]
    return sides[0].astype(np.int64), sides[1].astype(np.int64)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    good = ~np.isnan(one) & ~np.isnan(other)
    one, other = one[good], other[good]
    if len(one) < 2 or one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def detection(schema: TableSchema, real: Columns, made: Columns, seed: int = 0) -> float:
    """Return the area under the ROC curve with which a gradient-boosted classifier, cross-validated, tells real from
    synthetic rows: 0.5 where it cannot, 1 where it always can. Of both tables as many rows are taken."""
    _, _, StratifiedKFold, cross_val_predict, roc_auc_score = _learning()
    names = measured_columns(schema, real)
    both = matrix(schema, {"real": real, "made": made}, names)
    rng = np.random.default_rng(seed)
    size = min(map(len, both.values()))
    rows = np.concatenate([each[rng.permutation(len(each))[:size]] for each in both.values()])
    labels = np.repeat([0, 1], size)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    model = boosted(categorical(schema, names), rows, seed)
    scores = cross_val_predict(model, rows, labels, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(labels, scores))


def worth(
    schema: TableSchema, trained_on: Mapping[str, Columns], test: Columns, target: str, seed: int = 0
) -> dict[str, float]:
    """Return, for each table that a gradient-boosted model is trained on, its score on real test rows: the area under
    the ROC curve of a target with two values (the mean of one value against the others, for more), or R squared of a
    number. Raises ConfigError for a target with one value."""
    _, _, _, _, roc_auc_score = _learning()
    names = [name for name in measured_columns(schema, test) if name != target]
    tables = matrix(schema, {**trained_on, "": test}, names)
    found = {}
    if is_number(schema, target):
        known = numbers_of(schema, target, test[target])
        for table, columns in trained_on.items():
            wanted = numbers_of(schema, target, columns[target])
            model = boosted(categorical(schema, names), tables[table], seed, classifies=False)
            model.fit(tables[table][~np.isnan(wanted)], wanted[~np.isnan(wanted)])
            good = ~np.isnan(known)
            found[table] = float(model.score(tables[""][good], known[good]))
        return found
    codes = codes_of({**{table: columns[target] for table, columns in trained_on.items()}, "": test[target]})
    if len(set(codes[""].tolist())) < 2:
        raise ConfigError(f"the target '{target}' has one value in the test rows", "choose another column: --target")
    for table in trained_on:
        model = boosted(categorical(schema, names), tables[table], seed)
        model.fit(tables[table], codes[table])
        known = model.predict_proba(tables[""])
        areas = []
        for value in sorted(set(codes[""].tolist())):
            right = codes[""] == value
            place = np.flatnonzero(model.classes_ == value)
            if right.any() and not right.all():
                areas.append(roc_auc_score(right, known[:, place[0]]) if len(place) else 0.5)
        found[table] = float(np.mean(areas))
    return found


def boosted(kinds: Sequence[bool], rows: np.ndarray, seed: int, classifies: bool = True) -> Any:
    """Return scikit-learn's gradient-boosted trees; codes of few values are categories to it."""
    classifier, regressor, *_ = _learning()
    few = [
        kind and len(np.unique(rows[:, place])) <= 250 and rows[:, place].max(initial=0) < 255
        for place, kind in enumerate(kinds)
    ]
    return (classifier if classifies else regressor)(categorical_features=few, random_state=seed)


def _learning() -> tuple[Any, ...]:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
    except ImportError:
        raise MissingExtra("scikit-learn", "tables", "measuring synthetic rows") from None
    return (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        StratifiedKFold,
        cross_val_predict,
        roc_auc_score,
    )
