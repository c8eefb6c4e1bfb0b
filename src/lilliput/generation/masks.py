"""Masks: the likeliest tokens at the gaps of a text, by a model that reads both sides."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError
from lilliput.base.machine import choose_device
from lilliput.data.special_tokens import COMMON
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.inference import damaged, inference
from lilliput.generation.loading import objective_of
from lilliput.model.config import Family
from lilliput.model.huggingface import from_huggingface, read_config
from lilliput.model.sight import BOTH
from lilliput.model.transformer import Model
from lilliput.objectives.masked import Masked
from lilliput.runs.finding import model_folder

BLANK = "_{3,}"
"""A gap as people write it: three underscores or more."""


def fill(
    path: str | Path,
    text: str,
    *,
    top: int = 5,
    device: str = "auto",
    notify: Callable[[str], None] = print_line,
) -> dict[str, Any]:
    """Predict the hidden tokens of a text by the model at `path` (a run, a checkpoint, a Hugging Face folder), which
    was trained to fill in masks. A mask is [MASK], the tokenizer's own mask token, or ___, and stands for one token.

    Returns `text`; `masks`, for each mask in order its `tokens`, the `top` likeliest with their text (`token`, with the
    space that belongs to it) and `probability`; and `filled`, the text with the likeliest token in each mask. Each mask
    is predicted while all others are hidden. Special tokens count in the probabilities and are not listed.

    Raises ConfigError for a model of another objective, for a text without a mask, and for one longer than the
    context."""
    if top < 1:
        raise ConfigError(f"--top {top} lists no token", "give a number from 1")
    folder = model_folder(path, notify)
    objective = objective_of(folder)
    tokenizer = Tokenizer.load(folder)
    parts = _parts(text, tokenizer)
    if not isinstance(objective, Masked) and not objective.predicts_hidden:
        raise _cannot(path, objective.kind, read_config(folder)[0].family, parts)
    if len(parts) == 1:
        raise ConfigError("the text holds no mask", 'put [MASK] or ___ at the gap: "Tim had a [MASK] dog."')
    model = from_huggingface(folder, notify).to(choose_device(device)).eval()
    if "mask" not in tokenizer.specials:
        raise ConfigError(f"the tokenizer of {path} has no mask token", "name it in tokenizer_config.json: mask_token")
    ids, places = _encoded(parts, tokenizer)
    if len(ids) > model.config.context_length:
        raise ConfigError(
            f"the text has {len(ids):,} tokens, and the context of the model {model.config.context_length:,}",
            "give a shorter text around the mask",
        )
    # A hybrid predicts a hidden token at the position before it.
    read = [place - objective.predicts_hidden for place in places]
    found = _likeliest(model, tokenizer, ids, read, top)
    whole = _joined(parts, [str(tokens[0]["token"]) for tokens in found], tokenizer)
    return {"text": text, "masks": [{"tokens": tokens} for tokens in found], "filled": whole}


def _likeliest(
    model: Model, tokenizer: Tokenizer, ids: list[int], places: list[int], top: int
) -> list[list[dict[str, Any]]]:
    """The `top` likeliest tokens that are predicted at each of the places, with their probabilities. Raises ModelError
    for a damaged model."""
    with inference(model):
        hidden = model(torch.tensor([ids], device=model.embed.weight.device), BOTH)[0]
        logits = model.logits(hidden[places])[:, : tokenizer.vocab_size]
    if not bool(torch.isfinite(logits).all()):
        raise damaged()
    shares = logits.softmax(-1).cpu()
    special = sorted(set(tokenizer.specials.values()))
    shares[:, special] = -1.0  # they are listed behind all others, and then left out
    values, numbers = shares.topk(min(top, shares.shape[-1] - len(special)), dim=-1)
    return [
        [
            {"token": tokenizer.decode([number], continuing=True), "probability": share}
            for number, share in zip(row, its, strict=True)
        ]
        for row, its in zip(numbers.tolist(), values.tolist(), strict=True)
    ]


def _parts(text: str, tokenizer: Tokenizer) -> list[str]:
    """The parts of the text between its masks."""
    own = [tokenizer.token(tokenizer.specials["mask"])] if "mask" in tokenizer.specials else []
    return re.split("|".join([*map(re.escape, {*own, *COMMON["mask"]}), BLANK]), text)


def _encoded(parts: list[str], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids of a text with its marks, and the places of its masks. A space before a mask belongs to the hidden
    token, as it does in training; with a tokenizer of another kind, tokens hold no spaces."""
    ids, places = [tokenizer.bos_id], list[int]()
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        ids += tokenizer.encode(part if last else _before_mask(part, tokenizer), continuing=number > 0)
        if not last:
            places.append(len(ids))
            ids.append(tokenizer.specials["mask"])
    return [*ids, tokenizer.eos_id], places


def _before_mask(part: str, tokenizer: Tokenizer) -> str:
    return part if tokenizer.kind in ("other", "characters") else part.removesuffix(" ")


def _joined(parts: list[str], tokens: list[str], tokenizer: Tokenizer) -> str:
    """The text with a token in each mask."""
    pairs = zip(parts, tokens, strict=False)
    made = "".join(_before_mask(part, tokenizer) + token for part, token in pairs) + parts[-1]
    return made if parts[0] else made.lstrip(" ")


def _cannot(path: str | Path, kind: str, family: Family, parts: list[str]) -> ConfigError:
    """The error for a model that fills in no masks, with the line to type instead."""
    if family == "encoder-decoder":
        gaps = shlex.quote("___".join(parts)) if len(parts) > 1 else '"Tim had a ___ dog."'
        return ConfigError(
            f"{path} is an encoder-decoder (objective '{kind}'), which generates texts and fills in no masks",
            f"lilliput generate {path} {gaps}"
            if kind == "span"
            else f"train one for gaps: lilliput train span; then type: lilliput generate span {gaps}",
        )
    if family == "encoder":
        return ConfigError(
            f"{path} was trained by the objective '{kind}', and no longer to fill in masks",
            "ask the model that it began with (init.from in its recipe.yaml), or train one: lilliput train masked",
        )
    # The first and the last part stand for the sides of one gap.
    sides = f"--prefix {shlex.quote(parts[0])} --suffix {shlex.quote(parts[-1])}" if len(parts) > 1 else ""
    if kind == "fim":
        ask = f"lilliput generate {path} {sides or '--prefix TEXT --suffix TEXT'}"
        return ConfigError(f"{path} is a decoder, which generates a middle of any length and fills in no masks", ask)
    return ConfigError(
        f"{path} is a decoder (objective '{kind}'), which sees what stands before a gap alone, and fills in no masks",
        "train an encoder: lilliput train masked; or a model of middles (lilliput train story objective.kind=fim), and "
        f"type: lilliput generate RUN {sides or '--prefix TEXT --suffix TEXT'}",
    )
