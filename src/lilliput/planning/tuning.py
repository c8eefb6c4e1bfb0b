"""Verdicts on short runs at several batch sizes or learning rates (stable, fast, good), and their pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lilliput.base.chart import STYLE, Chart, Series, figure
from lilliput.base.console import size
from lilliput.base.html import document, escape, table

ROSE_AGAIN = 1.1
"""A run whose last validation loss is this many times its lowest has diverged, though its numbers are finite."""
AS_GOOD = 1.02
"""A loss up to the best loss times this number counts as good. One seed and a short run cannot separate such losses."""
VERDICTS = ("too low", "good", "too high", "divergent")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one short run. `value` is the number that was varied. The three losses are validation bits per
    byte at the start, at the lowest point and at the end, None where the run ended before. `failed` is the reason of a
    run that stopped with an error."""

    value: float
    steps: int
    tokens: int
    first: float | None
    lowest: float | None
    last: float | None
    tokens_per_second: float | None
    peak_bytes: int | None
    failed: str | None = None

    @property
    def unstable(self) -> str | None:
        """Return why this run did not learn steadily; None where it did."""
        if self.failed is not None or self.last is None or self.first is None or self.lowest is None:
            return self.failed or "no loss was measured"
        if not math.isfinite(self.last):
            return "the loss is not finite"
        if self.last > AS_GOOD * self.first:
            return f"ended at {self.last:.3f} bits per byte, above its first loss ({self.first:.3f})"
        if self.last > ROSE_AGAIN * self.lowest:
            return f"rose again from {self.lowest:.3f} to {self.last:.3f} bits per byte"
        return None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "unstable": self.unstable}


# ---------------------------------------------------------------------------- learning rates


@dataclass(frozen=True, slots=True)
class Rates:
    """Outcomes with their verdicts, by rising multiple of the recipe's learning rates. `best` is the multiple with the
    lowest loss, None where every run diverged."""

    outcomes: tuple[Outcome, ...]
    verdicts: tuple[str, ...]
    best: float | None
    doubts: tuple[str, ...]


def judge_rates(outcomes: Sequence[Outcome]) -> Rates:
    """Give each outcome a verdict: 'good' within AS_GOOD of the lowest loss, 'too low' or 'too high' on either side of
    it, 'divergent' where the run was unstable."""
    rising = tuple(sorted(outcomes, key=lambda outcome: outcome.value))
    stable = [outcome for outcome in rising if outcome.unstable is None]
    best = min(stable, key=lambda outcome: outcome.last or math.inf, default=None)
    doubts = []
    if best is None:
        doubts.append("every rate diverged: try smaller rates (--factors)")
    else:
        if best.value == rising[0].value:
            doubts.append("the best rate is the smallest that was tried: try smaller rates (--factors)")
        if best.value == stable[-1].value == rising[-1].value:
            doubts.append("the best rate is the largest that was tried: try larger rates (--factors)")
        if len(stable) == len(rising):
            doubts.append(f"no rate diverged, up to {rising[-1].value:g} times the recipe's rates")
    verdicts = tuple(_verdict(outcome, best) for outcome in rising)
    return Rates(rising, verdicts, best.value if best else None, tuple(doubts))


def _verdict(outcome: Outcome, best: Outcome | None) -> str:
    if outcome.unstable is not None or best is None or outcome.last is None or best.last is None:
        return "divergent"
    if outcome.last <= AS_GOOD * best.last:
        return "good"
    return "too low" if outcome.value < best.value else "too high"


def rates_page(name: str, rates: Rates) -> str:
    """Return the sweep as one offline page."""
    shown = [
        Series(kind, _points(rates, kind), colour=(2, 0, 1, 3)[i], dots=True, line=False)
        for i, kind in enumerate(VERDICTS)
    ]
    joined = Series("", [(o.value, o.last) for o in rates.outcomes if o.last is not None and o.unstable is None],
                    thin=True)  # fmt: skip
    series = [joined, *(one for one in shown if one.points)]
    rows = {
        f"x\u00a0{multiple(outcome.value)}": {
            "verdict": verdict,
            "bits per byte": "-" if outcome.last is None else f"{outcome.last:.4f}",
            "why": outcome.unstable or "",
        }
        for outcome, verdict in zip(rates.outcomes, rates.verdicts, strict=True)
    }
    charts = [("Validation bits per byte by multiple of the learning rates", series)]
    return _page(
        f"{name}: short real runs", "Learning rates", "multiple of the recipe's rates", charts, rows, rates.doubts
    )


