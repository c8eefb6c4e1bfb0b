"""Mixing sources by weight."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar

T = TypeVar("T")


def mix(
    streams: Sequence[Iterator[T]], weights: Sequence[float], until: Literal["all", "first"]
) -> Iterator[tuple[int, T]]:
    """(stream number, item) of all streams in turn, so that at every moment the counts of items taken stand in
    proportion to `weights`, as nearly as whole items can; no chance is involved.

    A stream that is exhausted ends. With until="all" the others go on, in proportion to each other, until every
    item has been read: the weights then decide the order, and so what a limit on the number of documents or the
    tokenizer's sample sees. With until="first" the whole mixture ends with the first stream that does, so that the
    proportions hold to the end.
    """
    counts = [0] * len(streams)
    turns = [(1 / weight, number) for number, weight in enumerate(weights)]
    heapq.heapify(turns)
    while turns:
        number = turns[0][1]
        try:
            item = next(streams[number])
        except StopIteration:
            if until == "first":
                return
            heapq.heappop(turns)
            continue
        counts[number] += 1
        heapq.heapreplace(turns, ((counts[number] + 1) / weights[number], number))
        yield number, item
