"""The longest run of words that a told text has in common with the training text: told anew, or copied?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


class SuffixAutomaton:
    """The smallest automaton that reads every run of symbols of a set of sequences (Blumer et al. 1985), built symbol
    by symbol in linear time. It holds the told texts, and the training text is read through it once, however long."""

    def __init__(self, sequences: Iterable[Sequence[str]]):
        self.next: list[dict[str, int]] = [{}]
        self.link = [-1]
        self.length = [0]
        for sequence in sequences:
            last = 0
            for symbol in sequence:
                last = self._extend(last, symbol)

    def _extend(self, last: int, symbol: str) -> int:
        if symbol in self.next[last]:
            known = self.next[last][symbol]
            return known if self.length[known] == self.length[last] + 1 else self._split(last, symbol, known)
        new = self._state(self.length[last] + 1, {})
        at = last
        while at >= 0 and symbol not in self.next[at]:
            self.next[at][symbol] = new
            at = self.link[at]
        if at < 0:
            self.link[new] = 0
            return new
        known = self.next[at][symbol]
        self.link[new] = known if self.length[known] == self.length[at] + 1 else self._split(at, symbol, known)
        return new

    def _split(self, at: int, symbol: str, known: int) -> int:
        copy = self._state(self.length[at] + 1, dict(self.next[known]))
        self.link[copy], self.link[known] = self.link[known], copy
        while at >= 0 and self.next[at].get(symbol) == known:
            self.next[at][symbol] = copy
            at = self.link[at]
        return copy

    def _state(self, length: int, after: dict[str, int]) -> int:
        self.next.append(after)
        self.link.append(0)
        self.length.append(length)
        return len(self.length) - 1


def longest_copies(told: Sequence[str], training: Iterable[str]) -> list[int]:
    """For each told text, the length in words (a punctuation mark is one) of its longest run that some training text
    holds too. The training texts are read once, one at a time."""
    texts = [words(text) for text in told]
    automaton = SuffixAutomaton(texts)
    reached = [0] * len(automaton.length)
    for text in training:
        _read(automaton, words(text), reached)
    # What ends in a longer run that was read has its shorter endings read as well.
    for state in sorted(range(1, len(reached)), key=lambda s: -automaton.length[s]):
        if reached[state]:
            reached[automaton.link[state]] = automaton.length[automaton.link[state]]
    return [_longest(automaton, text, reached) for text in texts]


def words(text: str) -> list[str]:
    """Words in lower case, and each punctuation mark as a word."""
    return WORD.findall(text.lower())


def _read(automaton: SuffixAutomaton, text: Sequence[str], reached: list[int]) -> None:
    """Note in `reached` the longest run of `text` that ends in each state."""
    following, link, length = automaton.next, automaton.link, automaton.length
    state = matched = 0
    for word in text:
        while state and word not in following[state]:
            state = link[state]
            matched = length[state]
        if word in following[state]:
            state = following[state][word]
            matched += 1
            if matched > reached[state]:
                reached[state] = matched


def _longest(automaton: SuffixAutomaton, text: Sequence[str], reached: list[int]) -> int:
    best = state = 0
    for word in text:
        state = automaton.next[state][word]
        at = state
        while at and not reached[at]:
            at = automaton.link[at]
        best = max(best, reached[at])
    return best
