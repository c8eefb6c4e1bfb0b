"""The section of a run's report on experts: how each layer's router spread the tokens through training."""

from __future__ import annotations

from collections.abc import Sequence

from lilliput.base.chart import Chart, Level, Series
from lilliput.base.html import table
from lilliput.runs.names import EXPERT_LOAD
from lilliput.runs.record import RunRecord

IDLE = 0.1
"""An expert with less than this part of the even share of choices counts as idle."""
MOST = 16
"""The most experts that a chart draws; of more it draws the busiest and the idlest."""


def experts(record: RunRecord) -> str:
    """Return the section as HTML; empty for a run without experts."""
    lines = [line for line in record.metrics if isinstance(line.get(EXPERT_LOAD), list) and "step" in line]
    if len(lines) < 2:
        return ""
    layers = range(len(lines[-1][EXPERT_LOAD]))
    charts = "".join(
        f"<figure>{_chart(layer, [(line['step'], line[EXPERT_LOAD][layer]) for line in lines])}</figure>"
        for layer in layers
    )
    words = (
        "<p>A line is an expert: the share of the tokens' choices that the layer's router gave to it. The dashed line "
        "is the even share.</p>"
    )
    rows = {f"layer {layer}": _spread(lines[-1][EXPERT_LOAD][layer]) for layer in layers}
    return f'<h2>Experts</h2>{words}<div class="trio">{charts}</div>{table(rows)}'


def idle(load: Sequence[float]) -> int:
    """The number of idle experts, by the share of the choices that each expert had."""
    return sum(share < IDLE / len(load) for share in load)


def _chart(layer: int, points: list[tuple[float, list[float]]]) -> str:
    last = points[-1][1]
    order = sorted(range(len(last)), key=lambda expert: -last[expert])
    shown = sorted(order if len(order) <= MOST else [*order[: MOST // 2], *order[-MOST // 2 :]])
    series = [
        Series(f"{expert}" if len(shown) <= 8 else "", [(step, load[expert]) for step, load in points], colour=place)
        for place, expert in enumerate(shown)
    ]
    levels = [Level("even", 1 / len(last))]
    return Chart(f"Layer {layer}", series, "step", levels=levels, width=290, height=220).svg()


def _spread(load: list[float]) -> dict[str, str]:
    even = 1 / len(load)
    return {
        "busiest": f"{max(load) / even:.2f} of the even share",
        "idlest": f"{min(load) / even:.2f} of the even share",
        "experts with under a tenth of it": f"{idle(load)} of {len(load)}",
    }
