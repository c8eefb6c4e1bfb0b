"""A table of coloured numbers: places by words, such as layers by the words of a text."""

from __future__ import annotations

from collections.abc import Sequence

from lilliput.base.html import escape

STRONGEST = 50
"""The share in percent of the colour in a cell of the largest value: a number on more of it is hard to read in the
dark."""


def heat_table(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    largest: float | None = None,
    digits: int = 2,
) -> str:
    """Return a table of values (rows, columns) whose cells are coloured by value: green-blue above 0, red below.
    `largest` is the value of the full colour; by default it is the largest of the values. A value of None is drawn as
    a dash."""
    most = largest or max((abs(value) for line in values for value in line if value is not None), default=0.0) or 1.0
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = (
        f'<tr><th scope="row">{escape(name)}</th>{"".join(_cell(value, most, digits) for value in line)}</tr>'
        for name, line in zip(rows, values, strict=True)
    )
    return f'<div class="scroll"><table class="numbers heat"><tr><td></td>{head}</tr>{"".join(lines)}</table></div>'


def tint(value: float, largest: float) -> str:
    """Return the CSS background of a value: stronger for values nearer to `largest`, and none for 0."""
    share = STRONGEST * min(1.0, abs(value) / largest)
    return f"background: color-mix(in srgb, var({'--s0' if value > 0 else '--s3'}) {share:.0f}%, transparent)"


def _cell(value: float | None, largest: float, digits: int) -> str:
    if value is None:
        return "<td>–</td>"
    style = f' style="{tint(value, largest)}"' if round(abs(value), digits) else ""
    return f"<td{style}>{round(value, digits) + 0.0:.{digits}f}</td>"  # + 0.0 makes -0.0 a plain 0
