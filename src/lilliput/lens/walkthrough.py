"""Walk-through: one attention head and the output matrix, worked through step by step in plain formulas, with the
model's own numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch

from lilliput.base.errors import ModelError
from lilliput.decoding.inference import inference
from lilliput.lens.capture import capture
from lilliput.lens.stream import block_of, linear
from lilliput.model.attention import Attention
from lilliput.model.fields import known, unknown_fields
from lilliput.model.norms import LayerNorm, Norm, RMSNorm
from lilliput.model.positions import Learned
from lilliput.model.transformer import Model

FIELDS = known(
    "style d_model n_layers n_heads n_kv_heads d_head d_mlp vocab_size context_length norm_eps rope_theta "
    "rotary_fraction mlp qk_norm window window_layers residual bias qkv_bias dropout tied_embeddings init n_experts "
    "experts_per_token d_shared normalize_routes balance balance_loss router_z_loss",
    norm=("rms", "layer"),
    position=("rotary", "learned"),
)
"""The config fields whose formulas are worked through here."""


@dataclass(frozen=True)
class Walk:
    """Every step of one head, for one text of T tokens.

    stream    (T, d_model): the input of the layer, taken from the model; in layer 0 it is computed too, as the tokens'
              embeddings (and their position vectors)
    normed    (T, d_model): the layer's norm of the stream
    q, k, v   (T, d_head): normed times the head's matrices, plus biases
    q_ready, k_ready  (T, d_head): q and k after QK-norm and rotary, where the model has them
    scores    (T, T): q_ready · k_ready / sqrt(d_head), query by key
    masked    (T, T): the scores, with -inf where the query does not see the key
    pattern   (T, T): the softmax of each row
    z         (T, d_head): pattern times v
    output    (T, d_model): z times the head's part of the output matrix, which is added to the stream
    final     (T, d_model): the stream after the last layer, taken from the model
    final_normed (T, d_model), logits (T, vocab_size): the final norm and the output matrix
    kv_head   the key head that the head uses
    """

    layer: int
    head: int
    kv_head: int
    stream: torch.Tensor
    normed: torch.Tensor
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    q_ready: torch.Tensor
    k_ready: torch.Tensor
    scores: torch.Tensor
    masked: torch.Tensor
    pattern: torch.Tensor
    z: torch.Tensor
    output: torch.Tensor
    final: torch.Tensor
    final_normed: torch.Tensor
    logits: torch.Tensor


def unknown_formulas(model: Model) -> list[str]:
    """Return the settings of the model whose formulas are not known here; empty where all are."""
    return unknown_fields(model.config, FIELDS)


def walk(model: Model, tokens: torch.Tensor, layer: int, head: int) -> Walk:
    """Work through one head of a layer and the output matrix for tokens (T,). The stream before the layer and after the
    last layer are the model's own (in layer 0 the former is computed from the embeddings). Raises ModelError for a head
    that the model lacks, and for parts whose formulas are not known here."""
    if reasons := unknown_formulas(model):
        raise ModelError(f"formulas of this model's parts are not known here: {'; '.join(reasons)}")
    with torch.no_grad():
        seen = _streams(model, tokens, layer)
        block, config = block_of(model, layer), model.config
        if not isinstance(block.attn, Attention):
            raise ModelError(f"the attention is a {type(block.attn).__name__}, whose formula is not known here")
        if not 0 <= head < config.n_heads:
            raise ModelError(f"the model has no head {head}", f"its heads are 0 to {config.n_heads - 1}")
        kv_head = head // (config.n_heads // config.n_kv_heads)
        stream = embedded(model, tokens) if layer == 0 else seen[0]
        normed = plain_norm(cast(Norm, block.ln1), stream)
        first = (head, config.n_heads + kv_head, config.n_heads + config.n_kv_heads + kv_head)
        q, k, v = (_projected(block.attn, normed, place, config.d_head) for place in first)
        q_ready = _positioned(model, q if block.attn.q_norm is None else plain_norm(block.attn.q_norm, q))
        k_ready = _positioned(model, k if block.attn.k_norm is None else plain_norm(block.attn.k_norm, k))
        scores = q_ready @ k_ready.T / config.d_head**0.5
        masked = scores.masked_fill(~visible(len(tokens), config.windows[layer]).to(scores.device), float("-inf"))
        pattern = softmax(masked)
        z = pattern @ v
        part = slice(head * config.d_head, (head + 1) * config.d_head)
        output = z @ linear(block.attn, "out").weight[:, part].T
        final_normed = plain_norm(cast(Norm, model.ln_final), seen[1])
        logits = final_normed @ model.output_matrix.T
    ready = (
        stream,
        normed,
        q,
        k,
        v,
        q_ready,
        k_ready,
        scores,
        masked,
        pattern,
        z,
        output,
        seen[1],
        final_normed,
        logits,
    )
    return Walk(layer, head, kv_head, *ready)


def differences(model: Model, tokens: torch.Tensor, found: Walk) -> dict[str, float]:
    """Return the largest distance of each step from the model's own activation, by the name of its hook point."""
    place = f"blocks.{found.layer}."
    steps = ("q", "k", "v", "rot_q", "rot_k", "attn_scores", "pattern", "z")
    names = ["hook_resid_pre", *(f"attn.hook_{step}" for step in steps)]
    with inference(model), capture(model, [place + name for name in names]) as seen:
        logits = model.logits(model(tokens[None]))[0]
    own = {name: seen[place + name][0] for name in names}
    keys = {"attn.hook_k", "attn.hook_v", "attn.hook_rot_k"}
    for name in names[1:]:
        number = found.kv_head if name in keys else found.head
        own[name] = own[name][number] if name.endswith(("scores", "pattern")) else own[name][:, number]
    ours = (
        found.stream,
        found.q,
        found.k,
        found.v,
        found.q_ready,
        found.k_ready,
        found.masked,
        found.pattern,
        found.z,
    )
    pairs = {name: (own[name], step) for name, step in zip(names, ours, strict=True)} | {
        "logits": (logits, found.logits)
    }
    return {name: _distance(theirs, ours) for name, (theirs, ours) in pairs.items()}


