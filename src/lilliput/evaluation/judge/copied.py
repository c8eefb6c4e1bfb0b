"""The longest run of words that a generated text has in common with the training text: a measure of copying."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


class SuffixAutomaton:
    """The smallest automaton that accepts every run of symbols of a set of sequences (Blumer et al. 1985), built symbol
    by symbol in linear time. It holds the generated texts, so that the training text, however long, is read once.

    State s stands for a set of runs that end at the same places. `length[s]` is the longest of them. `link[s]` is the
    state of the longest shorter ending that has more places, and `next[s]` holds the states after one more symbol."""

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


def longest_copies(generated: Sequence[str], training: Iterable[str]) -> list[int]:
    """Return for each generated text the length of its longest run of words that some training text also holds.

    A punctuation mark counts as a word. The training texts are read once, one at a time. Example: "the old dog sat" and
    the training text "an old dog ran" have the run "old dog", of length 2."""
    texts = [words(text) for text in generated]
    automaton = SuffixAutomaton(texts)
    reached = [0] * len(automaton.length)
    for text in training:
        _read(automaton, words(text), reached)
    # A run that was read ends in all its shorter endings, so those were read too: with "old dog" also "dog". The states
    # are visited from the longest to the shortest, and each marks the state of its shorter endings at full length.
    for state in sorted(range(1, len(reached)), key=lambda s: -automaton.length[s]):
        if reached[state]:
            reached[automaton.link[state]] = automaton.length[automaton.link[state]]
    return [_longest(automaton, text, reached) for text in texts]


def words(text: str) -> list[str]:
    """Return the words in lower case, with each punctuation mark as a word."""
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
