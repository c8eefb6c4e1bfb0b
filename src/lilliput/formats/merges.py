"""Merges of a tokenizer in their order, and as the scores that SentencePiece-style programs merge by."""

from __future__ import annotations

import json
from collections.abc import Iterable

from lilliput.data.tokenizer import Tokenizer


def merges_of(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Return the merges in their order. In older files of `tokenizers` a merge is one string."""
    merges = json.loads(tokenizer.content)["model"]["merges"]
    pairs = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in merges)
    return [(left, right) for left, right in pairs]


def scores_of(tokenizer: Tokenizer, pieces: Iterable[str]) -> list[float]:
    """Return a score for each piece. A program that always merges the neighbours whose union has the highest score then
    merges in the tokenizer's order. The piece of the first merge has 0, the piece of the next merge -1. Pieces that no
    merge makes have the lowest scores."""
    ranks: dict[str, int] = {}
    for left, right in merges_of(tokenizer):
        ranks.setdefault(left + right, len(ranks))
    return [-float(ranks.get(piece, len(ranks))) for piece in pieces]
