"""Heads: what each attention head looks at and what it copies, as scores for every row of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch

from lilliput.base.seeds import derive
from lilliput.decoding.inference import inference
from lilliput.lens.capture import Captured, capture
from lilliput.lens.head_targets import (
    attention_to,
    duplicate_token,
    first_token,
    induction,
    previous_token,
    real_positions,
    spread,
)
from lilliput.lens.probes import EncodedPairs, Repeated
from lilliput.lens.stream import check_sum, linear, read_out
from lilliput.model.block import Block
from lilliput.model.norms import Norm
from lilliput.model.transformer import Model

Scores = dict[str, torch.Tensor]
"""Scores by name, each (rows, layers, heads)."""
BEST = 5
"""A head copies a token where the token is among this many tokens that the head makes likeliest."""
PATTERN, VALUES, RESULT = "blocks.*.attn.hook_pattern", "blocks.*.attn.hook_v", "blocks.*.attn.hook_z"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of score: its name in the field, what it says in words, and whether a share is meant."""

    name: str
    words: str
    share: bool = True


KINDS = {
    "previous": Kind("previous token", "looks at the token just before"),
    "first": Kind("first token", "rests on the first token of the text"),
    "spread": Kind("entropy", "looks at many tokens at once (0: one, 1: all)"),
    "copies": Kind("copying (OV circuit)", "makes the token that it looks at likelier to come next"),
    "duplicate": Kind("duplicate token", "looks at an earlier copy of the same token"),
    "induction": Kind("induction", "looks at the token that followed an earlier copy"),
    "adds": Kind("induction by copying", "adds to the logit of the token that followed an earlier copy", share=False),
    "mover": Kind("name mover", "looks back at the hero's name where the name comes next, and copies it"),
}
"""Every score by its key."""


def text_scores(model: Model, rows: torch.Tensor, pad: int) -> Scores:
    """Return `previous`, `first`, `spread` and `copies` on rows of text (N, T) that may end in padding."""
    check_sum(model)
    with inference(model), capture(model, [PATTERN, VALUES]) as seen:
        model(rows)
        real = real_positions(rows, pad)
        later = real & (torch.arange(rows.shape[1], device=rows.device) > 0)
        previous, first = previous_token(rows), first_token(rows)
        return {
            "previous": _by_layer(model, seen, lambda pattern: attention_to(pattern, previous, later)),
            "first": _by_layer(model, seen, lambda pattern: attention_to(pattern, first, later)),
            "spread": _by_layer(model, seen, lambda pattern: spread(pattern, later)),
            "copies": _mean(copied(model, seen, rows), real),
        }


def repeated_scores(model: Model, made: Repeated, shuffled: bool = False) -> Scores:
    """Return `duplicate`, `induction` and `adds` on random tokens that come twice. Queries of the second block count.
    With `shuffled`, the second block is the control's, and the targets are at the places where they are without it, so
    that a head scores as high only if it goes by place and not by token."""
    check_sum(model)
    tokens = made.shuffled if shuffled else made.tokens
    with inference(model), capture(model, [PATTERN, RESULT, "ln_final.hook_scale"]) as seen:
        model(tokens)
        same, after = duplicate_token(made.tokens), induction(made.tokens)
        second = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens) > made.length
        return {
            "duplicate": _by_layer(model, seen, lambda pattern: attention_to(pattern, same, second)),
            "induction": _by_layer(model, seen, lambda pattern: attention_to(pattern, after, second)),
            "adds": added(model, seen, made),
        }


def mover_scores(model: Model, pairs: EncodedPairs) -> Scores:
    """Return `mover` on texts of minimal pairs of the kind "hero": the attention from the last token to the hero's
    name, times whether the head copies the name there."""
    check_sum(model)
    with inference(model), capture(model, [PATTERN, VALUES]) as seen:
        model(pairs.tokens)
        rows = torch.arange(len(pairs.tokens), device=pairs.tokens.device)
        looked = torch.stack([pattern[rows, :, pairs.last, pairs.place] for pattern in _patterns(model, seen)], 1)
        copies = copied(model, seen, pairs.tokens)[rows, :, :, pairs.place]
        return {"mover": (looked * copies).cpu()}


