"""Bits per byte: how many bits a model needs for each byte of text that it did not learn from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from lilliput.base import seeds
from lilliput.base.errors import ConfigError, DataError
from lilliput.decoding.inference import inference

if TYPE_CHECKING:
    from lilliput.data.dataset import Split
    from lilliput.model.transformer import Model


@dataclass(frozen=True, slots=True)
class FixedSet:
    """Documents to score: arrays of token ids from the beginning-of-story id on, every later id a target, and
    the UTF-8 bytes of the text that the targets stand for."""

    documents: Sequence[np.ndarray]
    text_bytes: int

    @property
    def targets(self) -> int:
        """How many ids are predicted: all but each document's first."""
        return sum(max(0, len(ids) - 1) for ids in self.documents)


@dataclass(frozen=True, slots=True)
class Score:
    """What `bits_per_byte` measured, and on what.

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
    """The same part of `split` every time: its first documents in the order of a hash of (seed, document id),
    until `max_documents` or exactly `max_tokens` targets are reached; the last document is cut there. Without
    a limit, the whole split.

    `token_bytes` (V,) is the number of bytes that each id stands for (`Tokenizer.token_bytes()`). A part's bytes
    are its ids' share of the split's: exactly their bytes for a byte-level tokenizer, and where a tokenizer adds
    spaces or drops characters, the difference is spread evenly. Raises ConfigError for a limit below 1."""
    for name, limit in (("max_tokens", max_tokens), ("max_documents", max_documents)):
        if limit is not None and limit < 1:
            raise ConfigError(f"{name} {limit} leaves nothing to evaluate on; it has to be at least 1")
    if max_tokens is None and (max_documents is None or max_documents >= split.documents):
        return FixedSet([split.document(i) for i in range(split.documents)], split.text_bytes)
    order = sorted(range(split.documents), key=lambda i: seeds.derive(seed, split.document_id(i)))
    left = split.tokens if max_tokens is None else max_tokens
    documents: list[np.ndarray] = []
    for i in order[:max_documents]:
        ids = split.document(i)[: left + 1]
        documents.append(ids)
        left -= max(0, len(ids) - 1)
        if left == 0:
            break
    counted = sum(int(token_bytes[block].sum()) for block in split.stream.blocks())
    part = sum(int(token_bytes[ids].sum()) for ids in documents)
    return FixedSet(documents, round(split.text_bytes * part / counted) if counted else 0)


def bits_per_byte(
    model: Model,
    validation: FixedSet,
    context_length: int | None = None,
    batch_tokens: int = 8192,
    stride: int | None = None,
) -> Score:
    """Score every target of `validation` exactly once, each document by itself from its own beginning.

    A document longer than `context_length` (the model's, by default) is read in windows that begin every
    `stride` tokens (half the context by default), and each window scores the targets that the windows before
    it did not reach: past a document's beginning, every target has at least context_length - stride tokens of
    context. The result does not depend on `batch_tokens` (positions in a batch, padding included), which
    bounds the memory. Dropout is off, and the model's mode and torch's random state are left as they were.

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
    if not lengths.sum() or not validation.text_bytes:
        raise DataError(f"nothing to score: {len(lengths)} documents hold {lengths.sum()} targets")
    device = next(model.parameters()).device
    nats = 0.0
    with inference(model):
        for rows in _batches(_windows(lengths, context_length, stride), batch_tokens):
            tokens, targets, weights = (part.to(device) for part in _fill(validation.documents, rows))
            nats += float(model.loss(model(tokens), targets, weights))
    each = nats / int(lengths.sum())
    return Score(
        bits_per_byte=nats / math.log(2) / validation.text_bytes,
        nats_per_token=each,
        perplexity=math.exp(each) if each < 700 else math.inf,
        tokens=int(lengths.sum()),
        bytes=validation.text_bytes,
        documents=len(lengths),
        context_length=context_length,
        stride=stride,
        seconds=time.perf_counter() - began,
    )


def _windows(lengths: np.ndarray, context_length: int, stride: int) -> np.ndarray:
    """(W, 4) rows (document, begin, stop, scored from) that cover each document's targets 0 .. length - 1:
    a window reads the tokens before targets begin .. stop - 1 and scores those from `scored from` on."""
    counts = np.where(lengths > 0, 1 + -(-np.maximum(0, lengths - context_length) // stride), 0)
    document = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = number * stride
    scored = begin + np.where(number > 0, context_length - stride, 0)
    return np.stack([document, begin, np.minimum(begin + context_length, lengths[document]), scored], axis=1)


def _batches(windows: np.ndarray, batch_tokens: int) -> Iterator[np.ndarray]:
    """Windows of about equal width together, widest first: if memory does not suffice, that shows at once."""
    windows = windows[np.argsort(windows[:, 1] - windows[:, 2], kind="stable")]
    at = 0
    while at < len(windows):
        rows = max(1, batch_tokens // int(windows[at, 2] - windows[at, 1]))
        yield windows[at : at + rows]
        at += rows


def _fill(documents: Sequence[np.ndarray], rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, targets, weights (R, T) of a batch; rows end in padding of weight 0, which no target sees."""
    shape = (len(rows), int((rows[:, 2] - rows[:, 1]).max()))
    tokens, targets = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    weights = np.zeros(shape, dtype=np.float32)
    for row, (document, begin, stop, scored) in enumerate(rows.tolist()):
        ids = documents[document][begin : stop + 1]
        tokens[row, : stop - begin] = ids[:-1]
        targets[row, : stop - begin] = ids[1:]
        weights[row, scored - begin : stop - begin] = 1
    return torch.from_numpy(tokens), torch.from_numpy(targets), torch.from_numpy(weights)
