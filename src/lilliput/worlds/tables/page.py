"""The report of synthetic rows: an offline page of quality by column and pair, and of leakage with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.base.html import document, escape, table

CSS = """
.bars { display: grid; grid-template-columns: minmax(7em, max-content) 1fr max-content; gap: .2em .8em; }
.bars .track { background: var(--line, #e5e0d4); border-radius: 3px; height: 1em; align-self: center; }
.bars .track div { background: #c2711c; height: 100%; border-radius: 3px; min-width: 1px; }
.bars .number { font-variant-numeric: tabular-nums; text-align: right; }
.heat { border-collapse: collapse; font-size: .8em; } .heat td { width: 2.2em; height: 2.2em; text-align: center; }
.heat th { text-align: left; padding-right: .6em; font-weight: normal; }
.heat th.top { writing-mode: vertical-rl; transform: rotate(180deg); padding: .4em 0; }
"""
NOTE = (
    "No figure here is a guarantee. They are measurements of some attacks on one sample; a stronger attack may find "
    "more. A score of form alone says little: SDMetrics' quality score of 0.84 went to a table that a boosted "
    "classifier tells from the real one 99.8% of the time, so read detection beside it."
)
FIGURES = {
    "shape_error": "error of columns, mean (0 is best)",
    "pair_error": "error of pairs, mean (0 is best)",
    "detection_auc": "detection AUC of a boosted classifier (0.5 is best)",
}
LEAKAGE = {
    "closer_to_train": "closer to a training than to a held-out row (0.5 is best)",
    "copies_of_train": "equal to a training row",
    "copies_of_test": "equal to a held-out row",
    "near_copies_of_train": "nearly equal to a training row",
    "near_copies_of_test": "nearly equal to a held-out row",
    "membership_auc": "membership inference by distance, AUC (0.5 is best)",
    "membership_auc_by_likelihood": "membership inference by the model's likelihood, AUC (0.5 is best)",
}
CANARIES = (
    "Canaries are rows that no one has, planted before training. An exposure of about 1.4 bits means that the model "
    "knows nothing of them; each further bit means that it ranks them twice as early."
)


CHILDREN = (
    "Rows of a parent: their mean number, the share of parents without any, and the Kolmogorov-Smirnov statistic "
    "beside the training tables. All other figures are of the joined rows: the child's rows with the columns of their "
    "parents."
)


def page(found: Mapping[str, Any]) -> str:
    """Return the page of a report (see compare_tables)."""
    quality, rows = found["quality"], found["rows"]
    body = [
        "<h1>Synthetic rows</h1>",
        f"<p>{rows['synthetic']:,} synthetic rows beside {rows['train']:,} training rows and {rows['test']:,} held-out "
        "rows. The figures of held-out rows in place of synthetic ones are those of a perfect generator.</p>",
        "<h2>Quality</h2>",
        table({text: {side: f"{each[key]:.4f}" for side, each in quality.items()} for key, text in FIGURES.items()}),
    ]
    if worth := found.get("worth"):
        body.append(
            f"<p>Boosted trees that predict <b>{escape(worth['target'])}</b> on held-out rows: trained on real rows "
            f"{worth['real']:.4f}, on synthetic rows {worth['synthetic']:.4f}.</p>"
        )
    body += ["<h2>Columns</h2>", _bars(quality["synthetic"]["columns"])]
    body += ["<h2>Pairs of columns</h2>", _heat(quality["synthetic"]["pairs"])]
    if time := found.get("time"):
        body += [
            "<h2>Through time</h2>",
            table({name: {side: f"{each[name]:.4f}" for side, each in time.items()} for name in time["synthetic"]}),
        ]
    if counted := found.get("children"):
        body += [f"<p>{CHILDREN}</p>", table({side: _spelled(each) for side, each in counted.items()})]
    leaks = {text: _share(found["leakage"][key]) for key, text in LEAKAGE.items() if key in found["leakage"]}
    body += ["<h2>Leakage</h2>", table(leaks)]
    if planted := found.get("canaries"):
        rows = {f"planted {repeats} times": each for repeats, each in planted.items()}
        body += [f"<p>{CANARIES}</p>", table(rows)]
    if spent := found.get("privacy"):
        body.append(f"<p>{escape(spent_text(spent, 'entity' if found.get('time') else 'row'))}</p>")
    if known := found.get("anonymity"):
        body.append(
            f"<p>Of the {known['rows']:,} training rows, {known['alone']:.1%} share their values of "
            f"{escape(', '.join(known['columns']))} with no other row; k is {known['k']}.</p>"
        )
    body.append(f"<p>{escape(NOTE)}</p>")
    return document("Synthetic rows", "\n".join(body), CSS)


def _spelled(found: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{value:.4f}" for name, value in found.items()}


def spent_text(spent: Mapping[str, Any], unit: str) -> str:
    """Return what the accounts of a run with privacy say (Plan.summary), and what they leave out."""
    return (
        f"Training spent an epsilon of {spent['epsilon']:.3g} at a delta of {spent['delta']:g} for each {unit}: "
        f"{spent['steps']:,} steps of about {spent['rows']:,} of {spent['examples']:,}, gradients clipped to "
        f"{spent['clip']:g}, noise of {spent['noise']:.3g} times that. This is no guarantee for the table. Not counted "
        f"are {spent['not_covered']}."
    )


def _share(found: Mapping[str, Any]) -> dict[str, str]:
    return {"share": f"{found['share']:.4f} ({found['low']:.4f} to {found['high']:.4f})", "of": f"{found['queries']:,}"}


def _bars(columns: Mapping[str, float]) -> str:
    lines = [
        f"<div>{escape(name)}</div><div class='track'><div style='width:{100 * min(1, error):.1f}%'></div></div>"
        f"<div class='number'>{error:.4f}</div>"
        for name, error in sorted(columns.items(), key=lambda each: -each[1])
    ]
    return f"<div class='bars'>{''.join(lines)}</div>"


def _heat(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Return a triangle of cells, darker where the association of two columns is further from the real one."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair["columns"]))
    errors = {frozenset(pair["columns"]): pair["error"] for pair in pairs}
    head = "".join(f"<th class='top' scope='col'>{escape(name)}</th>" for name in names[:-1])
    lines = []
    for place, name in enumerate(names[1:], start=1):
        cells = "".join(_cell(errors[frozenset((name, other))]) for other in names[:place])
        lines.append(f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>")
    return f"<div class='scroll'><table class='heat'><tr><td></td>{head}</tr>{''.join(lines)}</table></div>"


def _cell(error: float) -> str:
    return f"<td style='background:rgba(194,113,28,{min(1.0, 4 * error):.2f})' title='{error:.4f}'>{error:.2f}</td>"
