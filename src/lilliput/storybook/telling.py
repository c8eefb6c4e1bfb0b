"""Scores of a text's telling against counts over true stories: grammar, order, introductions, coherence, variety."""

from __future__ import annotations

from itertools import pairwise

from lilliput.storybook.usage import EDGE, Usage, first_mentions, nouns, usage

Rows = list[list[str]]
"""Sentences, each a list of words between two edges (see usage.read)."""
JUDGED = 3
"""Order is judged only where this many sentences have a usual place."""


def grammar(rows: Rows) -> float | None:
    """Return the mean of two shares: of the pairs of neighbouring words, and of the triples, that occur in true
    stories. None for a text without a word."""
    world = usage()
    pairs = [pair for row in rows for pair in pairwise(row)]
    triples = [triple for row in rows for triple in zip(row, row[1:], row[2:], strict=False)]
    if not triples:
        return None
    known = sum(pair in world.pairs for pair in pairs) / len(pairs)
    return (known + sum(triple in world.triples for triple in triples) / len(triples)) / 2


def variety(rows: Rows) -> float | None:
    """Return 1 where no run of four words occurs twice, 0 where half of these runs or more occurred before. None for
    fewer than four words."""
    words = [word for row in rows for word in row if word != EDGE]
    grams = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    return max(0.0, 2 * len(set(grams)) / len(grams) - 1) if grams else None


def introduction(rows: Rows) -> float | None:
    """Return the share of first mentions (of children, animals, elders, things) that true stories also make after the
    same word. None where the text names nobody and nothing."""
    found = first_mentions(rows)
    return sum(first in usage().firsts for first in found) / len(found) if found else None


def order(rows: Rows) -> float | None:
    """Return Spearman's correlation of the sentences' places with the usual places of their pairs of words in true
    stories, 0 where it is negative. None where fewer than three sentences have a usual place."""
    usual = [place for row in rows if (place := _place(row, usage())) is not None]
    if len(usual) < JUDGED:
        return None
    ranks = sorted(range(len(usual)), key=usual.__getitem__)
    distance = sum((rank - place) ** 2 for rank, place in enumerate(ranks))
    return max(0.0, 1 - 6 * distance / (len(usual) * (len(usual) ** 2 - 1)))


def _place(row: list[str], world: Usage) -> float | None:
    known = [world.places[pair] for pair in pairwise(row) if pair in world.places]
    total = sum(place.weight for place in known)
    return sum(place.mean * place.weight for place in known) / total if known else None


def coherence(rows: Rows) -> float | None:
    """Return the share of sentences whose known pairs of words all occur in the text's plot, times the share of the
    text's things that occur together in a true story. The text's plot is the plot with the most of the pairs that occur
    in few plots. None where no pair is known."""
    world = usage()
    masks = [[world.pairs[pair] for pair in pairwise(row) if pair in world.pairs] for row in rows]
    votes: dict[int, float] = {}
    for mask in (mask for row in masks for mask in row):
        share = 1 / mask.bit_count() ** 2
        while mask:
            low = mask & -mask
            votes[low] = votes.get(low, 0.0) + share
            mask ^= low
    if not votes:
        return None
    plot = max(votes, key=votes.__getitem__)
    judged = [row for row in masks if row]
    own = sum(all(mask & plot for mask in row) for row in judged) / len(judged)
    named = nouns(rows)
    pairs = [(one, other) for place, one in enumerate(named) for other in named[:place]]
    return own * (sum(pair in world.together for pair in pairs) / len(pairs) if pairs else 1.0)
