"""The entry point of the `lilliput` command: the start of the process, and errors as one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lilliput.base.cache import cache_folder
from lilliput.base.errors import LilliputError

LONGEST = 4000
"""An error line is cut after this many characters."""


def start() -> None:
    """Start the process.

    `lilliput train` starts again under a better memory allocator where one is installed. `lilliput wtac` is a filter,
    so it runs before the other commands are imported."""
    if sys.argv[1:] == ["wtac"]:
        from lilliput.cli.wtac import wtac

        with one_line_errors():
            wtac()
        return
    if sys.argv[1:2] == ["train"]:
        from lilliput.base.runtime import start

        with one_line_errors():
            start.restart()
    main()


def main() -> None:
    """Run the command. A character that the output's encoding lacks (a Windows pipe, LANG=C) is printed as '?'."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    from lilliput.cli.app import app

    with one_line_errors():
        app()


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End with exit code 2 and one line, without a traceback, on an error that a person can act on.

    The benchmarks' commands use this too."""
    try:
        yield
    except LilliputError as error:
        _complain(error.message, error.hint)
    except BrokenPipeError:
        # The reader of the pipe has closed it (`| head`), so no message can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        kept = error.filename and Path(os.fsdecode(error.filename)).is_relative_to(cache_folder())
        cache = "the cache cannot be used; set LILLIPUT_CACHE to a folder that can be written"
        path = "check the path, its permissions and the free disk space"
        _complain(f"{where}{error.strerror or error}", cache if kept else path)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        sys.exit(130)


def _complain(message: str, hint: str | None) -> None:
    """Print the error and its hint, a line each, and exit with code 2.

    A name that was read from a file can neither move the cursor nor fill the screen."""
    from lilliput.base.console import printable

    encoding = sys.stderr.encoding or "utf-8"
    for line in (f"error: {' '.join(message.split())}", f"  {hint}" if hint else ""):
        if line:
            shown = line if len(line) <= LONGEST else f"{line[:LONGEST]} ... ({len(line):,} characters)"
            sys.stderr.write(printable(shown, encoding) + "\n")
    sys.exit(2)
