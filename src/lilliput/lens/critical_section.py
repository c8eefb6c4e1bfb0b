"""The instrument "matters": the components of a model by the loss without them, and the stories without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.base.html import escape, table
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.bars import bars
from lilliput.lens.components import Component, all_heads, all_mlps, random_units
from lilliput.lens.critical import rank_components, rank_pairs, rank_sets, shares
from lilliput.lens.effects import Effects
from lilliput.lens.figures import figure_text
from lilliput.lens.findings import compared
from lilliput.lens.heat import heat_table
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.row_losses import held_out
from lilliput.lens.story_parts import Asked, ablated_scores, means, story_change, story_scores, tells_stories
from lilliput.lens.story_parts_section import lost_in_stories, without_parts

ROWS, THOROUGH_ROWS = 8, 64
PAIRED, STORIES_WITHOUT = 5, 3
"""Components, from the first of the ranking on, of which pairs are ablated, and without which stories are generated."""
STORIES, THOROUGH_STORIES = 16, 64
SHOWN = 24
"""Bars and pairs that the page shows."""


@INSTRUMENTS.add("matters")
class Matters(Instrument):
    """Heads and MLPs by the change of bits per byte when they are ablated, with pairs, sets and stories."""

    title = "What the model cannot do without"
    part = "matters"
    heads = True
    neurons = True  # its controls are made of neurons

    def measure(self, subject: Subject) -> dict[str, Any]:
        generator, thorough = subject.generator, subject.thorough
        rows = THOROUGH_ROWS if thorough else ROWS
        effects = Effects(generator.model, held_out(generator, subject.rows, rows))
        ranked = rank_components(effects, seed=subject.seed)
        by_name = {one.name: one for one in [*all_heads(generator.model), *all_mlps(generator.model)]}
        order = [by_name[row["name"]] for row in ranked["components"]]
        found = {
            **ranked,
            "layers": generator.model.config.n_layers,
            "sets": rank_sets(effects, ranked, seed=subject.seed),
            **rank_pairs(effects, order if thorough else order[:PAIRED], seed=subject.seed),
            "shares": {"this model": shares(ranked, generator.model.config.n_layers)},
            "untrained": _largest(subject.untrained, subject, rows),
        }
        if subject.sibling is not None:
            found["shares"]["the other seed"] = _shares(subject.sibling, subject, rows)
        if thorough:
            ways = ("zero", "resample")
            found["ways"] = {how: _means(rank_components(effects, how, seed=subject.seed)) for how in ways}
        found["stories"] = _stories(subject, effects, order)
        del found["rows_of"]
        return found

    def section(self, found: Mapping[str, Any]) -> str:
        return "".join([_ranking(found), _sets(found), _pairs(found), _shared(found), without_parts(found["stories"])])

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        first = found["components"][0]
        if not first["critical"]:
            return []
        control = found["controls"][first["kind"]]
        line = (
            f"The model needs {first['name']} most: without it the loss rises by {figure_text(first, 3)} bits per "
            f"byte, and without as many random units by {figure_text(control, 3)}."
        )
        return [line, *lost_in_stories(found["stories"])]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        figures = {}
        for kind, name in (("head", "head"), ("mlp", "MLP")):
            first = next((one for one in found["components"] if one["kind"] == kind), None)
            if first is not None:
                figures[f"bits per byte that the most needed {name} saves"] = compared(first, found["controls"][kind])
        for group, one in (found["shares"]["this model"] or {}).items():
            figures[f"share of all rises: {group}"] = Compared(one["share"], one["even"], one["low"], one["high"])
        return figures


def _largest(generator: TextGenerator, subject: Subject, rows: int) -> dict[str, Any]:
    """Return the largest effect among all components of a control model."""
    ranked = rank_components(Effects(generator.model, held_out(generator, subject.rows, rows)), draws=1)
    return ranked["components"][0]


def _shares(generator: TextGenerator, subject: Subject, rows: int) -> dict[str, Any] | None:
    ranked = rank_components(Effects(generator.model, held_out(generator, subject.rows, rows)), draws=1)
    return shares(ranked, generator.model.config.n_layers)


def _means(ranked: Mapping[str, Any]) -> dict[str, float]:
    return {row["name"]: row["mean"] for row in ranked["components"]}


def _stories(subject: Subject, effects: Effects, order: list[Component]) -> dict[str, Any] | None:
    """Return the change of stories without each of the first components, and without random units; None for a model
    that does not generate stories of the built-in world."""
    asked = Asked(THOROUGH_STORIES if subject.thorough else STORIES, seed=subject.seed)
    plain = subject.generator.with_model(subject.generator.model)
    before = story_scores(plain, asked)
    if not tells_stories(before):
        return None
    chosen = order if subject.thorough else order[:STORIES_WITHOUT]
    control = random_units(effects.model, "head", 0)
    changes = {
        one.name: story_change(before, ablated_scores(plain, one, "mean", effects.reference, asked))
        for one in [*chosen, control]
    }
    again = story_scores(plain, Asked(asked.count, seed=asked.seed + 1))
    return {
        "count": asked.count,
        "before": means(before),
        "without": {one.name: changes[one.name] for one in chosen},
        "random": changes[control.name],
        "again": story_change(before, again),
    }


# ---------------------------------------------------------------------------- the section


def _ranking(found: Mapping[str, Any]) -> str:
    bits, count = found["bits_per_byte"], len(found["components"])
    critical = [one["name"] for one in found["components"] if one["critical"]]
    layers, heads = range(found["layers"]), [one for one in found["components"] if one["kind"] == "head"]
    columns = [f"head {index}" for index in range(1 + max(one["index"] for one in heads))] + ["MLP"]
    grid: list[list[float | None]] = [[None] * len(columns) for _ in layers]
    for one in found["components"]:
        grid[one["layer"]][-1 if one["index"] is None else one["index"]] = one["mean"]
    shown = [(one["name"], one, found["controls"][one["kind"]]["mean"]) for one in found["components"][:SHOWN]]
    return (
        "<p>Each head (a part that reads earlier words) and each MLP (a part that works on one word) is taken out "
        "alone: the mean of its output stands in its place (mean ablation, over all held-out rows and positions). The "
        f"loss then rises from {bits['mean']:.3f} bits per byte by the number in the table. The larger the number, the "
        "more the model needs this part.</p>"
        + heat_table([f"layer {layer}" for layer in layers], columns, grid, digits=3)
        + "<p>The bars are the same numbers in order. The thin line is the 95% interval over "
        f"{found['rows']} texts, and the dashed line is the control: as many channels of heads, or as many neurons, "
        "taken out at random places.</p>"
        + bars(shown)
        + f'<p class="quiet">{_listed(critical)} more than random units (paired over the texts, Student\'s t, '
        f"p &lt; 0.05 after Holm's correction for {count} parts). With untrained weights, the largest rise is "
        f"{found['untrained']['mean']:.4f}.</p>"
    )


def _listed(names: list[str]) -> str:
    if not names:
        return "No part matters"
    rest = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return escape(", ".join(names[:6]) + rest) + (" matters" if len(names) == 1 else " matter")


def _sets(found: Mapping[str, Any]) -> str:
    names = {"most": "heads of the largest rise", "least": "heads of the least rise", "random": "random heads"}
    rows = {}
    for one in found["sets"]:
        count = f"{one['heads']} head{'s' * (one['heads'] > 1)}"
        rows[count] = {text: figure_text(one[name], 3) for name, text in names.items()}
    return "<h3>Several heads at once</h3><p>Rise of the loss, in bits per byte.</p>" + table(rows)


def _pairs(found: Mapping[str, Any]) -> str:
    rows = {
        " + ".join(one["pair"]): {
            "both": f"{one['joint']:.3f}",
            "sum of the two": f"{one['sum']:.3f}",
            "more than the sum": figure_text(one["more"], 3),
            "redundant": "yes" if one["redundant"] else "no",
        }
        for one in found["pairs"][:SHOWN]
    }
    return (
        "<h3>Parts that stand in for each other</h3><p>Two parts are taken out together. Where the loss rises by more "
        "than the sum of the two single rises, and by more than for random units, each part does some work of the "
        "other part while that part is missing (redundancy).</p>"
        + table(rows)
        + f'<p class="quiet">For pairs of random units it is {figure_text(found["control"], 3)} more than the sum. '
        f"Redundant: more than that, p &lt; 0.05 after Holm's correction for {len(found['pairs'])} pairs.</p>"
    )


def _shared(found: Mapping[str, Any]) -> str:
    models = {name: one for name, one in found["shares"].items() if one is not None}
    if "this model" not in models:
        return ""
    rows: dict[str, dict[str, str]] = {}
    for group in next(iter(models.values())):
        rows[group] = {"share of the parts": f"{models['this model'][group]['even']:.0%}"}
        for name, one in models.items():
            part = one[group]
            rows[group][name] = f"{part['share']:.0%} ({part['low']:.0%} to {part['high']:.0%})"
    return (
        "<h3>Where the effect is</h3><p>The share of the sum of all rises, by depth and by kind of part. Numbers of "
        "heads do not correspond in two models, and these shares do.</p>" + table(rows)
    )
