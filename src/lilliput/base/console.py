"""Output for people and programs: one console, the JSON mode, numbers for people, and progress of long work.

In JSON mode (`--json`) standard output carries one JSON object and nothing else. All other output goes to standard
error.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from time import monotonic
from typing import Any

from rich.console import Console

PIPE_WIDTH = 160
"""Columns of an output that is not a terminal. Rich would otherwise assume 80, and shorten the cells of tables."""


def _width() -> int | None:
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH


console = Console(highlight=False, width=_width())
_json = False


def use_json(on: bool = True) -> None:
    """Turn JSON mode on or off. A command that reports calls this first, with its `--json`."""
    global _json
    _json = on
    console.stderr = on


def json_mode() -> bool:
    """Return whether standard output is reserved for one JSON object."""
    return _json


def is_terminal() -> bool:
    """Return whether the console is a terminal that can redraw, and does not call itself dumb."""
    return console.is_terminal and not console.is_dumb_terminal


def print_line(text: str = "", style: str | None = None) -> None:
    """Print a line unchanged: brackets are not markup, and a pipe gets the line unwrapped. In JSON mode the line goes
    to standard error."""
    text = printable(text, console.encoding)
    console.print(text, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a line on standard error, which leaves standard output to texts and JSON."""
    print(printable(text, sys.stderr.encoding or "ascii"), file=sys.stderr)


SHELL_FOLDER = "LILLIPUT_SHELL_FOLDER"
"""Environment variable with the folder of the person's shell, set for a process that a queue starts in another
folder."""


def typed(path: Path) -> str:
    """Return a path that can be typed in the person's shell: relative to the shell's folder where it lies below it."""
    shell = Path(os.environ.get(SHELL_FOLDER) or Path.cwd()).resolve()
    whole = (Path.cwd() / path).resolve()
    return shlex.quote(str(whole.relative_to(shell) if whole.is_relative_to(shell) else whole))


def aside(text: str) -> None:
    """Print a line on standard error. Control characters are replaced, because a name in it may come from a file."""
    print(printable(text, sys.stderr.encoding or "utf-8"), file=sys.stderr)


def command() -> str:
    """Return the command to type for `lilliput` in this shell: its name where it is on the path, else its path."""
    return _program("lilliput", Path.resolve)


def python() -> str:
    """Return the command to type for the running Python in this shell."""
    return _program("python", Path.absolute)  # not resolved: a virtual environment is recognised by the link's folder


def _program(name: str, whole: Callable[[Path], Path]) -> str:
    own = Path(sys.executable).parent / Path(name).with_suffix(".exe" if os.name == "nt" else "")
    found = shutil.which(name)
    if not own.is_file() or (found and whole(Path(found)) == whole(own)):
        return name
    shell = Path(os.environ.get(SHELL_FOLDER) or Path.cwd())  # not resolved: `own` is not resolved either
    return shlex.quote(str(own.relative_to(shell) if own.is_relative_to(shell) else own))


def printable(text: str, encoding: str) -> str:
    """Return `text` with replacements for characters that `encoding` lacks and for control characters except tab and
    newline. A generated text must neither end the program nor move the cursor."""
    shown = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)
    return shown.encode(encoding, "replace").decode(encoding)


