"""The IsoFLOP figure: loss against size at equal compute, the best size of each budget, and one model among them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

from lilliput.base.chart import STYLE, Chart, Level, Mark, Point, Series
from lilliput.base.console import flops as flops_text
from lilliput.base.console import number
from lilliput.base.html import document, escape
from lilliput.planning.chinchilla import (
    APPROACH_1,
    APPROACH_2,
    CHINCHILLA_FLOPS,
    FLOPS_PER_PARAMETER,
    REPLICATION,
    TOKENS_PER_PARAMETER,
    Law,
    Optimum,
    along,
    disagreement,
    methods,
)

CURVES, DECADES = 25, 3
BUDGETS = tuple(10 ** (17 + eighth / 8) for eighth in range(CURVES))
"""Budgets of the curves, 1e17 to 1e20 FLOPs in eighths of a decade, where the chosen budget lies in this range."""
AROUND = (40.0, 12.0)
"""The chart shows sizes from the smallest budget's best size divided by the first number to the largest budget's best
size times the second."""
SHOWN_LOSS = 1.6
"""Curves are cut above the smallest budget's least loss times this number, because only their ends lie there."""


def family(flops: float) -> tuple[float, ...]:
    """Return the budgets of the curves: BUDGETS, or as many budgets over the three decades around `flops` where it lies
    outside BUDGETS."""
    if BUDGETS[0] <= flops <= BUDGETS[-1]:
        return BUDGETS
    first = math.floor(math.log10(flops)) - 1
    return tuple(10 ** (first + DECADES * i / (CURVES - 1)) for i in range(CURVES))


def sizes(law: Law, budgets: tuple[float, ...], chosen: float) -> tuple[float, float]:
    """Return the smallest and the largest size to show with these budgets. The size `chosen` is always shown."""
    below, above = AROUND
    low, high = law.optimum(budgets[0]).parameters / below, law.optimum(budgets[-1]).parameters * above
    return min(low, chosen), max(high, chosen)


def curve(law: Law, flops: float, span: tuple[float, float], points: int = 121) -> list[Point]:
    """Return points (N, L) of sizes spread evenly, in logarithms, over `span`. Each size is trained on the tokens that
    `flops` pay for."""
    low, high = map(math.log, span)
    spread = (math.exp(low + (high - low) * i / (points - 1)) for i in range(points))
    return [(size, law.loss_at(size, flops)) for size in spread]


def figure(law: Law, chosen: Optimum, width: int = 920, height: int = 520) -> Chart:
    """Draw a curve for each budget of the family, a line through their minima, and a dashed line and a star at the
    chosen model."""
    budgets = family(chosen.flops)
    best = [law.optimum(budget) for budget in budgets]
    span = sizes(law, budgets, chosen.parameters)
    most = SHOWN_LOSS * law.loss_at(best[0].parameters, best[0].flops)
    curves = [
        Series("", [point for point in curve(law, budget, span) if point[1] <= most], thin=True, shade=i / (CURVES - 1))
        for i, budget in enumerate(budgets)
    ]
    minima = Series("the best size of each budget", [(o.parameters, law.loss_at(o.parameters, o.flops)) for o in best],
                    colour=0, dots=True)  # fmt: skip
    star = Mark(chosen.parameters, law.loss(chosen.parameters, chosen.tokens), "", describe(chosen))
    return Chart(
        f"Loss (nats a token), {_power(budgets[0])} to {_power(budgets[-1])} FLOPs",
        [*curves, minima],
        "parameters",
        verticals=[Level(f"{number(chosen.parameters)} parameters", chosen.parameters)],
        marks=[star],
        log_x=True,
        width=width,
        height=height,
    )


def _power(flops: float) -> str:
    return f"{flops:.3g}".replace("e+", "e")


def picture(law: Law, chosen: Optimum) -> str:
    """Return the figure as an SVG file with its own background."""
    svg = figure(law, chosen).svg()
    head, _, rest = svg.partition(">")
    return f'{head}>\n<style>{STYLE}</style>\n<rect width="100%" height="100%" fill="#fffdf8" rx="12"/>{rest}\n'


def describe(chosen: Optimum) -> str:
    """Describe the size, tokens and loss of a model in a phrase."""
    loss = "" if chosen.loss is None else f", loss {chosen.loss:.3f}"
    return (
        f"{number(chosen.parameters)} parameters on {number(chosen.tokens)} tokens "
        f"({chosen.tokens_per_parameter:.3g} a parameter): {flops_text(chosen.flops)}{loss}"
    )


