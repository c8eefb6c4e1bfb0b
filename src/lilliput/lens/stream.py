"""The residual stream: its states between the layers, the logits that are read from them, and the heads' parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from lilliput.base.errors import ModelError
from lilliput.decoding.inference import inference
from lilliput.lens.capture import Captured, capture
from lilliput.model.block import Block
from lilliput.model.fields import known, unknown_fields
from lilliput.model.parts import AttentionPart
from lilliput.model.transformer import Model

FIELDS = known(
    "style d_model n_layers n_heads n_kv_heads d_head d_mlp vocab_size context_length norm_eps position rope_theta "
    "rope_theta_window rope_scaling rotary_fraction mlp qk_norm qk_norm_over attention attention_layers "
    "attention_scale window window_layers bias qkv_bias dropout tied_embeddings init causal token_types embed_scale "
    "n_experts experts_per_token d_shared normalize_routes balance balance_loss router_z_loss",
    norm=("rms", "layer"),
    residual=("sequential", "parallel", "parallel_shared"),
    norm_place=("pre",),
)
"""The config fields under which the last state of the stream is the sum of what embeddings and parts write, and the
logits are a product of this state, normed, and the output matrix."""
NORM = "applied"
"""How the final norm is treated where logits are read from a state of the stream: the model's own final norm is
applied, with the scale of that state. It is not folded into the output matrix."""


def block_of(model: Model, layer: int) -> Block:
    """Return a block of the model by its number, from 0."""
    return cast(Block, model.blocks[layer])


def seen_in(model: Model, tokens: torch.Tensor, names: str | Sequence[str]) -> Captured:
    """Run the model on tokens (N, T) without gradient and in evaluation mode. Return the named activations."""
    with inference(model), capture(model, names) as seen:
        model(tokens)
    return seen


def stage_points(model: Model) -> list[str]:
    """Return the hook points of the stages of the stream: before the first layer, and after each layer."""
    return ["blocks.0.hook_resid_pre", *(f"blocks.{layer}.hook_resid_post" for layer in range(model.config.n_layers))]


def stage_names(model: Model) -> list[str]:
    """Return words for the stages: 'embeddings', 'layer 0', 'layer 1' and so on."""
    return ["embeddings", *(f"layer {layer}" for layer in range(model.config.n_layers))]


def stages(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    """Return the stream of tokens (N, T) at each stage, (stages, N, T, d_model), an ordinary tensor without graph."""
    points = stage_points(model)
    seen = seen_in(model, tokens, points)
    return torch.stack([seen[point] for point in points])


def read_out(model: Model, stream: torch.Tensor) -> torch.Tensor:
    """Return the logits (..., vocab_size) that the model would give, if a state of the stream, (..., d_model), were its
    last. The final norm is applied with the scale of this state."""
    return model.logits(stream if model.ln_final is None else model.ln_final(stream))


def output_weight(model: Model, layer: int) -> torch.Tensor:
    """Return a layer's output matrix by head, (n_heads, d_head, d_model): a head's z, times its matrix, is the head's
    part of the attention's output."""
    config = model.config
    weight = linear(block_of(model, layer).attn, "out").weight.detach()
    return weight.T.view(config.n_heads, config.d_head, config.d_model)


def head_outputs(model: Model, layer: int, z: torch.Tensor) -> torch.Tensor:
    """Return the part of each head in a layer's attention output, (N, T, n_heads, d_model), from `hook_z`, (N, T,
    n_heads, d_head). The parts and the output's bias sum to `hook_attn_out`."""
    return torch.einsum("nthd,hdm->nthm", z, output_weight(model, layer))


def linear(part: nn.Module, name: str) -> nn.Linear:
    """Return the linear map `name` of a part. Raises ModelError for a part without it, such as a wrapped map."""
    found = getattr(part, name, None)
    if not isinstance(found, nn.Linear):
        raise ModelError(
            f"the {type(part).__name__} of this model has no plain linear map '{name}'",
            "merge the adapter first, or use a model of Lilliput's own attention and MLP",
        )
    return found


def not_a_sum(model: Model) -> list[str]:
    """Return why the logits are not the sum of what embeddings and parts write, normed once; empty where they are."""
    return unknown_fields(model.config, FIELDS)


def check_sum(model: Model) -> None:
    """Raise ModelError where the logits are not the sum of what embeddings and parts write, normed once."""
    if reasons := not_a_sum(model):
        raise ModelError(
            f"the logits of this model are not the sum of what its parts write: {'; '.join(reasons)}",
            "ablation, patching and attention patterns work for every model",
        )


def has_neurons(model: Model) -> bool:
    """Return whether every layer's MLP has neurons that act on all tokens. Of experts each token passes through a
    few."""
    return all(f"blocks.{layer}.mlp.hook_post" in model.hooks for layer in range(model.config.n_layers))


def has_heads(model: Model) -> bool:
    """Return whether every layer's attention has heads whose outputs add up."""
    attentions = [block_of(model, layer).attn for layer in range(model.config.n_layers)]
    return all(isinstance(attention, AttentionPart) and attention.summed for attention in attentions)


def without_patterns(model: Model) -> str:
    """Return the layers whose attention has no pattern, with their kind, such as "layers 0, 1 (attention=gated_delta)";
    '' where every layer has a pattern."""
    kinds = dict(enumerate(model.config.attentions))
    odd = {layer: kind for layer, kind in kinds.items() if not getattr(block_of(model, layer).attn, "patterned", False)}
    names = " and ".join(f"attention={kind}" for kind in sorted({*odd.values()}))
    return f"layers {', '.join(map(str, odd))} ({names})" if odd else ""