def emit(result: Mapping[str, Any]) -> None:
    """Print the command's result as one JSON object on standard output. Numbers that JSON lacks (NaN) become null,
    paths become text, and NumPy and torch scalars become numbers. Raises TypeError for any other value."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"  # else \u escapes, which every encoding has
    print(json.dumps(_plain(result), ensure_ascii=not utf8, allow_nan=False), flush=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, PurePath):
        return os.fspath(value)
    if hasattr(value, "item"):
        return _plain(value.item())
    raise TypeError(f"{type(value).__name__} has no place in JSON: {value!r}")


# ---------------------------------------------------------------------------- numbers for people


def number(value: float) -> str:
    """Format a number with three significant digits and a suffix: 950, 1.23k, 1.2M, 8.03B, 1.4T."""
    return _scaled(value, ("", "k", "M", "B", "T"), "")


def size(count: float) -> str:
    """Format bytes in powers of 1,000: '512 B', '1.5 MB'."""
    return _scaled(count, ("B", "kB", "MB", "GB", "TB", "PB"), " ")


def flops(count: float) -> str:
    """Format floating-point operations with SI prefixes: '162 GFLOP', '3.1 PFLOP'."""
    return _scaled(count, tuple(f"{prefix}FLOP" for prefix in ("", "k", "M", "G", "T", "P", "E", "Z")), " ")


def _scaled(value: float, units: tuple[str, ...], gap: str) -> str:
    if not math.isfinite(value):
        return str(value)
    place = 0
    # a value from 999.5 on would print as 1000 of the smaller unit, so the larger unit starts there
    while abs(value) >= 999.5 and place < len(units) - 1:
        value /= 1000
        place += 1
    digits = f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"
    return f"{digits}{gap}{units[place]}".rstrip()


def duration(seconds: float) -> str:
    """Format a time in its two largest units: '0.4s', '42s', '3m 10s', '2h 05m', '3d 4h'."""
    if not math.isfinite(seconds):
        return "?"
    if 0 < abs(seconds) < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days}d {hours % 24}h"
    if hours:
        return f"{hours}h {minutes % 60:02d}m"
    return f"{minutes}m {whole % 60:02d}s" if minutes else f"{whole}s"


# ---------------------------------------------------------------------------- progress of long work


class Progress:
    """Progress of a piece of work: a bar on a terminal, elsewhere a line of key=value pairs every `interval`
    seconds."""

    def __init__(self, description: str, total: float | None, bar: Any, task: Any, interval: float):
        self.description, self.total, self.done = description, total, 0.0
        self._bar, self._task, self._interval = bar, task, interval
        self._began = self._printed = monotonic()
        self._shown = math.nan

    def advance(self, amount: float = 1) -> None:
        """Add `amount` to the work done."""
        self.update(self.done + amount)

    def update(self, done: float, total: float | None = None) -> None:
        """Set the work done, and the `total` where it became known."""
        self.done, self.total = done, self.total if total is None else total
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self.total)
        elif monotonic() - self._printed >= self._interval:
            self._line()

    def describe(self, description: str) -> None:
        """Name the present part of the work."""
        self.description = description
        if self._bar is not None:
            self._bar.update(self._task, description=description)

    def close(self) -> None:
        """Print a last line, where earlier lines were printed and the end is not shown yet."""
        if self._bar is None and self._printed > self._began and self._shown != self.done:
            self._line()

    def _line(self) -> None:
        self._printed, self._shown = monotonic(), self.done
        seconds = self._printed - self._began
        parts = [f"progress={json.dumps(self.description)}", f"done={self.done:.0f}"]
        if self.total:
            parts += [f"total={self.total:.0f}", f"percent={100 * self.done / self.total:.1f}"]
        print_line(" ".join([*parts, f"seconds={seconds:.1f}", f"per_second={self.done / max(seconds, 1e-9):.3g}"]))


@contextmanager
def progress(
    description: str, total: float | None = None, unit: str = "", *, interval: float = 10.0
) -> Iterator[Progress]:
    """Show the progress of a piece of work of `total` steps (None: unknown). The bar is erased at the end.

    >>> with progress("tokenising", len(documents), "documents") as bar:
    ...     for document in documents:
    ...         bar.advance()
    """
    bar = _bar(unit) if is_terminal() else None
    task = bar.add_task(description, total=total) if bar else None
    report = Progress(description, total, bar, task, interval)
    if bar:
        with bar:
            yield report
    else:
        yield report
        report.close()


def _bar(unit: str) -> Any:
    from rich import progress as parts

    class Amount(parts.ProgressColumn):
        """'1.2M of 3.4M documents, 45k a second'."""

        def render(self, task: parts.Task) -> str:
            of = f" of {number(task.total)}" if task.total else ""
            speed = f", {number(task.speed)}/s" if task.speed else ""
            return " ".join(filter(None, [f"{number(task.completed)}{of}", unit])) + speed

    columns = (
        parts.TextColumn("{task.description}", markup=False),
        parts.BarColumn(bar_width=None),
        Amount(),
        parts.TimeRemainingColumn(compact=True),
    )
    return parts.Progress(*columns, console=console, transient=True, refresh_per_second=4, expand=True)
