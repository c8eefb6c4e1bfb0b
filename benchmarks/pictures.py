"""Charts as an SVG file that reads on light and dark pages."""

from __future__ import annotations

from pathlib import Path

from lilliput.base.chart import STYLE, Chart
from lilliput.base.files import write_text


def write_svg(path: Path, charts: list[Chart]) -> Path:
    """The charts under each other on paper of their own, in one file; returns its path."""
    width, height = max(chart.width for chart in charts), sum(chart.height for chart in charts)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fffdf8"/>',
    ]
    top = 0
    for chart in charts:
        parts.append(f'<g transform="translate(0 {top})">{chart.svg()}</g>')
        top += chart.height
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "\n".join([*parts, "</svg>"]) + "\n")
    return path
