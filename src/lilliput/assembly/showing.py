"""Showing: the examples of a recipe's data as the trainer sees them, token by token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import Recipe
from lilliput.base.errors import DataError
from lilliput.data.dataset import Dataset
from lilliput.data.loader import Loader
from lilliput.data.split import Split
from lilliput.data.tokenizer import Tokenizer
from lilliput.objectives.objective import ObjectiveConfig


@dataclass(frozen=True)
class Piece:
    """A part of a sequence whose tokens are all learned, or all not. A special token is spelled as its tokenizer spells
    it."""

    text: str
    tokens: int
    learned: bool


@dataclass(frozen=True)
class ShownSequence:
    """A sequence of an example, up to the end of a row. `cut` is the number of its tokens that no row holds."""

    pieces: list[Piece]
    tokens: int
    cut: int
    columns: dict[str, Any]


@dataclass(frozen=True)
class ShownExample:
    """An example: the id that its source gave it, and its sequences."""

    id: str
    sequences: list[ShownSequence]


@dataclass(frozen=True)
class SplitFacts:
    """What a split holds and what becomes of it in rows.

    kinds      documents of each kind
    sequences, tokens, learned  of the whole split; `learned` tokens are targets
    share      learned tokens / tokens
    longest    tokens of the longest sequence
    longer     sequences that are too long for a row
    truncated, dropped  documents that are cut, and that are left out
    packing    how rows are made (see Loader)
    rows       rows of an epoch
    note       a sentence on the long examples
    problem    why no run can train on the split
    """

    kinds: dict[str, int]
    sequences: int
    tokens: int
    learned: int
    share: float
    longest: int
    longer: int = 0
    truncated: int = 0
    dropped: int = 0
    packing: str | None = None
    rows: int = 0
    note: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ShownData:
    """A recipe's data as its objective learns it. `context_length` + 1 tokens fill a row."""

    recipe: str
    objective: str
    context_length: int
    splits: dict[str, SplitFacts]
    examples: list[ShownExample] = field(default_factory=list)


def show_data(recipe: Recipe, count: int, notify: Callable[[str], None]) -> ShownData:
    """Prepare the data of a recipe as its run does, and return its counts and the first `count` examples of the
    training split. Raises LilliputError."""
    made = dataset(recipe, notify)
    length, objective = recipe.model.context_length, recipe.objective
    facts, shown = {}, []
    for name in ("train", "validation"):
        loader, problem = _loader(made, name, length, objective)
        facts[name] = _facts(made.split(name), loader, length + 1, problem)
        if name == "train":
            shown = _examples(made.split(name), loader, made.tokenizer, length + 1, count)
    return ShownData(recipe.name, str(recipe.objective.kind), length, facts, shown)


def _loader(made: Dataset, name: str, length: int, objective: ObjectiveConfig) -> tuple[Loader | None, str | None]:
    """Return the loader of a split, or why a run could not use it."""
    try:
        if name == "train":
            made.check_learned(objective.check_kinds)
        return made.loader(name, length, objective.rows, reserved=objective.reserved), None
    except DataError as error:
        return None, str(error)


def _facts(split: Split, loader: Loader | None, capacity: int, problem: str | None) -> SplitFacts:
    sizes = split.ends - split.starts
    found = SplitFacts(
        kinds=split.kinds,
        sequences=len(sizes),
        tokens=split.tokens,
        learned=split.learned,
        share=split.learned / max(1, split.tokens),
        longest=int(sizes.max(initial=0)),
        longer=int((sizes > capacity).sum()),
        problem=problem,
    )
    if loader is None:
        return found
    fit = loader.fit
    cut = (
        {}
        if fit is None
        else {"longer": fit.longer, "truncated": fit.truncated, "dropped": fit.dropped, "note": fit.note}
    )
    return SplitFacts(**{**vars(found), "packing": loader.packing, "rows": loader.rows_per_epoch, **cut})


def _examples(
    split: Split, loader: Loader | None, tokenizer: Tokenizer, capacity: int, count: int
) -> list[ShownExample]:
    fit = None if loader is None else loader.fit
    numbers = list(range(split.documents)) if fit is None else fit.numbers.tolist()
    grouped: dict[str, list[ShownSequence]] = {}
    special = special_tokens(tokenizer)
    each = max(1, split.sequences)
    for number in numbers[: count * each]:
        ids = split.document(number)
        stop = len(ids) if fit is None else min(len(ids), capacity)
        pieces = pieces_of(ids[:stop], _learned(split, number, tokenizer.bos_id)[:stop], tokenizer, special)
        sequence = ShownSequence(pieces, stop, len(ids) - stop, split.columns(number))
        grouped.setdefault(split.document_id(number), []).append(sequence)
    return [ShownExample(name, sequences) for name, sequences in list(grouped.items())[:count]]


def _learned(split: Split, number: int, bos_id: int) -> np.ndarray:
    """Return which tokens of a document are learned, (length,) bool."""
    learned = split.document_learn(number)
    if learned is None:
        ids = split.document(number)
        learned = np.ones(len(ids), dtype=bool)
        learned[:1] = ids[:1] != bos_id
    return learned


def special_tokens(tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids of the special tokens, which stand for no text."""
    found = tokenizer.backend.get_added_tokens_decoder().items()
    return frozenset(number for number, token in found if token.special)


def pieces_of(ids: np.ndarray, learned: np.ndarray, tokenizer: Tokenizer, special: frozenset[int]) -> list[Piece]:
    """Return a sequence's text in pieces of tokens that are learned and tokens that are not, in order.

    ids      (length,) integers
    learned  (length,) bool"""
    pieces = []
    place = 0
    for mark, run in groupby(learned.tolist()):
        length = len(list(run))
        pieces.append(Piece(_spelled(ids[place : place + length].tolist(), tokenizer, special), length, bool(mark)))
        place += length
    return pieces


def _spelled(ids: list[int], tokenizer: Tokenizer, special: frozenset[int]) -> str:
    """Return the text of ids, special tokens spelled out. Bytes that are no whole character become U+FFFD."""
    parts = []
    for named, run in groupby(ids, key=special.__contains__):
        part = list(run)
        parts.append("".join(map(tokenizer.token, part)) if named else tokenizer.decode(part, continuing=True))
    return "".join(parts)
