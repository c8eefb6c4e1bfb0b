"""Errors that a person can act on. Each reports the event, its numbers, and the command to type next.

LilliputError               any problem with the input; the command exits with 2 and no traceback
├── ConfigError             a recipe, option or override that cannot be used
├── DataError               a source, document, tokenizer or shard that cannot be read
├── ModelError              a shape that cannot be built, or weights that do not fit it
├── CheckpointError         a run or checkpoint that is missing, damaged or of another recipe
├── TrainingError           training that cannot continue
├── DiskError               a file for which there is no room; an OSError as well
├── ExportError             a model that a file format cannot hold, or a file that cannot be read
├── FileError               a file whose content has the wrong form; a ValueError as well
└── MissingExtra            an optional dependency that is not installed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LilliputError(Exception):
    """`message` reports the event; `hint` names the next step or command (printed on its own line)."""

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message if hint is None else f"{message}\n  {hint}")
        self.message = message
        self.hint = hint


class ConfigError(LilliputError):
    """A recipe, option or override that cannot be used."""


class DataError(LilliputError):
    """A source, document, tokenizer or shard that cannot be read."""


class ModelError(LilliputError):
    """A shape that cannot be built, or weights that do not fit it."""


class CheckpointError(LilliputError):
    """A run or checkpoint that is missing, damaged or of another recipe."""


class TrainingError(LilliputError):
    """Training that cannot continue."""


class DiskError(LilliputError, OSError):
    """A file for which there is no room. An OSError too, with `errno` and `filename`."""

    def __str__(self) -> str:
        return str(self.args[0])


class ExportError(LilliputError):
    """A model that a file format cannot hold, or a file of such a format that cannot be read."""


class FileError(LilliputError, ValueError):
    """A file whose content has the wrong form. A ValueError too, because parsers raise it for their formats."""


class MissingExtra(LilliputError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed.",
            f"install it with: pip install 'lilliput[{extra}]'",
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the closest known name, or '' where no name is close."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{match[0]}'?)" if match else ""
