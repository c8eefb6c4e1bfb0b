"""compare.html: several runs on one offline page, with a verdict and its certainty, curves, speed and samples."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lilliput.base.chart import COLOURS, STYLE, Chart, Point, Series, figure
from lilliput.base.files import write_text
from lilliput.base.html import as_html, document, escape
from lilliput.lab import compare_table
from lilliput.lab.comparison import Compared, Comparison, Group
from lilliput.runs.report import sample_html
from lilliput.runs.samples_file import Sample

AXES = (("tokens", "tokens"), ("flops", "training FLOPs"), ("seconds", "wall time"))
PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z")
# The first losses fall from random guessing. Drawn whole, they would press all other losses into a tenth of the chart.
SHOWN_RANGE = 0.35
OWN_STYLE = """
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 12px; margin: 0 0 22px; }
.side > div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.side h3 { margin: 0 0 6px; font-size: .9rem; font-weight: 650; }
.side p {
  font-family: "Iowan Old Style", Palatino, "Palatino Linotype", Georgia, serif; white-space: pre-line; margin: 0;
}
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }
figure { margin-bottom: 12px; }
.numbers td, .numbers th { white-space: nowrap; }
.values td, .values th { text-align: left; vertical-align: top; }
.values td { white-space: normal; max-width: 260px; }
"""


def write_page(comparison: Comparison, path: Path) -> Path:
    """Write the page to `path` whole, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page(comparison))
    return path


def page(comparison: Comparison) -> str:
    """Return the whole page as HTML."""
    sections = (_head, _scores, _curves, _convergence, _samples, _settings, _repeat)
    body = "\n".join(filter(None, (section(comparison) for section in sections)))
    colours = "".join(f".swatch.c{i} {{ background: var(--s{i}); }}\n" for i in range(COLOURS))
    label = escape(comparison.figure.label)
    footer = f"<footer>Made by Lilliput from the runs' folders. Scores are in {label}: lower is better.</footer>"
    return document(f"{len(comparison.runs)} runs", f"{body}\n{footer}", STYLE + OWN_STYLE + colours)


def _head(comparison: Comparison) -> str:
    notes = "<br>".join(map(escape, comparison.notes))
    return "\n".join(
        [
            '<header><div class="eyebrow">Lilliput comparison</div>',
            f"<h1>{escape(' · '.join(group.name for group in comparison.groups))}</h1>",
            f'<p class="verdict">{escape(verdict(comparison))}</p>',
            f'<div class="problems">{notes}</div>' if notes else "",
            "</header>",
        ]
    )


def verdict(comparison: Comparison) -> str:
    """Return a sentence that names the best group, its lead over the next, and whether chance explains the lead."""
    unit = comparison.figure.label
    scored = [(group, found) for group in comparison.groups if (found := group.estimate)]
    if len(scored) < 2:
        ((only, estimate),) = scored
        return f"{only.name}: {compare_table.estimate(estimate)} {unit}, and no other model to compare with."
    (best, least), (second, more) = scored[:2]
    if not best.same_text(second):
        scores = f"{best.name} {least.mean:.3f} {unit}, {second.name} {more.mean:.3f}"
        return f"{scores}, on different text: which model is better is not known (see the notes)."
    lowest = f"{best.name} has the lowest score"
    lead = f"{least.mean:.3f} {unit}: {more.mean - least.mean:.3f} below {second.name}"
    found = next((one for worse, better, one in comparison.differences if (better, worse) == (best, second)), None)
    if found is None and min(len(best.scores), len(second.scores)) > 1:
        return (
            f"{best.name} has the lowest score, {lead}. Seeds do not differ at all here, so there is nothing to test."
        )
    if found is None:
        return f"{lowest}, {lead}. Whether this lead is chance is not known: a test needs two seeds of each."
    test = f"(Welch's t-test, p = {found.p:.2g}, {found.degrees:.1f} degrees of freedom)"
    if found.p < comparison.significant:
        return f"{best.name} is best, {lead}, which chance between seeds would seldom give {test}."
    return f"{lowest}, {lead}, which chance between seeds may give {test}."


def _scores(comparison: Comparison) -> str:
    parts = ["<h2>Scores and speed</h2>", _table(comparison.groups, *compare_table.scores(comparison))]
    if comparison.differences:
        parts.append(_table(None, *compare_table.differences(comparison)))
    return "".join([*parts, f'<p class="quiet">{escape(compare_table.caveat(comparison))}</p>'])


def _table(groups: Sequence[Group] | None, head: list[str], rows: Iterable[list[str]]) -> str:
    """Return a table of text. Where `groups` are given, the first cell of each row shows the group's colour."""
    columns = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head[1:])
    lines = []
    for number, (name, *cells) in enumerate(rows):
        swatch = _swatch(number) if groups else ""
        values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{swatch}{escape(name)}</th>{values}</tr>')
    return f'<div class="scroll"><table class="numbers"><tr><td></td>{columns}</tr>{"".join(lines)}</table></div>'


