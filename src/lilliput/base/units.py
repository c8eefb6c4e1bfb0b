"""Sizes and times as people write them: 5m parameters, 30m of time."""

from __future__ import annotations

import math
import re
from decimal import Decimal, DecimalException

from lilliput.base.errors import ConfigError

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
COUNTS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}


def seconds(text: str) -> float:
    """Return the seconds of '90s', '10m', '2h', '1.5d' or a plain number. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text)
    if not found or not float(found[1]):
        raise ConfigError(f"'{text}' is not a length of time", "write 90s, 10m, 2h or 1.5d")
    return float(found[1]) * SECONDS[found[2] or "s"]


def count(text: str, what: str = "number of parameters") -> float:
    """Return the number, above 0, of '5m', '1.5B', '800k', '2t', '51e6' or a plain number. `what` is counted, for the
    message. Raises ConfigError."""
    return float(_exact(text, what))


def whole(text: str, what: str = "whole number", least: int = 1) -> int:
    """Return the whole number of such a text, from `least`. Raises ConfigError."""
    exact = _exact(text, what)
    if exact != int(exact) or exact < least:
        raise ConfigError(f"'{text}' is not a {what} from {least:,}", f"write {max(least, 64)}, 8k or 1.5m")
    return int(exact)


def _exact(text: str, what: str) -> Decimal:
    found = re.fullmatch(r"\s*([0-9._]+(?:e[+-]?[0-9]+)?)\s*([kmbt]?)\s*", text.lower())
    try:
        number = Decimal(found[1]) * COUNTS[found[2]] if found else Decimal(0)
    except DecimalException:
        number = Decimal(0)
    if not number or not math.isfinite(float(number)):
        raise ConfigError(f"'{text}' is not a {what}", "write 800k, 5m, 1.5b or 51e6")
    return number
