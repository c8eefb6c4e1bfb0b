"""How well people fit the aggregate tables: the error of each table, and each category's share with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lilliput.base.errors import DataError
from lilliput.base.seeds import generator
from lilliput.base.statistics import wilson
from lilliput.worlds.population.marginals import BANDS, Marginal, Marginals
from lilliput.worlds.population.people import Person

DRAWS = 200
"""Samples of a bootstrap, and of a perfect population."""


def fit_of(people: Sequence[Person], marginals: Marginals, seed: int = 0) -> dict[str, Any]:
    """Compare people with the tables.

    tables      for each table its error, the total variation between the people's shares and the table's (0 is best),
                with a 95% interval by bootstrap, and `perfect`: the mean error of as many people who are drawn from
                the table itself
    categories  for each variable and category the table's share, the people's, and its 95% interval (Wilson)
    outside     people who belong to no category of some variable, such as an age beyond the table

    Raises DataError without people."""
    if not people:
        raise DataError("there are no people to compare with the tables")
    placed = {name: _places(people, name, marginals) for name in marginals.categories}
    outside = np.zeros(len(people), bool)
    for places in placed.values():
        outside |= places < 0
    tables = {table.name: _table(table, placed, len(people), seed) for table in marginals.tables}
    categories = {name: _categories(name, placed[name], marginals) for name in marginals.categories}
    return {"people": len(people), "outside": int(outside.sum()), "tables": tables, "categories": categories}


def _places(people: Sequence[Person], name: str, marginals: Marginals) -> np.ndarray:
    """The number of each person's category, -1 outside of all."""
    if name in BANDS:
        bands = marginals.bands[name]
        values = np.array([getattr(person, name) for person in people])
        places = np.full(len(people), -1)
        for number, (low, high) in enumerate(bands):
            places[(values >= low) & (values <= high)] = number
        return places
    known = {category: number for number, category in enumerate(marginals.categories[name])}
    return np.array([known.get(getattr(person, name), -1) for person in people])


def _table(table: Marginal, placed: dict[str, np.ndarray], count: int, seed: int) -> dict[str, float]:
    """A person outside of the table counts as an error."""
    wanted = table.shares.ravel()
    places = np.stack([placed[name] for name in table.variables])
    inside = (places >= 0).all(0)
    cells = np.ravel_multi_index(tuple(places[:, inside]), table.counts.shape)
    found = np.append(np.bincount(cells, minlength=len(wanted)), (~inside).sum()) / count
    rng = generator(seed, "fit", table.name)
    whole = np.append(wanted, 0.0)
    boots = rng.multinomial(count, found, DRAWS) / count
    perfect = rng.multinomial(count, wanted, DRAWS) / count
    errors = 0.5 * np.abs(boots - whole).sum(1)
    # A resample is further from the table than the sample itself, by about as much as the sample is from its source.
    error = float(0.5 * np.abs(found - whole).sum())
    low, high = np.quantile(errors - errors.mean() + error, (0.025, 0.975)).tolist()
    return {
        "error": error,
        "low": max(0.0, low),
        "high": high,
        "perfect": float(0.5 * np.abs(perfect - wanted).sum(1).mean()),
    }


def _categories(name: str, places: np.ndarray, marginals: Marginals) -> dict[str, dict[str, float]]:
    wanted = next(table for table in marginals.tables if name in table.variables).of(name)
    found = dict[str, dict[str, float]]()
    for number, (category, share) in enumerate(wanted.items()):
        count = int((places == number).sum())
        low, high = wilson(count, len(places))
        found[category] = {"table": share, "people": count / len(places), "low": low, "high": high}
    return found
