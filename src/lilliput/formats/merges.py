"""Merges of a tokenizer in their order, and as the scores that SentencePiece-style programs merge by."""

from __future__ import annotations

import json
from collections.abc import Iterable

from lilliput.data.tokenizer import Tokenizer


def merges_of(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """The merges in their order; older files of `tokenizers` spell one as a string."""
    merges = json.loads(tokenizer.content)["model"]["merges"]
    pairs = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in merges)
    return [(left, right) for left, right in pairs]


def scores_of(tokenizer: Tokenizer, pieces: Iterable[str]) -> list[float]:
    """A score for each piece, as the tokenizer spells it: merging the neighbours whose union scores best is merging in
    the tokenizer's order. The first piece made has 0, the next -1; those that no merge makes come last."""
    ranks: dict[str, int] = {}
    for left, right in merges_of(tokenizer):
        ranks.setdefault(left + right, len(ranks))
    return [-float(ranks.get(piece, len(ranks))) for piece in pieces]