def multiple(value: float) -> str:
    """Format a multiple: '1/64' for 0.015625, or the number where it is no such fraction."""
    below = 1 / value
    return f"1/{below:.0f}" if below > 1.5 and abs(below - round(below)) < 1e-9 * below else f"{value:g}"


def _points(rates: Rates, kind: str) -> list[tuple[float, float]]:
    pairs = zip(rates.outcomes, rates.verdicts, strict=True)
    return [(o.value, o.last) for o, verdict in pairs if verdict == kind and o.last is not None]


# ---------------------------------------------------------------------------- batch sizes


@dataclass(frozen=True, slots=True)
class Batches:
    """Outcomes by rising batch size in tokens, all after the same number of tokens. The three choices are batch
    sizes."""

    outcomes: tuple[Outcome, ...]
    largest_stable: float | None
    fastest: float | None
    best: float | None
    doubts: tuple[str, ...]


def judge_batches(outcomes: Sequence[Outcome]) -> Batches:
    """Find the largest stable batch, the fastest batch, and the batch with the lowest loss after the same tokens."""
    rising = tuple(sorted(outcomes, key=lambda outcome: outcome.value))
    stable = [outcome for outcome in rising if outcome.unstable is None]
    fastest = max(stable, key=lambda outcome: outcome.tokens_per_second or 0.0, default=None)
    best = min(stable, key=lambda outcome: outcome.last or math.inf, default=None)
    doubts = []
    if stable and len(stable) == len(rising):
        doubts.append(
            f"all batches were stable: the largest stable batch may be over {rising[-1].value:,.0f} tokens (--sizes)"
        )
    doubts.append("every batch size used the recipe's learning rates; larger batches often want larger rates")
    return Batches(
        rising,
        stable[-1].value if stable else None,
        fastest.value if fastest else None,
        best.value if best else None,
        tuple(doubts),
    )


def batch_cells(outcome: Outcome) -> dict[str, str]:
    """Format one row for people."""
    return {
        "steps": f"{outcome.steps:,}",
        "tokens/s": "-" if outcome.tokens_per_second is None else f"{outcome.tokens_per_second:,.0f}",
        "memory": "-" if outcome.peak_bytes is None else size(outcome.peak_bytes),
        "bits per byte": "-" if outcome.last is None else f"{outcome.last:.4f}",
        "": outcome.unstable or "stable",
    }


def batches_page(name: str, batches: Batches) -> str:
    """Return the table and its curves as one offline page."""
    known = [outcome for outcome in batches.outcomes if outcome.unstable is None]
    measures = {
        "Validation bits per byte": [(o.value, o.last) for o in known],
        "Tokens a second": [(o.value, o.tokens_per_second) for o in known],
        "Peak memory of the process, bytes": [(o.value, o.peak_bytes) for o in known],
    }
    charts = [
        (title, [Series(title, [(x, float(y)) for x, y in points if y is not None], colour=i, dots=True)])
        for i, (title, points) in enumerate(measures.items())
    ]
    rows = {f"{outcome.value:,.0f} tokens": batch_cells(outcome) for outcome in batches.outcomes}
    about = f"{name}: short real runs on the same number of tokens"
    return _page(about, "Batch sizes", "tokens a step", charts, rows, batches.doubts)


def _page(
    about: str,
    title: str,
    x_label: str,
    charts: Sequence[tuple[str, Sequence[Series]]],
    rows: dict[str, dict[str, str]],
    doubts: Sequence[str],
) -> str:
    """Build a page with one chart of full width, or several charts side by side."""
    shown = [pair for pair in charts if any(one.points for one in pair[1])]
    if len(shown) == 1:
        ((caption, series),) = shown
        drawn = figure(Chart(caption, series, x_label, log_x=True, width=920, height=360), 300)
    else:
        small = (Chart(caption, series, x_label, log_x=True, width=290, height=230) for caption, series in shown)
        drawn = f'<div class="trio">{"".join(f"<figure>{chart.svg()}</figure>" for chart in small)}</div>'
    noted = f'<div class="problems">{"<br>".join(map(escape, doubts))}</div>' if doubts else ""
    body = f"""<header><div class="eyebrow">Lilliput plan</div><h1>{escape(title)}</h1>
<p class="facts">{escape(about)}</p>{noted}</header>
{drawn}
<h2>Runs</h2>{table(rows)}"""
    return document(title, body, STYLE)
