"""Infilling: a text in three pieces as one row of tokens, and scores of a model on the middles of held-out texts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from lilliput.base.errors import ConfigError
from lilliput.base.seeds import derive, generator
from lilliput.decoding.inference import inference

if TYPE_CHECKING:
    from lilliput.data.split import Split
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model

Order = Literal["psm", "spm"]
Kind = Literal["span", "word", "sentence"]

ROLES = ("fim_prefix", "fim_suffix", "fim_middle")
"""Roles of the special tokens before the three pieces, in the order of PSM."""
MARKS = 5
"""Tokens of a row that belong to no piece: three special tokens, the beginning mark and the end mark."""
BATCH_TOKENS = 2048
"""Positions that are scored at once, padding included."""
WORD_BEGINS = re.compile(r"(?<=\S) (?=\S)")
"""The space between two words. It belongs to the second word, so a cut before it cuts no token."""
SENTENCE_ENDS = re.compile(r'[.!?]["”’)]*(?= \S)')


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text that is cut at two places. The three pieces end to end are the text."""

    prefix: str
    middle: str
    suffix: str

    @classmethod
    def of(cls, text: str, start: int, stop: int) -> Pieces:
        """Cut a text before its characters `start` and `stop`."""
        return cls(text[:start], text[start:stop], text[stop:])


@dataclass(frozen=True, slots=True)
class Parts:
    """The ids of three pieces, (length,) uint32 each, without marks. `size` is the UTF-8 bytes of the middle."""

    prefix: np.ndarray
    middle: np.ndarray
    suffix: np.ndarray
    size: int

    def __len__(self) -> int:
        return len(self.prefix) + len(self.middle) + len(self.suffix)


def marks_of(tokenizer: Tokenizer) -> tuple[int, int, int]:
    """Return the ids of the special tokens before prefix, suffix and middle. Raises ConfigError for a tokenizer that
    lacks one of them."""
    if missing := [role for role in ROLES if role not in tokenizer.specials]:
        raise ConfigError(
            f"the tokenizer has no special token for {', '.join(missing)}, which objective.kind=fim needs",
            "leave out tokenizer.path: a tokenizer that is trained for the run has these tokens",
        )
    prefix, suffix, middle = (tokenizer.specials[role] for role in ROLES)
    return prefix, suffix, middle


def parts_of(pieces: Sequence[Pieces], tokenizer: Tokenizer) -> list[Parts]:
    """Encode the three pieces of each text separately, so that no token reaches from one piece into the next. Middle
    and suffix continue a text (see Tokenizer.encode)."""
    prefixes = tokenizer.encode_arrays([each.prefix for each in pieces])
    later = tokenizer.encode_arrays([text for each in pieces for text in (each.middle, each.suffix)], continuing=True)
    found = zip(pieces, prefixes, later[::2], later[1::2], strict=True)
    return [Parts(prefix, middle, suffix, len(each.middle.encode())) for each, prefix, middle, suffix in found]


def arranged(parts: Parts, order: Order, tokenizer: Tokenizer) -> np.ndarray:
    """Return the row of a rearranged document, (length,) uint32 (arXiv:2207.14255, section 3 and appendix D):

    psm   BOS <prefix> prefix <suffix> suffix <middle> middle EOS
    spm   BOS <prefix> <suffix> suffix <middle> prefix middle EOS
    """
    before, after, between = (np.array([mark], np.uint32) for mark in marks_of(tokenizer))
    bos, eos = np.array([tokenizer.bos_id], np.uint32), np.array([tokenizer.eos_id], np.uint32)
    if order == "psm":
        inside = (before, parts.prefix, after, parts.suffix, between, parts.middle)
    else:
        inside = (before, after, parts.suffix, between, parts.prefix, parts.middle)
    return np.concatenate((bos, *inside, eos))


# ---------------------------------------------------------------------------- held-out middles


@dataclass(frozen=True, slots=True)
class Score:
    """How well middles were predicted.

    bits_per_byte  bits of the tokens of all middles / their UTF-8 bytes; the end mark does not count
    right          the share of middles that greedy generation begins with to the letter, 0 to 1
    exact          the share of middles that it also ends there, where an end is asked for
    count          the number of middles
    """

    bits_per_byte: float
    right: float
    exact: float
    count: int