def page(law: Law, chosen: Optimum) -> str:
    """Return the figure as an offline page with sliders for budget and size, and every method's optimum in a table."""
    laws = {"law": law.as_dict(), "again": REPLICATION.as_dict()}
    tables = {name: _line(table) for name, table in (("one", APPROACH_1), ("two", APPROACH_2))}
    facts = {**laws, **tables, "ratio": TOKENS_PER_PARAMETER, "factor": FLOPS_PER_PARAMETER}
    budgets = family(chosen.flops)
    low, high = math.log10(budgets[0]), math.log10(budgets[-1])
    least, most = map(math.log10, sizes(law, budgets, chosen.parameters))
    best = math.isclose(chosen.parameters, law.optimum(chosen.flops).parameters, rel_tol=1e-3)
    start = {"flops": math.log10(chosen.flops), "size": math.log10(chosen.parameters)}
    charts = (
        figure(law, chosen, width, height).svg().replace('class="chart"', f'class="chart {kind}"', 1)
        for kind, width, height in (("wide", 920, 520), ("narrow", 350, 420))
    )
    body = f"""<header><div class="eyebrow">Lilliput plan</div>
<h1>What to train with a budget</h1>
<p class="facts">Each curve spends the same FLOPs on models of every size: the smaller the model,
the more text it reads. Violet is the smallest budget, yellow the largest. The star is the chosen model; the sliders
move it. Other budgets:
<code>lilliput plan isoflop --flops 1e24 --page FILE</code>.</p></header>
<figure id="isoflop" data-facts="{escape(json.dumps(facts))}">{"".join(charts)}</figure>
<div class="dials">
<label>budget <output id="flops-text"></output>
<input id="flops" type="range" min="{low:.4f}" max="{high:.4f}" step="0.0125" value="{start["flops"]:.4f}"></label>
<label>parameters <output id="size-text"></output>
<input id="size" type="range" min="{least:.4f}" max="{most:.4f}" step="0.01" value="{start["size"]:.4f}"></label>
<label class="tick"><input id="follow" type="checkbox"{" checked" if best else ""}> keep to the best size</label>
</div>
<div class="tiles">
<div class="tile first"><b id="loss"></b><span>loss, nats a token</span></div>
<div class="tile"><b id="tokens"></b><span>training tokens</span></div>
<div class="tile"><b id="per-parameter"></b><span>tokens a parameter</span></div>
<div class="tile"><b id="lost"></b><span>lost against the best size</span></div>
</div>
<h2>Every method's best size for this budget</h2>
<div class="scroll"><table class="numbers" id="methods">{_rows(methods(chosen.flops).items())}</table></div>
<h2>Where they disagree: Chinchilla's own budget</h2>
<p>At {CHINCHILLA_FLOPS:.3g} FLOPs the authors trained 70B parameters on 1.4T tokens. The constants of their third
approach, rounded as printed, disagree: {escape(disagreement(methods(CHINCHILLA_FLOPS)))}.</p>
<div class="scroll"><table class="numbers">{_rows(methods(CHINCHILLA_FLOPS).items())}</table></div>
<footer>L(N, D) = {law.E:g} + {law.A:g} / N^{law.alpha:g} + {law.B:g} / D^{law.beta:g}, C = 6 N D (Hoffmann et al.
2022, arXiv:2203.15556); fitted again by Besiroglu et al. 2024 (arXiv:2404.10102). The losses are those of Chinchilla's
data and tokenizer, for models of 70M parameters and more; smaller models were not measured.</footer>"""
    return document("IsoFLOP", body, STYLE + DIALS, Path(__file__).with_name("isoflop.js").read_text(encoding="utf-8"))


DIALS = """
.dials { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 8px 26px; margin: 16px 0 0; }
.dials label { color: var(--muted); font-size: .92rem; }
.dials output { float: right; color: var(--ink); font-weight: 650; font-variant-numeric: tabular-nums; }
.dials input[type="range"] { display: block; width: 100%; accent-color: var(--s0); min-height: 30px; }
.dials input[type="number"] {
  display: block; width: 100%; font: inherit; padding: 6px 9px; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); color: var(--ink);
}
.dials .tick { align-self: center; }
"""


def _rows(found: Iterable[tuple[str, Optimum]]) -> str:
    head = "<tr><td></td><th>parameters</th><th>tokens</th><th>tokens a parameter</th></tr>"
    lines = (
        f'<tr><th scope="row">{escape(name)}</th><td>{number(o.parameters)}</td><td>{number(o.tokens)}</td>'
        f"<td>{o.tokens_per_parameter:.3g}</td></tr>"
        for name, o in found
    )
    return head + "".join(lines)


def _line(table: tuple[tuple[float, float], ...]) -> list[float]:
    """Return [slope, intercept] of log10 N = slope x log10 C + intercept, from two points of a published table's
    line."""
    low, high = (math.log10(along(table, flops).parameters) for flops in (1.0, 10.0))
    return [high - low, low]
