"""Vectors of texts: the mean of a model's last hidden states, and the nearest texts by their angle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError, ModelError
from lilliput.base.machine import choose_device
from lilliput.data.document import Document
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.inference import inference
from lilliput.generation.loading import objective_of
from lilliput.model.heads import mean_of_real
from lilliput.model.huggingface import from_huggingface
from lilliput.model.source import Source
from lilliput.model.transformer import Model
from lilliput.runs.finding import model_folder

BATCH_TOKENS = 8192
"""Positions, padding included, that the model reads at once."""


def embed(
    path: str | Path,
    texts: Sequence[str],
    *,
    device: str = "auto",
    notify: Callable[[str], None] = print_line,
) -> np.ndarray:
    """Return a vector for each text, (texts, d_model) float32, by the model at `path` (a run, a checkpoint, a Hugging
    Face folder): the mean of its last hidden states, normed, over the tokens of the text with its marks, of its encoder
    where it has one beside a decoder. This is the mean pooling of sentence-transformers. The vectors are not scaled to
    length 1.

    A text is read as in training, so that a model that reads in reverse reads it in reverse. A text that is longer than
    the context is cut at its end, and a line counts such texts. Raises ConfigError without a text, and ModelError where
    the vectors are not finite."""
    if not texts:
        raise ConfigError("there is no text to embed", 'give texts: lilliput embed RUN "a text"')
    folder = model_folder(path, notify)
    objective, tokenizer = objective_of(folder), Tokenizer.load(folder)
    model = from_huggingface(folder, notify).to(choose_device(device)).eval()
    documents = [Document(text, f"text {number}") for number, text in enumerate(texts)]
    sequences = [np.asarray(one.ids, np.int64) for one in objective.encode_texts(documents, tokenizer)]
    context = model.config.context_length
    if longer := sum(len(ids) > context for ids in sequences):
        notify(f"{longer:,} of {len(texts):,} texts are longer than the context of {context:,} tokens: cut at the end")
    vectors = means(model, [ids[:context] for ids in sequences])
    if not np.isfinite(vectors).all():
        raise ModelError(
            "the vectors are not finite: the model's weights are damaged", "embed by an earlier checkpoint"
        )
    return vectors


def means(model: Model, sequences: Sequence[np.ndarray]) -> np.ndarray:
    """The mean hidden state of each sequence of ids, (sequences, d_model) float32. Sequences of about equal length are
    read together, and padding has no influence."""
    order = sorted(range(len(sequences)), key=lambda number: -len(sequences[number]))
    found = np.empty((len(sequences), model.config.d_model), np.float32)
    device, at = model.embed.weight.device, 0
    with inference(model):
        while at < len(order):
            width = len(sequences[order[at]])
            chosen = order[at : at + max(1, BATCH_TOKENS // width)]
            tokens = np.zeros((len(chosen), width), np.int64)
            for row, number in enumerate(chosen):
                tokens[row, : len(sequences[number])] = sequences[number]
            lengths = torch.tensor([len(sequences[number]) for number in chosen], device=device)
            found[chosen] = mean_of_real(_hidden(model, torch.from_numpy(tokens).to(device), lengths), lengths).cpu()
            at += len(chosen)
    return found


def _hidden(model: Model, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The last hidden states (B, T, d_model) float32 of tokens (B, T), of which `lengths` are real: those of the
    encoder in a model that has one."""
    if model.encoder is not None:
        return model.encode(Source(tokens, lengths)).hidden.float()
    return model(tokens, replace(model.sight, lengths=lengths)).float()


def cosines(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(queries, vectors): the cosine of the angle between each query (Q, d) and each vector (N, d)."""
    scaled = [each / np.maximum(np.linalg.norm(each, axis=-1, keepdims=True), 1e-12) for each in (queries, vectors)]
    return scaled[0] @ scaled[1].T


def neighbours(
    path: str | Path,
    texts: Sequence[str],
    query: str,
    *,
    top: int = 5,
    device: str = "auto",
    notify: Callable[[str], None] = print_line,
) -> list[dict[str, Any]]:
    """Return the `top` texts that are nearest to the query, the nearest first: each with `text`, its place `number` in
    `texts`, and `similarity`, the cosine of both vectors of `embed`, from -1 to 1. Raises ConfigError for a `top` below
    1, and what `embed` raises."""
    if top < 1:
        raise ConfigError(f"--top {top} lists no text", "give a number from 1")
    vectors = embed(path, [*texts, query], device=device, notify=notify)
    (likeness,) = cosines(vectors[:-1], vectors[-1:])
    order = np.argsort(-likeness, kind="stable")[:top].tolist()
    return [{"text": texts[number], "number": number, "similarity": float(likeness[number])} for number in order]
