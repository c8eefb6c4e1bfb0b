"""The report of an IsoFLOP study: its curves, its line of best sizes, its law, and the test on the held-out budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lilliput.base.chart import STYLE, Chart, Level, Mark, Point, Series
from lilliput.base.console import duration, number
from lilliput.base.html import document, escape, table
from lilliput.planning.study import Curve, Findings, Interval, Trial

PAPER = "#fffdf8"


def curves_chart(
    trials: Sequence[Trial], findings: Findings, held_out: float | None, width: int = 920, height: int = 460
) -> Chart:
    """Draw bits per byte by size: runs as dots, a parabola through each budget's runs, a star at the best size of the
    held-out budget."""
    tested = findings.held_out
    shown = [*findings.curves, *([tested.curve] if tested else [])]
    series = []
    for i, curve in enumerate(shown):
        mine = [trial for trial in trials if trial.budget == curve.budget]
        place = i / max(len(shown) - 1, 1)
        apart = " (held out)" if curve.budget == held_out else ""
        series.append(Series(f"{_power(curve.budget)} FLOPs{apart}", _bow(curve, mine), shade=place, thin=True))
        series.append(Series("", [(t.size, t.loss) for t in mine], dots=True, line=False, shade=place))
    found = [(curve.best, curve.loss) for curve in shown if curve.best is not None and curve.loss is not None]
    series.append(Series("best sizes", found, colour=1, dots=True))
    marks, verticals = [], []
    if tested and tested.curve.best is not None and tested.curve.loss is not None:
        tip = f"best of the held-out budget: {number(tested.curve.best)}"
        marks = [Mark(tested.curve.best, tested.curve.loss, "", tip)]
        verticals = [Level(f"predicted {number(tested.size_by_line)}", tested.size_by_line)]
    return Chart(
        "Validation bits per byte at equal compute", series, "size: training FLOPs a token / 6", verticals=verticals,
        marks=marks, log_x=True, width=width, height=height,
    )  # fmt: skip


def line_chart(findings: Findings, width: int = 920, height: int = 300) -> Chart:
    """Draw the best size by budget: the line of approach 2, the line of the law, and the best sizes found."""
    tested = findings.held_out
    found = [(curve.budget, curve.best) for curve in findings.curves if curve.best is not None]
    ends = [findings.curves[0].budget, tested.curve.budget if tested else findings.curves[-1].budget]
    power = [(c, math.exp(findings.intercept + findings.exponent * math.log(c))) for c in ends]
    law = [(c, findings.law.optimum(c).parameters) for c in ends]
    best = tested.curve.best if tested else None
    marks = [Mark(ends[1], best, "", f"held out: {number(best)}")] if best is not None else []
    return Chart(
        "Best size by budget",
        [
            Series("approach 2: a line through the minima", power, colour=0),
            Series("approach 3: the law", law, colour=2),
            Series("minima", found, colour=1, dots=True, line=False),
        ],
        "FLOPs",
        marks=marks,
        log_x=True,
        log_y=True,
        width=width,
        height=height,
    )


def picture(trials: Sequence[Trial], findings: Findings, held_out: float | None) -> str:
    """Return the curves as an SVG file with its own background."""
    head, _, rest = curves_chart(trials, findings, held_out).svg().partition(">")
    return f'{head}>\n<style>{STYLE}</style>\n<rect width="100%" height="100%" fill="{PAPER}" rx="12"/>{rest}\n'


def page(
    name: str, trials: Sequence[Trial], findings: Findings, held_out: float | None, failed: Sequence[str] = ()
) -> str:
    """Return the whole report as one offline page."""
    wide = curves_chart(trials, findings, held_out), line_chart(findings)
    narrow = curves_chart(trials, findings, held_out, 350, 380), line_chart(findings, 350, 300)
    figures = [
        f"<figure>{_kind(large, 'wide')}{_kind(small, 'narrow')}</figure>"
        for large, small in zip(wide, narrow, strict=True)
    ]
    seconds = sum(trial.seconds for trial in trials)
    doubts = [*findings.doubts, *failed]
    noted = f'<div class="problems">{"<br>".join(map(escape, doubts))}</div>' if doubts else ""
    body = f"""<header><div class="eyebrow">Lilliput study</div><h1>{escape(name)}</h1>
