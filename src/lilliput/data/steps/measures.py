"""Measures of texts that several rules read: counts of words, and sequences of words that come again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lilliput.data.steps.words import BASE, LETTER, MARK, classes, folded, hash_of_word, hashes_of, split, spread


class Texts:
    """Many texts and what rules measure of their words. Each measure is computed when it is first read."""

    def __init__(self, texts: Sequence[str]):
        self.texts = texts
        joined = "\n".join(texts) + "\n"
        self.codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        self.sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        """(texts,) characters of each text."""
        self.begins = np.concatenate([[0], np.cumsum(self.sizes + 1)])
        """(texts + 1,) the first character of each text, and the number of characters."""
        self.kinds = classes(self.codes)
        self.starts, self.ends = split(self.codes, self.kinds)
        self._known: dict[int, Doubled] = {}
        self.bounds = np.searchsorted(self.starts, self.begins)
        """(texts + 1,) the first word of each text, and the number of words."""

    @cached_property
    def lengths(self) -> np.ndarray:
        """(words,) int64: characters of each word."""
        return self.ends - self.starts

    @cached_property
    def text_of(self) -> np.ndarray:
        """(words,) int64: the text of each word."""
        return np.repeat(np.arange(len(self.texts)), np.diff(self.bounds))

    @cached_property
    def counts(self) -> np.ndarray:
        """(texts,) int64: words of each text, marks included."""
        return np.diff(self.bounds)

    def total(self, values: np.ndarray) -> np.ndarray:
        """(texts,) int64: the sum over the words of each text of `values` (words,)."""
        sums = np.concatenate([[0], np.cumsum(values)])
        return sums[self.bounds[1:]] - sums[self.bounds[:-1]]

    @cached_property
    def lettered(self) -> np.ndarray:
        """(words,) bool: whether a word has a letter."""
        return self._any((self.kinds & LETTER) > 0)

    @cached_property
    def bare(self) -> np.ndarray:
        """(words,) bool: whether a word has nothing but marks."""
        return ~self._any((self.kinds & MARK) == 0)

    def _any(self, holds: np.ndarray) -> np.ndarray:
        """(words,) bool: whether a word has a character that `holds` (characters,)."""
        sums = np.concatenate([[0], np.cumsum(holds, dtype=np.int32)])
        return sums[self.ends] > sums[self.starts]

    @cached_property
    def hashes(self) -> np.ndarray:
        """(words,) uint64: a hash of each word, equal for equal words."""
        return hashes_of(self.codes, self.starts, self.ends)

    @cached_property
    def folded(self) -> np.ndarray:
        """(characters,) uint32: the characters with the letters A to Z as small ones, and those of Latin-1."""
        return folded(self.codes)

    @cached_property
    def folded_hashes(self) -> np.ndarray:
        """(words,) uint64: a hash of each word, equal for equal words whatever their case."""
        return hashes_of(self.folded, self.starts, self.ends)

    def different(self, words: Iterable[str]) -> np.ndarray:
        """(texts,) int64: how many of these words each text has."""
        found = np.zeros(len(self.texts), np.int64)
        for word in words:
            found += self.total(self.hashes == hash_of_word(word)) > 0
        return found

    @cached_property
    def _until(self) -> np.ndarray:
        """(words + 1,) int64: characters of the words before each word."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def _doubled(self, n: int) -> Doubled:
        """The sequences of n words that a text has twice or more. The first n - 1 words of each are such a sequence
        too, so that longer ones are looked for among few places."""
        if n not in self._known:
            if n == 2:
                firsts = np.flatnonzero(self.text_of[:-1] == self.text_of[1:])
                hashes = self.hashes[firsts] ^ spread(self.text_of[firsts])
            else:
                before = self._doubled(n - 1)
                inside = before.words + n - 1 < self.bounds[1:][self.text_of[before.words]]
                firsts, hashes = before.words[inside], before.hashes[inside]
            hashes = hashes * BASE + self.hashes[firsts + n - 1]
            self._known[n] = _find_doubled(firsts, hashes)
        return self._known[n]

    def sequences(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """(sequences,) uint64 and int64: a hash of each sequence of n words within a text, and its text. A text of
        fewer words is one sequence. Equal sequences have equal hashes in all texts."""
        hashes = self.hashes
        for place in range(1, n):
            hashes = hashes[:-1] * BASE + self.hashes[place:]
        firsts = np.arange(len(hashes))
        inside = firsts[self.text_of[: len(firsts)] == self.text_of[n - 1 :]] if n > 1 else firsts
        short = np.flatnonzero((self.counts > 0) & (self.counts < n))
        whole = [_chained(self.hashes[self.bounds[text] : self.bounds[text + 1]]) for text in short]
        found = np.concatenate([hashes[inside], np.array(whole, np.uint64)])
        return spread(found), np.concatenate([self.text_of[inside], short])

    def top_gram(self, n: int) -> np.ndarray:
        """(texts,) int64: characters of the most frequent sequence of n words of a text (n from 2), joined by spaces,
        times its count. Of sequences with the same count, the first in the text counts, as in datatrove."""
        whole = np.flatnonzero(self.counts >= n)
        found, firsts = np.zeros(len(self.texts), np.int64), self.bounds[:-1][whole]
        found[whole] = self._until[firsts + n] - self._until[firsts] + n - 1
        here = self._doubled(n)
        if not len(here.words):
            return found
        counts, firsts = np.diff(here.runs, append=len(here.words)), here.firsts
        texts = self.text_of[firsts]
        by = np.lexsort((firsts, -counts, texts))
        best = by[np.concatenate([[True], texts[by][1:] != texts[by][:-1]])]
        sizes = self._until[firsts[best] + n] - self._until[firsts[best]] + n - 1
        found[texts[best]] = counts[best] * sizes
        return found

    def repeated(self, n: int, above: float = 0.0) -> np.ndarray:
        """(texts,) int64: characters of the words in sequences of n words (n from 2) that came before in the text (Rae
        et al. 2021). The search is datatrove's: behind a repeated sequence it goes on after the sequence's last word.
        Where all words of such sequences are at most the share `above` of a text's characters, their characters are
        returned, which are no fewer."""
        here = self._doubled(n)
        later = np.sort(here.later)
        change = np.bincount(later, minlength=len(self.starts) + 1) - np.bincount(
            later + n, minlength=len(self.starts) + 1
        )
        found = self.total((np.cumsum(change[: len(self.starts)]) > 0) * self.lengths)
        for text in np.flatnonzero(found > above * self.sizes):
            first, last = self.bounds[text : text + 2]
            found[text] = self._exactly(here, int(first), int(last), n)
        return found

    def _exactly(self, here: Doubled, first: int, last: int, n: int) -> int:
        """Characters of the repeated sequences among the words from `first` to `last`."""
        chosen = (here.words >= first) & (here.words < last)
        by = np.argsort(here.words[chosen])
        seen: set[int] = set()
        found, after = 0, 0
        for word, hashed in zip(here.words[chosen][by].tolist(), here.hashes[chosen][by].tolist(), strict=True):
            if word < after:
                continue
            if hashed in seen:
                found, after = found + int(self._until[word + n] - self._until[word]), word + n
            seen.add(hashed)
        return found


@dataclass(frozen=True, slots=True)
class Doubled:
    """Sequences of words that a text has twice or more: the first `words` of each, their `hashes`, in runs of equal
    ones that begin at `runs`."""

    words: np.ndarray
    hashes: np.ndarray
    runs: np.ndarray

    @property
    def firsts(self) -> np.ndarray:
        """(runs,) the first place of each sequence."""
        return np.minimum.reduceat(self.words, self.runs)

    @property
    def later(self) -> np.ndarray:
        """The places of sequences that came before."""
        if not len(self.words):
            return self.words
        first = np.repeat(self.firsts, np.diff(self.runs, append=len(self.words)))
        return self.words[self.words != first]


def _chained(hashes: np.ndarray) -> np.uint64:
    """The hash of the sequence of all these words."""
    found = hashes[:1]
    for place in range(1, len(hashes)):
        found = found * BASE + hashes[place : place + 1]
    return found[0]


TABLE_BITS = 20


def _find_doubled(words: np.ndarray, hashes: np.ndarray) -> Doubled:
    """The hashes that occur twice or more. A table of their first bits leaves few that have to be sorted."""
    table = (hashes >> np.uint64(64 - TABLE_BITS)).astype(np.int64)
    chosen = np.bincount(table, minlength=1)[table] > 1
    words, hashes = words[chosen], hashes[chosen]
    order = np.argsort(hashes)
    words, hashes = words[order], hashes[order]
    alike = hashes[1:] == hashes[:-1]
    kept = np.concatenate([alike, [False]]) | np.concatenate([[False], alike])
    if not len(hashes):
        return Doubled(words, hashes, np.zeros(0, np.int64))
    words, hashes = words[kept], hashes[kept]
    starts = np.concatenate([[True], hashes[1:] != hashes[:-1]]) if len(hashes) else np.zeros(0, bool)
    return Doubled(words, hashes, np.flatnonzero(starts))


_last: tuple[Texts, dict[int, int]] | None = None


def measured(texts: Sequence[str]) -> tuple[Texts, list[int]]:
    """Return measures of texts, and the place of each text in them. The last measures are kept, so that rules in a row
    split the words of their texts once, although some texts are dropped on the way."""
    global _last
    known = _last[1] if _last else {}
    if not all(id(text) in known for text in texts):
        made = Texts(list(texts))
        _last = made, {id(text): place for place, text in enumerate(made.texts)}
    assert _last is not None
    return _last[0], [_last[1][id(text)] for text in texts]
