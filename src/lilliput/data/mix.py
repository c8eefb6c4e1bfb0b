"""Mixing sources by weight."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar

T = TypeVar("T")


def mix(
    streams: Sequence[Iterator[T]], weights: Sequence[float], until: Literal["all", "first"]
) -> Iterator[tuple[int, T]]:
    """Yield (stream number, item) of all streams in turn. At every moment the counts of yielded items are in proportion
    to `weights`, as nearly as whole items allow. The order is not random.

    With until="all" the other streams continue after the end of a stream, in proportion to each other, until every item
    has been read. The weights then decide only the order, and so the documents within a limit on their number and
    within the tokenizer's sample. With until="first" the whole mixture ends with the first stream that ends, so that
    the proportions hold to the end."""
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
