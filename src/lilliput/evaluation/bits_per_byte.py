"""Bits per byte: the number of bits that a model needs for each byte of text outside its training text."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from lilliput.base import seeds
from lilliput.base.errors import ConfigError, DataError
from lilliput.decoding.inference import inference

if TYPE_CHECKING:
    from lilliput.data.rows import Encoded
    from lilliput.data.split import Split
    from lilliput.model.transformer import Model


@dataclass(frozen=True, slots=True)
class FixedSet:
    """Documents to score.

    documents   arrays of token ids; every id but a document's first may be a target
    text_bytes  UTF-8 bytes of the text that the targets stand for
    learned     (length,) bool for each document: which of its ids are targets, as its objective learns them; None
                where every id but the first is one
    """

    documents: Sequence[np.ndarray]
    text_bytes: int
    learned: Sequence[np.ndarray] | None = None

    @property
    def targets(self) -> int:
        """The number of ids that are predicted."""
        if self.learned is not None:
            return sum(int(mask[1:].sum()) for mask in self.learned)
        return sum(max(0, len(ids) - 1) for ids in self.documents)

    @classmethod
    def of(cls, rows: Sequence[Encoded], token_bytes: np.ndarray, text_bytes: int) -> FixedSet:
        """Encoded documents whose texts have `text_bytes` bytes together; `token_bytes` (V,) are the bytes of each id.
        The targets' bytes are their ids' share of these."""
        documents = [np.array(row.ids, dtype=np.int64) for row in rows]
        if all(row.learn is None for row in rows):
            return cls(documents, text_bytes)
        learned = []
        for row, ids in zip(rows, documents, strict=True):
            mask = np.zeros(len(ids), dtype=bool)
            for start, stop in [(1, len(ids))] if row.learn is None else row.learn:
                mask[start:stop] = True
            learned.append(mask)
        texts = cls(documents, 0, learned)
        part, counted = texts.bytes_in(token_bytes), texts.bytes_in(token_bytes, of_all=True)
        return replace(texts, text_bytes=share(text_bytes, part, counted))

    def bytes_in(self, token_bytes: np.ndarray, of_all: bool = False) -> int:
        """Return the bytes that the learned ids stand for, or all ids; `token_bytes` (V,) are the bytes of each id."""
        if self.learned is None or of_all:
            return sum(int(token_bytes[ids].sum()) for ids in self.documents)
        return sum(int(token_bytes[ids[mask]].sum()) for ids, mask in zip(self.documents, self.learned, strict=True))


def share(text_bytes: int, part: int, counted: int) -> int:
    """Return the bytes of a part of a text. The ids of the part have `part` of the `counted` bytes of all ids."""
    return round(text_bytes * part / counted) if counted else 0


@dataclass(frozen=True, slots=True)
class Score:
    """The result of `bits_per_byte`, with the size of the set that was scored.

    bits_per_byte   nats of all targets / ln 2 / bytes: comparable across tokenizers
    nats_per_token  the same nats / tokens; perplexity = exp(nats_per_token)
    tokens, bytes   targets scored, and the UTF-8 bytes that they stand for
    context_length  most tokens that a target sees; after a document's first window, each window moves on by
                    `stride` tokens
    """

    bits_per_byte: float
    nats_per_token: float
    perplexity: float
    tokens: int
    bytes: int
    documents: int
    context_length: int
    stride: int
    seconds: float


def fixed_set(
    split: Split,
    token_bytes: np.ndarray,
    max_tokens: int | None = None,
    max_documents: int | None = None,
    seed: int = 0,
) -> FixedSet:
    """Return the same part of `split` every time: its first documents in the order of a hash of (seed, document id),
    until `max_documents` or exactly `max_tokens` targets are reached. The last document is cut at the limit. Without a
    limit, return the whole split. Targets are the tokens that the objective learns.

    `token_bytes` (V,) is the number of bytes that each id stands for (`Tokenizer.token_bytes()`). A part's bytes
    are its ids' share of the split's: exactly their bytes for a byte-level tokenizer, and where a tokenizer adds
    spaces or drops characters, the difference is spread evenly. Raises ConfigError for a limit below 1."""
    for name, limit in (("max_tokens", max_tokens), ("max_documents", max_documents)):
        if limit is not None and limit < 1:
            raise ConfigError(f"{name} {limit} leaves nothing to evaluate on; it has to be at least 1")
    if max_tokens is None and (max_documents is None or max_documents >= split.documents):
        return whole(split, range(split.documents), split.learned_bytes(token_bytes))
    order = sorted(range(split.documents), key=lambda i: seeds.derive(seed, split.document_id(i)))
    left = split.tokens if max_tokens is None else max_tokens
    documents: list[np.ndarray] = []
    learned: list[np.ndarray] | None = None if split.learn is None else []
    for i in order[:max_documents]:
        ids, mask = split.document(i), split.document_learn(i)
        if mask is None or learned is None:
            ids = ids[: left + 1]
            left -= max(0, len(ids) - 1)
        else:
            reached = np.cumsum(mask[1:]) >= left
            stop = (
                2 + int(reached.argmax()) if reached.any() else len(ids)
            )  # just after the last target within the limit
            ids, mask = ids[:stop], mask[:stop]
            learned.append(mask)
            left -= int(mask[1:].sum())
        documents.append(ids)
        if left == 0:
            break
    counted = sum(int(token_bytes[block].sum()) for block in split.stream.blocks())
    texts = FixedSet(documents, 0, learned)
    return replace(texts, text_bytes=share(split.text_bytes, texts.bytes_in(token_bytes), counted))


def whole(split: Split, numbers: Iterable[int], text_bytes: int) -> FixedSet:
    """Return the whole documents with these numbers; their targets stand for `text_bytes` bytes."""
    chosen = list(numbers)
    documents = [split.document(i) for i in chosen]
    if split.learn is None:
        return FixedSet(documents, text_bytes)
    return FixedSet(documents, text_bytes, [mask for i in chosen if (mask := split.document_learn(i)) is not None])


def bits_per_byte(
    model: Model,
    validation: FixedSet,
    context_length: int | None = None,
    batch_tokens: int = 8192,
    stride: int | None = None,
) -> Score:
    """Score every target of `validation` exactly once, each document by itself from its own beginning.

    A document longer than `context_length` (the model's, by default) is read in windows that begin every `stride`
    tokens (half the context by default), and each window scores the targets that the windows before it did not reach.
    So past a document's beginning, every target has at least context_length - stride tokens of context. The result does
    not depend on `batch_tokens` (positions in a batch, padding included), which bounds the memory. Dropout is off, and
    the model's mode and torch's random state are left as they were.

    Raises ConfigError for a context that the model does not have or a stride outside 1 .. context_length, and
    DataError when there is nothing to score.
    """
    began = time.perf_counter()
    most = model.config.context_length
    context_length = most if context_length is None else context_length
    stride = max(1, context_length // 2) if stride is None else stride
    if not 1 <= context_length <= most:
        raise ConfigError(f"context_length {context_length} is not between 1 and the model's {most}")
    if not 1 <= stride <= context_length:
        raise ConfigError(f"stride {stride} is not between 1 and the context length {context_length}")
    lengths = np.array([max(0, len(ids) - 1) for ids in validation.documents], dtype=np.int64)
    targets = validation.targets
    if not targets or not validation.text_bytes:
        raise DataError(f"nothing to score: {len(lengths)} documents hold {targets} targets")
    device = next(model.parameters()).device
    nats = 0.0
    with inference(model):
        for rows in _batches(_windows(lengths, context_length, stride), batch_tokens):
            tokens, right, weights = (part.to(device) for part in _fill(validation, rows))
            nats += float(model.loss(model(tokens), right, weights))
    each = nats / targets
    return Score(
        bits_per_byte=nats / math.log(2) / validation.text_bytes,
        nats_per_token=each,
        perplexity=math.exp(each) if each < 700 else math.inf,
        tokens=targets,
        bytes=validation.text_bytes,
        documents=len(lengths),
        context_length=context_length,
        stride=stride,
        seconds=time.perf_counter() - began,
    )


def _windows(lengths: np.ndarray, context_length: int, stride: int) -> np.ndarray:
    """(W, 4) rows (document, begin, stop, scored from) that cover each document's targets 0 .. length - 1:
    a window reads the tokens before targets begin .. stop - 1 and scores the targets from `scored from` on."""
    counts = np.where(lengths > 0, 1 + -(-np.maximum(0, lengths - context_length) // stride), 0)
    document = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = number * stride
    scored = begin + np.where(number > 0, context_length - stride, 0)
    return np.stack([document, begin, np.minimum(begin + context_length, lengths[document]), scored], axis=1)


def _batches(windows: np.ndarray, batch_tokens: int) -> Iterator[np.ndarray]:
    """Yield windows of about equal width together, the widest first, so that a lack of memory shows at once."""
    windows = windows[np.argsort(windows[:, 1] - windows[:, 2], kind="stable")]
    at = 0
    while at < len(windows):
        rows = max(1, batch_tokens // int(windows[at, 2] - windows[at, 1]))
        yield windows[at : at + rows]
        at += rows


def _fill(validation: FixedSet, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, targets, weights (R, T) of a batch; rows end in padding of weight 0, which no target sees."""
    shape = (len(rows), int((rows[:, 2] - rows[:, 1]).max()))
    tokens, targets = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    weights = np.zeros(shape, dtype=np.float32)
    for row, (document, begin, stop, scored) in enumerate(rows.tolist()):
        ids = validation.documents[document][begin : stop + 1]
        tokens[row, : stop - begin] = ids[:-1]
        targets[row, : stop - begin] = ids[1:]
        # Target i of a document is its id i + 1.
        learned = 1 if validation.learned is None else validation.learned[document][scored + 1 : stop + 1]
        weights[row, scored - begin : stop - begin] = learned
    return torch.from_numpy(tokens), torch.from_numpy(targets), torch.from_numpy(weights)
