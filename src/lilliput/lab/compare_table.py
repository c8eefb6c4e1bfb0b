"""The comparison as Markdown tables and as plain values: for a terminal, a write-up, and `--json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lilliput.base.console import duration, number
from lilliput.base.statistics import SURE, Difference, Mean
from lilliput.lab.comparison import Comparison, Group
from lilliput.objectives.figure import Figure
from lilliput.runs.names import TOKENS_PER_SECOND

Row = list[str]
NONE = "-"
INTERVAL = "± is a 95% interval by Student's t over seeds."


def markdown(comparison: Comparison) -> str:
    """Return tables of scores and speed, of differences, and of convergence, with their notes."""
    parts = [as_markdown(*scores(comparison))]
    if comparison.differences:
        parts += [as_markdown(*differences(comparison)), caveat(comparison)]
    else:
        parts.append(caveat(comparison))
    parts += [as_markdown(*convergence(comparison))]
    parts += [f"Note: {note}" for note in comparison.notes]
    return "\n\n".join(parts)


def as_markdown(head: Row, rows: Iterable[Row]) -> str:
    """Return a Markdown table. The first column is aligned left, every other column right. A bar inside a cell is
    escaped."""
    rule = [":--", *("--:" for _ in head[1:])]
    lines = [head, rule, *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


# ---------------------------------------------------------------------------- the tables, as text


def scores(comparison: Comparison) -> tuple[Row, list[Row]]:
    """Return the head, and a row a group, the best first: score, size, tokens, time, speed, energy."""
    head = ["model", comparison.figure.label, "parameters", "tokens", "wall time", "tokens/s", "of matmul peak", "kWh"]
    columns: list[tuple[str, Callable[[float], str]]] = [
        ("parameters", lambda value: f"{value:,.0f}"),
        ("tokens", number),
        ("seconds", duration),
        (TOKENS_PER_SECOND, lambda value: f"{value:,.0f}"),
        ("utilisation", lambda value: f"{value:.0%}"),
        ("kwh", lambda value: f"{value:.2g}"),
    ]
    rows = [
        [group.name, estimate(group.estimate), *(_cell(group.mean(key), text) for key, text in columns)]
        for group in comparison.groups
    ]
    return head, rows


def differences(comparison: Comparison) -> tuple[Row, list[Row]]:
    """Return the head, and a row for each pair of groups that can be tested."""
    head = ["pair", "difference", "95% interval", "degrees of freedom", "p"]
    rows = [
        [
            f"{worse.name} minus {better.name}",
            f"{found.difference:.4f}",
            f"{found.difference - found.margin:.4f} to {found.difference + found.margin:.4f}",
            f"{found.degrees:.1f}",
            f"{found.p:.2g}",
        ]
        for worse, better, found in comparison.differences
    ]
    return head, rows


def convergence(comparison: Comparison) -> tuple[Row, list[Row]]:
    """Return the head, and a row a group: tokens and seconds at which its validation loss reached each level."""
    head = ["model", *(f"to {level:.4g}" for level in comparison.levels)]
    return head, [[group.name, *(_reached(group, level) for level in comparison.levels)] for group in comparison.groups]


def _reached(group: Group, level: float) -> str:
    tokens, seconds = group.reaches(level, "tokens"), group.reaches(level, "seconds")
    if tokens is None or seconds is None:
        return "not reached"
    return f"{number(tokens)} tokens, {duration(seconds)}"


def estimate(found: Mean | None) -> str:
    """'0.817 ± 0.012 (3 seeds)'."""
    if found is None:
        return NONE
    return (
        f"{found.mean:.3f}" if found.margin is None else f"{found.mean:.3f} ± {found.margin:.3f} ({found.count} seeds)"
    )


def _cell(value: float | None, text: Callable[[float], str]) -> str:
    return NONE if value is None else text(value)


def caveat(comparison: Comparison) -> str:
    """Return sentences on the test and its limits."""
    if not comparison.differences:
        return _untested(comparison)
    pairs = len(comparison.differences)
    least = min(min(len(worse.scores), len(better.scores)) for worse, better, _ in comparison.differences)
    parts = [
        f"{INTERVAL} p is of Welch's t-test on the final {comparison.figure.label}, two-sided. "
        "Both take seeds as draws from a normal distribution."
    ]
    if least < SURE:
        parts.append(
            f"With {least} seeds on a side a difference is an observation, not a finding: the intervals are wide, and "
            "a large p does not show that there is no difference."
        )
    if pairs > 1:
        parts.append(
            f"p is not adjusted for {pairs} pairs: to be wrong in 5% of such tables, ask for "
            f"p < {comparison.significant:.2g}."
        )
    return " ".join(parts)


def _untested(comparison: Comparison) -> str:
    """Return sentences on why there is no test, and on the distance between the known seeds."""
    several = [group.name for group in comparison.groups if len(group.scores) > 1]
    known = f"{INTERVAL} " if several else ""
    if len(comparison.groups) == 1:
        repeats = "" if several else "These are repeats of one seed: they do not show how far seeds lie apart. "
        return f"{known}{repeats}There is no other model to test against."
    needs = (
        f"{known}No difference could be tested: a test needs two models with two or more seeds each, "
        "scored on the same text."
    )
    if not several:
        return (
            f"{needs} The distance between two seeds of one recipe is not known here, so every difference above may be "
            "chance."
        )
    alone = "" if len(several) == len(comparison.groups) else " alone"
    return f"{needs} The distance between seeds is known for {', '.join(several)}{alone}."


# ---------------------------------------------------------------------------- plain values


def plain(comparison: Comparison) -> dict[str, Any]:
    """Return the numbers of all tables as plain values."""
    return {
        "groups": [_plain_group(group, comparison.levels, comparison.figure) for group in comparison.groups],
        "differences": [
            {"worse": worse.name, "better": better.name, **_plain_difference(found)}
            for worse, better, found in comparison.differences
        ],
        "test": "Welch's t-test, two-sided, on final validation " + comparison.figure.label,
        "settings": comparison.settings,
        "significant_p": comparison.significant,
        "notes": comparison.notes,
    }


def _plain_group(group: Group, levels: Sequence[float], figure: Figure) -> dict[str, Any]:
    estimate = group.estimate
    return {
        "name": group.name,
        **figure.named(
            estimate and {"mean": estimate.mean, "margin": estimate.margin, "seeds": estimate.count},
        ),
        **{
            key: group.mean(key) for key in ("parameters", "tokens", "seconds", TOKENS_PER_SECOND, "utilisation", "kwh")
        },
        "reaches": [
            {**figure.named(level), **{x: group.reaches(level, x) for x in ("tokens", "flops", "seconds")}}
            for level in levels
        ],
        "runs": [
            {"run": run.record.path, "seed": run.record.recipe.get("seed"), **figure.named(run.score)}
            for run in group.runs
        ],
    }


def _plain_difference(found: Difference) -> dict[str, float]:
    return {"difference": found.difference, "margin": found.margin, "degrees": found.degrees, "p": found.p}