def _swatch(number: int) -> str:
    return f'<span class="swatch c{number % COLOURS}"></span>'


# ---------------------------------------------------------------------------- curves


def _curves(comparison: Comparison) -> str:
    label = escape(comparison.figure.label)
    charts = "".join(_chart(comparison, x, label) for x, label in AXES)
    seeds = " Thin lines are seeds, the thick line is their mean." if _has_seeds(comparison) else ""
    return (
        f'<h2>How they learnt</h2><p class="quiet">Validation {label}; a steep beginning is cut off.{seeds}</p>{charts}'
    )


def _has_seeds(comparison: Comparison) -> bool:
    return any(len(group.runs) > 1 for group in comparison.groups)


def _chart(comparison: Comparison, x: str, label: str) -> str:
    ceiling = _ceiling(comparison)
    farthest = max((place for run in comparison.runs for place, _ in run.curve(x)), default=0.0)
    scale, unit = _unit(farthest) if x == "flops" else (1.0, label)
    series = []
    for colour, group in enumerate(comparison.groups):
        many = len(group.runs) > 1
        lines = [(group.name, group.mean_curve(x), False)]
        lines += [("", run.curve(x), True) for run in group.runs if many]
        series += [
            Series(name, _below(points, ceiling, scale), colour, thin, dots=not many) for name, points, thin in lines
        ]
    if not any(one.points for one in series):
        return ""
    return figure(Chart(f"Against {label}", series, unit, time_x=x == "seconds", width=920, height=340), 340)


def _ceiling(comparison: Comparison) -> float:
    """Return the highest loss that is drawn. The best loss of every run is below it."""
    curves = [[value for _, value in run.curve("tokens")] for run in comparison.runs]
    best = [min(curve) for curve in curves if curve]
    return max(*best, min(best) + SHOWN_RANGE * (max(max(curve) for curve in curves if curve) - min(best)))


def _unit(most: float) -> tuple[float, str]:
    """Return a power of 1,000 that makes the numbers short, and the unit of the numbers divided by it."""
    power = 0
    while most >= 1000 and power < len(PREFIXES) - 1:
        most, power = most / 1000, power + 1
    return 1000.0**power, f"training {PREFIXES[power]}FLOP"


def _below(points: Sequence[Point], ceiling: float, scale: float) -> list[Point]:
    return [(x / scale, y) for x, y in points if y <= ceiling]


def _convergence(comparison: Comparison) -> str:
    intro = "Where the validation curve first reaches a loss, on a straight line between evaluations; means over seeds."
    return (
        f'<h2>How fast they converge</h2><p class="quiet">{intro}</p>'
        f"{_table(comparison.groups, *compare_table.convergence(comparison))}"
    )


# ---------------------------------------------------------------------------- samples and settings


def _samples(comparison: Comparison) -> str:
    """Show the last samples of one run a group, prompt by prompt."""
    shown = [(number, group.name, group.runs[0]) for number, group in enumerate(comparison.groups)]
    last = [(number, name, _last_samples(run)) for number, name, run in shown]
    prompts = list(dict.fromkeys(prompt for _, _, samples in last for prompt in samples))
    if not prompts:
        return ""
    parts = ["<h2>Last samples</h2>"]
    if _has_seeds(comparison):
        parts.append('<p class="quiet">The samples of a group are its first run\'s.</p>')
    for index, prompt in enumerate(prompts):
        cards = "".join(
            f"<div><h3>{_swatch(number)}{escape(name)}</h3><p>{sample_html(samples[prompt])}</p></div>"
            for number, name, samples in last
            if prompt in samples
        )
        side = f'<div class="side">{cards}</div>'
        parts.append(f"<details><summary>{escape(prompt) or 'no prompt'}</summary>{side}</details>" if index else side)
    return "".join(parts)


def _last_samples(run: Compared) -> dict[str, Sample]:
    sections = run.record.samples
    return {sample.prompt: sample for sample in sections[-1].samples} if sections else {}


def _settings(comparison: Comparison) -> str:
    if not comparison.settings:
        return ""
    head = "".join(f'<th scope="col">{escape(run.label)}</th>' for run in comparison.runs)
    rows = "".join(
        f'<tr><th scope="row">{escape(key)}</th>{"".join(f"<td>{_value(value)}</td>" for value in values)}</tr>'
        for key, values in comparison.settings.items()
    )
    return (
        "<h2>Where the runs' settings differ</h2>"
        f'<div class="scroll"><table class="numbers values"><tr><td></td>{head}</tr>{rows}</table></div>'
    )


def _value(value: Any) -> str:
    return as_html("-" if value is None else json.dumps(value) if isinstance(value, list | dict) else value)


def _repeat(comparison: Comparison) -> str:
    runs = [shlex.quote(str(run.record.path)) for run in comparison.runs]
    trains = [f"lilliput train {run}/recipe.yaml --name NEW" for run in runs]
    lines = "\n".join(map(escape, [f"lilliput compare {' '.join(runs)}", *trains]))
    return f"<h2>How to repeat it</h2><pre><code>{lines}</code></pre>"
