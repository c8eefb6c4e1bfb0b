"""The places where two lists or settings differ, for errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NOTHING = object()
_WIDEST = 80


def differences(one: Any, other: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the place of each difference with the values of `one` and of `other`. A place inside a list is a number
    from 0, inside a mapping a key. The value is `nothing` where only the other side has the place.

    >>> list(differences({"a": [1, 2]}, {"a": [1, 3, 4]}))
    [('a[1]', '2', '3'), ('a[2]', 'nothing', '4')]
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in {**one, **other}:
            name = f"{place}.{key}" if place else str(key)
            yield from differences(one.get(key, _NOTHING), other.get(key, _NOTHING), name)
    elif _is_list(one) and _is_list(other):
        for number in range(max(len(one), len(other))):
            a, b = (values[number] if number < len(values) else _NOTHING for values in (one, other))
            yield from differences(a, b, f"{place}[{number}]")
    elif one is _NOTHING or other is _NOTHING or one != other:
        yield place, _shown(one), _shown(other)


def differing(one: Any, other: Any, place: str = "", words: str = "{}, not {}", most: int = 3) -> str:
    """Return the first `most` differences in words, and the number of further differences.

    >>> differing([1, 2, 3], [1, 5, 6], "ids", most=1)
    'ids[1]: 2, not 5 and 1 more'
    """
    all_ = ((where, words.format(a, b)) for where, a, b in differences(one, other, place))
    found = [f"{where}: {text}" if where else text for where, text in all_]
    return "; ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def apart(missing: Sequence[str], unknown: Sequence[str]) -> str:
    """Return the numbers of missing and of unknown names, each with its first name: '3 missing (first a), ...'."""
    kinds = ((missing, "missing"), (unknown, "unknown"))
    return ", ".join(f"{len(names)} {what} (first {names[0]})" for names, what in kinds if names)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _shown(value: Any) -> str:
    text = "nothing" if value is _NOTHING else repr(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."
