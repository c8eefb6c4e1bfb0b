"""Deprecated names, kept for a while: each works as its new name does, and warns."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn that `old` is called `new` now, at the line of the caller's caller."""
    warnings.warn(f"{old} is called {new} now; the old name will be removed", DeprecationWarning, stacklevel)


def renamed(old: str, new: str) -> Callable[..., Any]:
    """A method called `old` that warns, then does what the method `new` of the same object does."""

    def method(self: Any, *given: Any, **options: Any) -> Any:
        warn_renamed(f"{type(self).__name__}.{old}", f"{type(self).__name__}.{new}")
        return getattr(self, new)(*given, **options)

    method.__name__, method.__doc__ = old, f"Deprecated: `{new}` under its name of before."
    return method