<p class="facts">{len(trials)} runs · {duration(seconds)} of training · {len(findings.curves)} budgets</p>
{noted}</header>
<h2>Loss by size</h2>{figures[0]}
<p class="quiet">Every dot is a run with a schedule of its own length. A budget's curve is a parabola in the
logarithm of the size. Sizes are training FLOPs a token / 6, so that budget = 6 x size x tokens exactly.</p>
{table({_power(curve.budget): _curve_cells(curve) for curve in findings.curves})}
<h2>How the best size grows</h2>{figures[1]}{_fits(findings)}
{_held_out(findings)}
<h2>Runs</h2>{table({trial.run: _trial_cells(trial) for trial in trials})}
<footer>Intervals: 95% by residual bootstrap. They contain the residuals of the fits, and not errors of the law's
form. Law: L = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022, arXiv:2203.15556, approaches 2 and 3), in bits
per byte of this study's own data.</footer>"""
    return document(name, body, STYLE)


def _fits(findings: Findings) -> str:
    rows = {
        "exponent of size in budget, approach 2": with_interval(
            findings.exponent, findings.exponent_interval, "{:.3f}"
        ),
        "exponent of size in budget, the law": f"{findings.law_exponent:.3f}",
        **{
            name: with_interval(value, findings.law_intervals[name], "{:.4g}")
            for name, value in findings.law.as_dict().items()
        },
    }
    return table({name: {"value, 95% interval": text} for name, text in rows.items()})


def _held_out(findings: Findings) -> str:
    tested = findings.held_out
    if tested is None:
        return ""
    curve = tested.curve
    sizes = {
        "predicted by approach 2": {"best size": sized(tested.size_by_line, tested.size_by_line_interval)},
        "predicted by the law": {
            "best size": sized(tested.size_by_law, tested.size_by_law_interval),
            "its bits per byte": with_interval(tested.loss_by_law, tested.loss_by_law_interval, "{:.4f}"),
        },
        "found": {
            "best size": "-" if curve.best is None else sized(curve.best, curve.interval),
            "its bits per byte": "-" if curve.loss is None else f"{curve.loss:.4f}",
        },
    }
    runs = {
        str(run["run"]): {
            "predicted": f"{run['predicted']:.4f}",
            "reached": f"{run['actual']:.4f}",
            "error": f"{run['error']:+.1%}",
        }
        for run in tested.runs
    }
    return (
        f"<h2>The test: {_power(curve.budget)} FLOPs, held out of every fit</h2>{table(sizes)}"
        f"<p>The law's bits per byte are off by {tested.mean_error:.1%} on average, at worst {tested.worst:+.1%}.</p>"
        f"{table(runs)}"
    )


def _curve_cells(curve: Curve) -> dict[str, Any]:
    return {
        "best size": "-" if curve.best is None else sized(curve.best, curve.interval),
        "tokens": "-" if curve.tokens is None else number(curve.tokens),
        "tokens a parameter": "-" if not curve.best or not curve.tokens else f"{curve.tokens / curve.best:.3g}",
        "bits per byte": "-" if curve.loss is None else f"{curve.loss:.4f}",
        "runs": curve.trials,
    }


def _trial_cells(trial: Trial) -> dict[str, Any]:
    return {
        "parameters": number(trial.parameters),
        "size": number(trial.size),
        "tokens": number(trial.tokens),
        "epochs": f"{trial.epochs:.2g}",
        "bits per byte": f"{trial.loss:.4f}",
        "time": duration(trial.seconds),
    }


def _bow(curve: Curve, trials: Sequence[Trial]) -> list[Point]:
    """Return points of the parabola over the sizes that were run."""
    low, high = math.log(min(t.size for t in trials)), math.log(max(t.size for t in trials))
    sizes = (math.exp(low + (high - low) * i / 60) for i in range(61))
    return [(size, curve.parabola.loss(size)) for size in sizes]


def _kind(chart: Chart, kind: str) -> str:
    return chart.svg().replace('class="chart"', f'class="chart {kind}"', 1)


def with_interval(value: float, span: Interval, form: str) -> str:
    """Format a value with its interval, such as '0.512 [0.48, 0.55]'."""
    return form.format(value) + (f" [{form.format(span[0])}, {form.format(span[1])}]" if span else "")


def sized(value: float, span: Interval) -> str:
    """Format a size with its interval, such as '1.2M [0.9M, 1.5M]'."""
    return number(value) + (f" [{number(span[0])}, {number(span[1])}]" if span else "")


def _power(flops: float) -> str:
    return f"{flops:.3g}".replace("e+", "e")
