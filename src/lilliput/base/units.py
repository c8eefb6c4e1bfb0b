"""Sizes and times as people write them: 5m parameters, 30m of time."""

from __future__ import annotations

import re

from lilliput.base.errors import ConfigError

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}


def seconds(text: str) -> float:
    """Return the seconds of '90s', '10m', '2h', '1.5d' or a plain number. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text)
    if not found or not float(found[1]):
        raise ConfigError(f"'{text}' is not a length of time", "write 90s, 10m, 2h or 1.5d")
    return float(found[1]) * SECONDS[found[2] or "s"]


def count(text: str) -> float:
    """Return the number of parameters of '5m', '1.5b', '800k' or a plain number. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmb]?)\s*", text.lower())
    if not found or not float(found[1]):
        raise ConfigError(f"'{text}' is not a number of parameters", "write 800k, 5m or 1.5b")
    return float(found[1]) * COUNTS[found[2]]