def held_out_texts(split: Split, tokenizer: Tokenizer, context_length: int, documents: int, tokens: int) -> list[str]:
    """Return the same texts of a split every time: its first documents in the order of a hash of their ids, until there
    are `documents` texts or `tokens` tokens. A text that is longer than the context is cut, so that it fits with its
    marks."""
    room = max(context_length - 4 * MARKS, context_length // 2)
    texts, left = [], tokens
    for number in sorted(range(split.documents), key=lambda i: derive(0, split.document_id(i)))[:documents]:
        if left <= 0:
            break
        ids = split.document(number)[:room]
        left -= len(ids)
        texts.append(tokenizer.decode(ids.tolist()).rstrip("\ufffd"))
    return texts


def middles_of(texts: Iterable[str], kind: Kind) -> Iterator[Pieces]:
    """Cut each text at two random places, which depend on the text and the kind alone.

        span      both places are before words; all of them are equally likely
        word      the middle is one word with its space and its punctuation
        sentence  the middle is one sentence with its space

    A text without spaces is cut between characters. A text that is too short, or that has no sentence with another
    before and behind it, is left out."""
    for text in texts:
        rng = generator("middle", kind, text)
        places = [found.start() for found in WORD_BEGINS.finditer(text)] or list(range(1, len(text)))
        if kind == "sentence":
            places = [found.end() for found in SENTENCE_ENDS.finditer(text)]
        if kind == "span" and len(places) > 1:
            start, stop = sorted(rng.choice(places, 2, replace=False).tolist())
            yield Pieces.of(text, start, stop)
            continue
        pairs = [pair for pair in pairwise(places) if "\n" not in text[slice(*pair)]]
        if kind != "span" and pairs:
            yield Pieces.of(text, *pairs[int(rng.integers(len(pairs)))])


def fitting(pieces: Iterable[Pieces], tokenizer: Tokenizer, context_length: int) -> list[Parts]:
    """Encode pieces, and leave out texts that do not fit into the context with their marks."""
    return [parts for parts in parts_of(list(pieces), tokenizer) if len(parts) + MARKS <= context_length]


def score_between(model: Model, tokenizer: Tokenizer, middles: Sequence[Parts], order: Order) -> Score | None:
    """Score middles given what stands before and behind them, in the order given. A middle is exact where the likeliest
    token is the right one at each of its tokens and at its end mark. None where there are no middles."""
    rows = [arranged(parts, order, tokenizer).astype(np.int64) for parts in middles]
    starts = [len(row) - len(parts.middle) - 1 for row, parts in zip(rows, middles, strict=True)]
    return _score(model, middles, rows, starts)


def score_after(model: Model, tokenizer: Tokenizer, middles: Sequence[Parts]) -> Score | None:
    """Score the same middles given what stands before them alone, left to right, as any causal model predicts them. The
    model need not end the middle for it to be exact. None where there are no middles."""
    bos = np.array([tokenizer.bos_id], np.uint32)
    rows = [np.concatenate((bos, parts.prefix, parts.middle)).astype(np.int64) for parts in middles]
    return _score(model, middles, rows, [len(parts.prefix) + 1 for parts in middles])


def _score(model: Model, middles: Sequence[Parts], rows: Sequence[np.ndarray], starts: Sequence[int]) -> Score | None:
    """Score the targets from `starts` on in each row of ids, (length,) int64. An end mark behind the middle counts for
    exactness alone."""
    if not middles:
        return None
    nats, begun, exact = 0.0, 0, 0
    device = next(model.parameters()).device
    with inference(model):
        for chosen in _batches([len(row) for row in rows]):
            width = max(len(rows[i]) for i in chosen)
            ids = np.zeros((len(chosen), width), dtype=np.int64)
            wanted = np.zeros((len(chosen), width - 1), dtype=bool)
            counted = np.zeros_like(wanted)
            for place, i in enumerate(chosen):
                ids[place, : len(rows[i])] = rows[i]
                # Target t of a row is its id t + 1.
                wanted[place, starts[i] - 1 : len(rows[i]) - 1] = True
                counted[place, starts[i] - 1 : starts[i] - 1 + len(middles[i].middle)] = True
            tokens, mask = torch.from_numpy(ids).to(device), torch.from_numpy(wanted).to(device)
            targets = tokens[:, 1:][mask]
            logits = model.logits(model(tokens[:, :-1])[mask]).float()
            losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none").cpu().numpy()
            nats += float(losses[counted[wanted]].sum())
            right = np.ones_like(wanted)
            right[wanted] = (logits.argmax(-1) == targets).cpu().numpy()
            begun += int((right | ~counted).all(-1).sum())
            exact += int(right.all(-1).sum())
    size = sum(parts.size for parts in middles)
    count = len(middles)
    return Score(nats / math.log(2) / max(size, 1), begun / count, exact / count, count)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the numbers of rows of about equal length together."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    at = 0
    while at < len(order):
        count = max(1, BATCH_TOKENS // lengths[order[at]])
        yield order[at : at + count]
        at += count