def shuffled_rows(rows: torch.Tensor, pad: int, seed: int = 0) -> torch.Tensor:
    """rows (N, T) -> the same tokens in random order, except for the first token and the padding."""
    source = torch.Generator().manual_seed(derive(seed, "rows shuffled") % 2**63)
    mixed, lengths = rows.clone(), real_positions(rows, pad).sum(1).tolist()
    for row, length in enumerate(lengths):
        if length > 1:
            mixed[row, 1:length] = rows[row, 1 + torch.randperm(length - 1, generator=source).to(rows.device)]
    return mixed


# ---------------------------------------------------------------------------- what heads write


def written(model: Model, layer: int, z: torch.Tensor, head: int) -> torch.Tensor:
    """Return what one head adds to the residual stream, (N, T, d_model), for its results z (N, T, heads, d_head). The
    bias of the output matrix belongs to no head and is left out."""
    out = linear(cast(Block, model.blocks[layer]).attn, "out")
    alone = torch.zeros_like(z)
    alone[:, :, head] = z[:, :, head]
    return out(alone.flatten(2)) - out(torch.zeros_like(z[:1, :1]).flatten(2))


def copied(model: Model, seen: Captured, tokens: torch.Tensor) -> torch.Tensor:
    """Return (N, layers, heads, T) float: 1 where the head would make the token at this position one of the `BEST`
    likeliest, if it looked at this position alone: the value there, through the output matrix, the last norm and the
    head of the model (the OV circuit of Elhage et al. 2021, on the activations of the text)."""
    config, groups = model.config, model.config.n_heads // model.config.n_kv_heads
    found = torch.zeros(len(tokens), config.n_layers, config.n_heads, tokens.shape[1], device=tokens.device)
    for layer in range(config.n_layers):
        values = seen[VALUES.replace("*", str(layer))].repeat_interleave(groups, dim=2)
        for head in range(config.n_heads):
            logits = read_out(model, written(model, layer, values, head))
            own = logits.gather(2, tokens[:, :, None])
            # Ties count against the head: a head that writes nothing copies nothing.
            found[:, layer, head] = ((logits >= own).sum(2) <= BEST).float()
    return found


def added(model: Model, seen: Captured, made: Repeated) -> torch.Tensor:
    """Return what each head adds to the logit of the token that followed the earlier copy, less what it adds to the
    mean logit, (N, layers, heads), in the mean over the queries of the second block but the last. The last norm divides
    by the scale that it has in the pass (direct logit attribution)."""
    length, config = made.length, model.config
    queries = slice(length + 1, 2 * length)
    wanted = made.tokens[:, 2 : length + 1, None]
    scale = seen["ln_final.hook_scale"][:, queries]
    found = torch.zeros(len(made.tokens), config.n_layers, config.n_heads)
    for layer in range(config.n_layers):
        z = seen[RESULT.replace("*", str(layer))][:, queries]
        for head in range(config.n_heads):
            logits = model.logits(_through_last_norm(model, written(model, layer, z, head), scale))
            gain = logits.gather(2, wanted)[..., 0] - logits.mean(2)
            found[:, layer, head] = gain.mean(1).cpu()
    return found


def _through_last_norm(model: Model, vectors: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return what the last norm makes of a part of its input: it is linear once its scale is fixed."""
    norm = cast(Norm, model.ln_final)
    if model.config.norm == "layer":
        vectors = vectors - vectors.mean(-1, keepdim=True)
    return vectors / scale * cast(torch.Tensor, norm.weight)


def _patterns(model: Model, seen: Captured) -> list[torch.Tensor]:
    return [seen[PATTERN.replace("*", str(layer))].float() for layer in range(model.config.n_layers)]


def _by_layer(model: Model, seen: Captured, score: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    return torch.stack([score(pattern) for pattern in _patterns(model, seen)], 1).cpu()


def _mean(values: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """values (N, layers, heads, T), real (N, T) -> (N, layers, heads), the mean over real positions."""
    counted = real[:, None, None].to(values.dtype)
    return ((values * counted).sum(3) / counted.sum(3).clamp_min(1)).cpu()
