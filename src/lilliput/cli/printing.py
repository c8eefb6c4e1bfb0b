"""Tables on the console: cells are printed unchanged, never read as markup, and never cut off in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from lilliput.base import console


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns under a line. The first column is aligned left, every other column right."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for number, line in enumerate(lines):
        cells = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        console.print_line("  ".join([line[0].ljust(widths[0]), *cells]).rstrip())
        if number == 0:
            console.print_line("  ".join("-" * width for width in widths))


def print_texts(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns of text side by side, with long cells broken into lines."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False, show_lines=True, header_style="bold")
    for name in head:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(console.printable(cell, console.console.encoding)) for cell in row))
    console.console.print(table)
