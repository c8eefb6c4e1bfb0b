"""Windows: a text longer than the context is read in overlapping parts, and their answers become one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lilliput.worlds.extraction.filling import Filled, Found, leaves_of, values_of
from lilliput.worlds.extraction.template import ListOf, Node, Object

PIECE = re.compile(r"\S{1,32}")
"""A word, or a part of a very long one, such as a text without spaces."""
OVERLAP = 0.25
"""Share of a window that the next window repeats, so that a fact at a cut is whole in one of them."""


def cut_windows(places: Sequence[tuple[int, int]], sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Return the start and end of windows over pieces of a text, each of at most `most` tokens, or of one piece.

    places  start and end of each piece in the text
    sizes   tokens of each piece
    """
    if sum(sizes) <= most:
        return [(places[0][0], places[-1][1])] if places else []
    made, first = list[tuple[int, int]](), 0
    while True:
        last, tokens = first, sizes[first]
        while last + 1 < len(places) and tokens + sizes[last + 1] <= most:
            last += 1
            tokens += sizes[last]
        made.append((places[first][0], places[last][1]))
        if last + 1 == len(places):
            return made
        after, repeated = last + 1, 0
        while after - 1 > first and repeated + sizes[after - 1] <= OVERLAP * most:
            after -= 1
            repeated += sizes[after]
        first = after


def merge(node: Node, answers: Sequence[Filled]) -> Filled:
    """Return one filled template of the answers of several windows, in the order of the windows. A leaf is the most
    probable value that is not null; lists are united without duplicates, in the order of their spans. A single answer
    loses the duplicates in its lists."""
    if isinstance(node, Object):
        objects = [each for each in answers if isinstance(each, dict)]
        return {name: merge(inner, [each[name] for each in objects]) for name, inner in node.fields}
    if isinstance(node, ListOf):
        return _united([entry for each in answers if isinstance(each, list) for entry in each])
    found = [each for each in answers if isinstance(each, Found)]
    return max(found, key=lambda each: (each.value is not None, _nats(each)))


def _nats(found: Found) -> float:
    return float("-inf") if found.log_probability is None else found.log_probability


def _united(entries: list[Filled]) -> list[Filled]:
    kept: list[Filled] = []
    for entry in entries:
        if any(_covers(other, entry) for other in kept):
            continue
        kept = [other for other in kept if not _covers(entry, other)] + [entry]
    placed = [(_start(entry), number, entry) for number, entry in enumerate(kept)]
    return [entry for _, _, entry in sorted(placed, key=lambda each: each[:2])]


def _covers(one: Filled, other: Filled) -> bool:
    """Return whether an entry has all that another entry has: {name: Bo, age: 3} covers {name: Bo, age: null}."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_covers(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return all(any(_covers(each, entry) for each in one) for entry in other)
    value = values_of(other)
    return value is None or values_of(one) == value


def _start(entry: Filled) -> float:
    """Return where an entry first stands in the text; entries without a span keep their places at the end."""
    return min((found.span[0] for _, found in leaves_of(entry) if found.span), default=float("inf"))
