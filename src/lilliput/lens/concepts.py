"""Concepts of the story world, and the tokens of a text that belong to each: the labels for neurons and features."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import torch

from lilliput.generation.text_generator import TextGenerator
from lilliput.objectives.reversed import Reversed
from lilliput.storybook.grammar import words
from lilliput.storybook.people import BOYS, ELDERS, GIRLS, HE_ANIMALS, KINDS, SHE_ANIMALS
from lilliput.storybook.vocabulary import closing_words, word_forms

COLOURS = words("red blue green yellow white black brown orange purple pink gold golden silver gray grey")
ANIMALS = words("""
    crow pigeon magpie parrot owl squirrel monkey cat duck swan otter turtle beaver mouse lizard chipmunk rabbit
    tortoise dog bird fish frog bee butterfly horse cow hen
""")
IRREGULAR = words("""
    was were had did went said saw came took gave made found felt ran sat ate knew thought told got put held kept heard
    left brought began stood flew swam climbed fell built sang wrote drew woke slept hid grew broke met let lost
""")
NOT_PAST = words("red bed need feed seed deed shed sled hundred ned")
"""Words in -ed that are no past verbs."""
MORE_FEELINGS = words("excited scared worried bored frightened")
WORD = re.compile(r"[A-Za-z]+")
SENTENCE = re.compile(r"(?:^|[.!?][\"']?\s+[\"']?|\n\s*[\"']?)([A-Z][a-z]*)")
SENTENCES, QUOTES = "beginnings of sentences", "quotation marks"


@cache
def concept_words() -> dict[str, frozenset[str]]:
    """Return the words of each concept that has words. Names are capitalised, all other words are in lower case."""
    feelings = {word for word in closing_words()[0] if " " not in word}.union(MORE_FEELINGS)
    past = {word for word in word_forms() if word.endswith("ed")}.union(IRREGULAR) - feelings.union(NOT_PAST)
    elders = [part for elder in ELDERS for part in str(elder).split()]
    return {
        "names": frozenset((*GIRLS, *BOYS, *SHE_ANIMALS, *HE_ANIMALS, *elders)),
        "colours": frozenset(COLOURS),
        "animals": frozenset((*ANIMALS, *KINDS)),
        "feelings": frozenset(feelings),
        "past verbs": frozenset(past),
    }


def concept_labels(rows: torch.Tensor, generator: TextGenerator) -> dict[str, torch.Tensor]:
    """Return for each concept which tokens of rows (N, T) belong to it, as (N, T) bool.

    Of a word of several tokens the token that the model reads last is labelled, because only there the model has read
    the whole word. A model that reads backwards has no beginnings of sentences.
    """
    by_token = isinstance(generator.objective, Reversed) and generator.objective.by == "token"
    forwards = generator.objective.reads_forwards
    names = [*concept_words(), QUOTES, *([SENTENCES] if forwards else [])]
    labels = {name: torch.zeros(rows.shape, dtype=torch.bool) for name in names}
    for number, row in enumerate(rows.tolist()):
        pieces = [piece or "\n" for piece in pieces_of(row, generator)]  # a special token parts two texts
        # A model that reads tokens backwards has its pieces in reverse, so they are turned to find words.
        order = range(len(row))[::-1] if by_token else range(len(row))
        owners = [place for place in order for _ in pieces[place]]  # of each character of the text
        for name, start, stop in _spans("".join(pieces[place] for place in order)):
            if name in labels:
                labels[name][number, max(owners[start:stop])] = True
    return labels


def pieces_of(row: Sequence[int], generator: TextGenerator) -> list[str]:
    """Return the text of each token of a row. A special token has the empty text."""
    return [generator.tokenizer.decode([number], continuing=True) for number in row]


def _spans(text: str) -> list[tuple[str, int, int]]:
    """Return the concept, start and end of each word or mark that belongs to a concept."""
    kinds = {word: name for name, members in concept_words().items() for word in members}
    found = [(kinds[m[0]], m.start(), m.end()) for m in WORD.finditer(text) if m[0] in kinds]
    found += [(QUOTES, m.start(), m.end()) for m in re.finditer('"', text)]
    return found + [(SENTENCES, m.start(1), m.end(1)) for m in SENTENCE.finditer(text)]
