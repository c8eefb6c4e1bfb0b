"""Critical components: every head and MLP by its effect on bits per byte, beside random units; redundant pairs; the
shares of the effect by depth and kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from lilliput.base import seeds
from lilliput.base.statistics import holm, p_of_mean
from lilliput.lens.ablation import How
from lilliput.lens.components import Component, all_heads, all_mlps, random_heads, random_units
from lilliput.lens.effects import Effects
from lilliput.lens.figures import mean_figure

LEVEL = 0.05
"""The chance of any false finding in a table, after Holm's correction."""
DEPTHS = ("first third", "middle third", "last third")
KINDS = {"head": "heads", "mlp": "MLPs"}
ROUNDS = 1000


def rank_components(effects: Effects, how: How = "mean", draws: int = 3, seed: int = 0) -> dict[str, Any]:
    """Ablate every head and every MLP, one at a time, and rank them by the change of bits per byte.

    The control of a head is as many channels of heads, and the control of an MLP is as many neurons, drawn at random
    from all layers: `draws` draws, whose mean counts. `p` is the two-sided p of paired differences between a component
    and its control over the rows (Student's t), after Holm's correction for the number of components. A component is
    critical where `p` is below 0.05 and its effect is the larger. Returns JSON; `rows_of` has the effects by row.
    """
    components = [*all_heads(effects.model), *all_mlps(effects.model)]
    values = {component.name: effects.of(component, how, seed) for component in components}
    controls = {
        kind: np.mean([effects.of(random_units(effects.model, kind, draw), how, seed) for draw in range(draws)], axis=0)
        for kind in ("head", "mlp")
    }
    corrected = holm([p_of_mean((values[one.name] - controls[one.kind]).tolist()) for one in components])
    rows = []
    for component, p in zip(components, corrected, strict=True):
        own = values[component.name]
        larger = bool(own.mean() > controls[component.kind].mean())
        place = {"kind": component.kind, "layer": component.layer, "index": _index(effects, component)}
        verdict = {"p": p, "critical": larger and p < LEVEL}
        rows.append({"name": component.name, **place, **mean_figure(own.tolist()), **verdict})
    return {
        "how": how,
        "rows": effects.held.rows,
        "bits_per_byte": mean_figure(effects.bits.tolist()),
        "components": sorted(rows, key=lambda row: -row["mean"]),
        "controls": {kind: {**mean_figure(control.tolist()), "draws": draws} for kind, control in controls.items()},
        "rows_of": {name: found.tolist() for name, found in values.items()},
    }


def _index(effects: Effects, component: Component) -> int | None:
    """Return a head's place in its layer; None for an MLP."""
    if component.kind != "head":
        return None
    return component.places[0][1][0] // effects.model.config.d_head


def rank_pairs(
    effects: Effects, components: Sequence[Component], how: How = "mean", draws: int = 3, seed: int = 0
) -> dict[str, Any]:
    """Ablate every pair of `components` together. `more` is the joint effect less the sum of the two single effects, in
    bits per byte. The control is pairs of random units, whose joint effect is also more than the sum, because a loss
    rises faster the further a model is changed. In a redundant pair `more` is larger than the control: each of the two
    does the other's work while the other is missing. `p` as in `rank_components`, of `more` against the control."""
    single = {one.name: effects.of(one, how, seed) for one in components}
    pairs = list(combinations(components, 2))
    joint = [effects.of(pair, how, seed) for pair in pairs]
    more = [both - single[a.name] - single[b.name] for both, (a, b) in zip(joint, pairs, strict=True)]
    control = _random_pairs(effects, how, draws, seed)
    corrected = holm([p_of_mean((values - control).tolist()) for values in more])
    rows = []
    for (a, b), both, values, p in zip(pairs, joint, more, corrected, strict=True):
        total = float((single[a.name] + single[b.name]).mean())
        found = {"joint": float(both.mean()), "sum": total, "more": mean_figure(values.tolist()), "p": p}
        redundant = bool(values.mean() > control.mean() and p < LEVEL)
        rows.append({"pair": [a.name, b.name], **found, "redundant": redundant})
    return {
        "pairs": sorted(rows, key=lambda row: -row["more"]["mean"]),
        "control": mean_figure(control.tolist()),
    }


def rank_sets(
    effects: Effects, ranked: Mapping[str, Any], how: How = "mean", draws: int = 3, seed: int = 0
) -> list[dict[str, Any]]:
    """Ablate a quarter of the heads, and half of them, at once: the heads of the largest single effect, of the least,
    and as many heads drawn at random (`draws` draws, whose mean counts). Returns JSON, a row for each number of
    heads."""
    heads = {one.name: one for one in all_heads(effects.model)}
    order = [heads[row["name"]] for row in ranked["components"] if row["kind"] == "head"]
    found = []
    for count in sorted({max(1, len(order) // 4), max(1, len(order) // 2)}):
        drawn = [effects.of(random_heads(effects.model, count, draw), how, seed) for draw in range(draws)]
        sets = {"most": effects.of(order[:count], how, seed), "least": effects.of(order[-count:], how, seed)}
        sets["random"] = np.mean(drawn, axis=0)
        found.append({"heads": count, **{name: mean_figure(values.tolist()) for name, values in sets.items()}})
    return found


def _random_pairs(effects: Effects, how: How, draws: int, seed: int) -> np.ndarray:
    """Return the joint effect of two draws of random head channels less the sum of their effects, the mean of
    `draws` pairs, (N,)."""
    units = [random_units(effects.model, "head", draw) for draw in range(draws + 1)]
    single = [effects.of(unit, how, seed) for unit in units]
    extra = [effects.of([units[i], units[i + 1]], how, seed) - single[i] - single[i + 1] for i in range(draws)]
    return np.mean(extra, axis=0)


def shares(ranked: Mapping[str, Any], layers: int, seed: int = 0) -> dict[str, dict[str, Any]] | None:
    """Return the share of the total effect by relative depth and by kind, each with its 95% bootstrap interval over the
    rows, and `even`, the share that the group would have if all components had the same effect.

    Numbers of heads do not correspond across models, and these groups do. Negative effects count as 0. The middle of a
    layer decides its third. None where nothing has an effect, as in a model whose outputs start at 0."""
    components = ranked["components"]
    table = np.array([ranked["rows_of"][one["name"]] for one in components])
    drawn = seeds.generator(seed, "shares").integers(0, table.shape[1], (ROUNDS, table.shape[1]))
    means = np.concatenate([table.mean(1)[None], table[:, drawn].mean(2).T]).clip(min=0)
    if not (means.sum(1) > 0).all():
        return None
    parts = means / means.sum(1, keepdims=True)
    groups = [(DEPTHS[min(2, int(3 * (one["layer"] + 0.5) / layers))], KINDS[one["kind"]]) for one in components]
    found = {}
    for side, names in enumerate((DEPTHS, tuple(KINDS.values()))):
        for name in names:
            inside = np.array([group[side] == name for group in groups])
            low, high = np.percentile(parts[1:, inside].sum(1), [2.5, 97.5])
            whole = float(parts[0, inside].sum())
            found[name] = {"share": whole, "low": float(low), "high": float(high), "even": float(inside.mean())}
    return found
