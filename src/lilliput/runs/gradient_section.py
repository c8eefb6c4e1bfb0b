"""The section of a run's report on the gradient of each block through training."""

from __future__ import annotations

from lilliput.base.chart import Chart, Series
from lilliput.runs.names import GRADIENTS
from lilliput.runs.record import RunRecord

MOST = 8
"""The most blocks that the chart draws; of more it draws as many, spread over the depth."""


def gradients(record: RunRecord) -> str:
    """Return the section as HTML; empty for a run that did not measure them."""
    lines = [line for line in record.metrics if isinstance(line.get(GRADIENTS), list) and "step" in line]
    if len(lines) < 2:
        return ""
    count = len(lines[-1][GRADIENTS])
    shown = sorted({round(place * (count - 1) / max(1, min(count, MOST) - 1)) for place in range(min(count, MOST))})
    series = [
        Series(f"block {block}", [(line["step"], line[GRADIENTS][block]) for line in lines], colour=place)
        for place, block in enumerate(shown)
    ]
    words = "<p>A line is a block: the norm of its gradient before clipping.</p>"
    return f"<h2>Gradients</h2>{words}<figure>{Chart('Norm of the gradient', series, 'step').svg()}</figure>"
