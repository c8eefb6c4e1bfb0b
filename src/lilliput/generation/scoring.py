"""Scoring: the classes of texts by a classifier, their entities by a tagger, or their rewards by a reward model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError
from lilliput.base.machine import choose_device
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.loading import objective_of
from lilliput.model.heads import Head
from lilliput.model.huggingface import from_huggingface
from lilliput.model.stock_heads import read_head
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.scored import ScoredConfig, outputs_of, with_types
from lilliput.runs.finding import model_folder

ROWS = 16
"""Texts that the model reads at once."""


def has_scores(path: str | Path) -> bool:
    """Whether the model at `path` is a classifier, a tagger or a reward model. Raises CheckpointError where there is no
    model."""
    return isinstance(objective_of(model_folder(path, lambda text: None)), ScoredConfig)


def load_with_head(
    path: str | Path, device: str, notify: Callable[[str], None]
) -> tuple[ScoredConfig, Model, Head, Tokenizer]:
    """Load a classifier, a tagger or a reward model with its head. Raises ConfigError for a model without a head."""
    folder = model_folder(path, notify)
    objective, place = objective_of(folder), choose_device(device)
    model = from_huggingface(folder, notify).to(place).eval()
    head = read_head(folder, model.config)
    if head is None or not isinstance(objective, ScoredConfig):
        raise ConfigError(
            f"{path} was trained by the objective '{objective.kind}', and has no head that scores a text",
            f"train a classifier or a reward model: lilliput train classify --from {path}",
        )
    objective.check_head(head)
    return objective, model, head.to(place).eval(), Tokenizer.load(folder)


def score(
    path: str | Path,
    texts: Sequence[str],
    *,
    prompt: str | None = None,
    pair: str | None = None,
    device: str = "auto",
    notify: Callable[[str], None] = print_line,
) -> list[dict[str, Any]]:
    """Score each text by the classifier, tagger or reward model at `path` (a run, a checkpoint, a Hugging Face folder).

    Each text gives a dict with `text` and, by the kind of model, `label` and `probabilities` by class, or `score`, or
    `entities`, or `reward`. A reward model scores each text as the reply to `prompt`. A classifier of pairs reads
    `pair` as the second text of each pair. A text that is longer than the context is cut at its end, as in training,
    and a line counts such texts.

    Raises ConfigError for a model without a head, for a prompt or a pair that the model does not take, and where it
    needs one."""
    objective, model, head, tokenizer = load_with_head(path, device, notify)
    context = model.config.context_length
    sequences = objective.encode_scored(texts, prompt, tokenizer, pair)
    if longer := sum(len(one.ids) > context for one in sequences):
        notify(f"{longer:,} of {len(texts):,} texts are longer than the context of {context:,} tokens: cut at the end")
    found: list[dict[str, Any]] = []
    for place in range(0, len(texts), ROWS):
        part = sequences[place : place + ROWS]
        rows = [list(one.ids)[:context] for one in part]
        longest = max(map(len, rows))
        tokens = torch.tensor([[[*ids, *[tokenizer.pad_id] * (longest - len(ids))]] for ids in rows])
        batch = Batch(tokens, lengths=torch.tensor([[len(ids)] for ids in rows]))
        batch = with_types(batch, [[one.columns or {}] for one in part], model)
        with torch.no_grad():
            outputs = outputs_of(model, head, batch.to(next(model.parameters()).device))[:, 0].cpu()
        found += [
            objective.answer(one[: len(ids)] if head.each else one, text, sequence)
            for one, ids, text, sequence in zip(outputs, rows, texts[place : place + ROWS], part, strict=True)
        ]
    return [{"text": text, **answer} for text, answer in zip(texts, found, strict=True)]