# ---------------------------------------------------------------------------- plain formulas


def embedded(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    """Return the rows of the embedding matrix for tokens (T,), plus the learned vectors of their positions, (T,
    d_model)."""
    rows = model.embed.weight[tokens]
    return rows + model.position.weight[: len(tokens)] if isinstance(model.position, Learned) else rows


def plain_norm(norm: Norm, x: torch.Tensor) -> torch.Tensor:
    """RMSNorm: x / sqrt(mean(x²) + eps) * weight. LayerNorm: (x - mean(x)) / sqrt(mean((x - mean(x))²) + eps) * weight
    + bias. x (..., width)."""
    if isinstance(norm, LayerNorm):
        x = x - x.mean(-1, keepdim=True)
    elif not isinstance(norm, RMSNorm):
        raise ModelError(f"the norm is a {type(norm).__name__}, whose formula is not known here")
    scaled = x / (x.pow(2).mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight
    return scaled + norm.bias if isinstance(norm, LayerNorm) and norm.bias is not None else scaled


def rotate(x: torch.Tensor, rotated: int, theta: float) -> torch.Tensor:
    """Rotate channels i and i + rotated / 2 of x (T, d_head) by the angle position * theta^(-2 i / rotated) (RoPE,
    arXiv:2104.09864). Channels from `rotated` on stay as they are."""
    half = rotated // 2
    turned = x.clone()
    for i in range(half):
        angle = torch.arange(len(x), device=x.device) * theta ** (-2 * i / rotated)
        a, b = x[:, i], x[:, i + half]
        turned[:, i] = a * angle.cos() - b * angle.sin()
        turned[:, i + half] = a * angle.sin() + b * angle.cos()
    return turned


def visible(length: int, window: int | None) -> torch.Tensor:
    """Return whether the query (row) sees the key (column), (T, T) bool: the key is not later, and it is nearer than
    the window."""
    query, key = torch.arange(length)[:, None], torch.arange(length)[None]
    return (key <= query) if window is None else (key <= query) & (query - key < window)


def softmax(scores: torch.Tensor) -> torch.Tensor:
    """Return e^score / sum of e^score over each row; e^(-inf) is 0. The largest score of the row is subtracted first,
    which changes no share."""
    powers = (scores - scores.max(-1, keepdim=True).values).exp()
    return powers / powers.sum(-1, keepdim=True)


def _projected(attention: Attention, normed: torch.Tensor, place: int, width: int) -> torch.Tensor:
    """Return normed @ W.T + b for the rows of one head in the matrix of queries, keys and values."""
    qkv, rows = linear(attention, "qkv"), slice(place * width, (place + 1) * width)
    found = normed @ qkv.weight[rows].T
    return found if qkv.bias is None else found + qkv.bias[rows]


def _positioned(model: Model, x: torch.Tensor) -> torch.Tensor:
    config = model.config
    if config.position == "learned":
        return x
    if config.position != "rotary":
        raise ModelError(f"the formula of the position '{config.position}' is not known here")
    return rotate(x, int(config.d_head * config.rotary_fraction), config.rope_theta)


def _streams(model: Model, tokens: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the stream before a layer and after the last layer, (T, d_model) each."""
    if not 0 <= layer < model.config.n_layers:
        raise ModelError(f"the model has no layer {layer}", f"its layers are 0 to {model.config.n_layers - 1}")
    names = [f"blocks.{layer}.hook_resid_pre", f"blocks.{model.config.n_layers - 1}.hook_resid_post"]
    with inference(model), capture(model, names) as seen:
        model(tokens[None])
    return seen[names[0]][0].clone(), seen[names[1]][0].clone()


def _distance(theirs: torch.Tensor, ours: torch.Tensor) -> float:
    same = theirs == ours  # -inf on both sides
    return float((theirs - ours).masked_fill(same, 0.0).abs().max())
