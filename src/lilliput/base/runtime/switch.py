"""Choices by environment variables, and LILLIPUT_PLAIN, the one switch that turns the whole runtime off."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lilliput.base.errors import ConfigError, nearest

PLAIN = "LILLIPUT_PLAIN"
SYSTEM = "system"
"""The choice that every variable of the runtime accepts: the system's own behaviour, without Lilliput's changes."""


def plain() -> bool:
    """Return whether `$LILLIPUT_PLAIN` is 1. Lilliput's kernels, products, allocator, spin, restart and native decoding
    are then off. Raises ConfigError where the variable is neither 1 nor 0."""
    asked = os.environ.get(PLAIN) or "0"
    if asked not in ("0", "1"):
        raise ConfigError(f"{PLAIN}={asked} is neither 1 nor 0", f"{PLAIN}=1 turns the runtime off")
    return asked == "1"


def choice(variable: str, choices: Sequence[str]) -> str:
    """Return the value of `$variable`: 'auto' where it is not set, and SYSTEM where LILLIPUT_PLAIN is 1. Raises
    ConfigError for a value that is none of `choices`."""
    name = os.environ.get(variable) or "auto"
    if name not in choices:
        raise ConfigError(f"{variable}={name} is unknown{nearest(name, choices)}", f"known: {', '.join(choices)}")
    return SYSTEM if plain() else name


def reason(variable: str) -> str:
    """Return the setting that chose SYSTEM: 'LILLIPUT_PLAIN=1', or the setting of `variable`."""
    return f"{PLAIN}=1" if plain() else f"{variable}={SYSTEM}"
