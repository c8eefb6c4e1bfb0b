"""Direct logit attribution: a logit, or the difference of two logits, as the exact sum of the parts of the model that
write to the residual stream (Elhage et al. 2021; Wang et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch

from lilliput.base.errors import ModelError
from lilliput.decoding.inference import inference
from lilliput.lens.capture import Captured, capture
from lilliput.lens.stream import block_of, check_sum, has_neurons, linear, output_weight
from lilliput.model.norms import LayerNorm, Norm, RMSNorm
from lilliput.model.transformer import Model

NORM = "frozen"
"""How the final norm is treated: its scale is the scale of the whole stream at that position, and it does not change
from part to part. Only then do the parts add up."""


@dataclass(frozen=True)
class Attribution:
    """The parts of a logit (or of right minus wrong) at every position of tokens (N, T), in units of logits.

    embedding   (N, T): the embedding of the position's own token
    position    (N, T): the learned vector of the position; zeros for a model without such vectors
    heads       (N, T, layers, heads): what each head writes, biases left out
    attn_bias   (N, T, layers): the bias of each attention's output matrix
    mlps        (N, T, layers): what each MLP writes, its bias included
    norm_bias   (N, T): the bias of the final norm (LayerNorm alone has a bias)
    total       (N, T): the logit, or the difference, that the model itself gives; `sum()` equals it
    norm        how the final norm is treated (NORM)
    """

    embedding: torch.Tensor
    position: torch.Tensor
    heads: torch.Tensor
    attn_bias: torch.Tensor
    mlps: torch.Tensor
    norm_bias: torch.Tensor
    total: torch.Tensor
    norm: str = NORM

    def sum(self) -> torch.Tensor:
        """Return the sum of all parts, (N, T)."""
        layers = self.heads.sum((-2, -1)) + self.attn_bias.sum(-1) + self.mlps.sum(-1)
        return self.embedding + self.position + layers + self.norm_bias


def attribute(
    model: Model, tokens: torch.Tensor, right: torch.Tensor, wrong: torch.Tensor | None = None
) -> Attribution:
    """Split the logit of `right`, less the logit of `wrong` where it is given, into the parts of the model.

    tokens (N, T), right and wrong (N, T) int64: ids whose logits are read at each position. A part's share is the dot
    product of its output and the direction of the logit. The direction is a row of the output matrix (or the difference
    of two rows) times the final norm's weight, divided by the final norm's scale at the position. LayerNorm subtracts
    the mean of its input, so each part is centred too. The shares are direct effects: the effect of a head on a later
    part counts for the later part. Raises ModelError for a model whose logits are no such sum (`stream.not_a_sum`).
    """
    seen, total = _run(model, tokens, right, wrong)
    config = model.config
    along, norm_bias = _direction(model, seen, right, wrong)
    layers = range(config.n_layers)
    position = seen["hook_pos_embed"] if "hook_pos_embed" in set(seen) else None
    heads = [
        torch.einsum("nthd,hdm,ntm->nth", seen[f"blocks.{layer}.attn.hook_z"], output_weight(model, layer), along)
        for layer in layers
    ]
    biases = [linear(block_of(model, layer).attn, "out").bias for layer in layers]
    none = torch.zeros_like(total)
    return Attribution(
        embedding=_dot(seen["hook_embed"], along),
        position=none if position is None else _dot(position, along),
        heads=torch.stack(heads, dim=-2),
        attn_bias=torch.stack([none if bias is None else _dot(bias, along) for bias in biases], dim=-1),
        mlps=torch.stack([_dot(seen[f"blocks.{layer}.hook_mlp_out"], along) for layer in layers], dim=-1),
        norm_bias=norm_bias,
        total=total,
    )


@dataclass(frozen=True)
class NeuronAttribution:
    """The parts of an MLP's share. values (N, T, d_mlp): of each neuron; bias (N, T): of the MLP's output bias. Their
    sum is the layer's share in `Attribution.mlps`."""

    values: torch.Tensor
    bias: torch.Tensor


def attribute_neurons(
    model: Model, tokens: torch.Tensor, layer: int, right: torch.Tensor, wrong: torch.Tensor | None = None
) -> NeuronAttribution:
    """Split the share of one layer's MLP in a logit into its neurons; arguments as in `attribute`. A neuron's part is
    its activation (`hook_post`) times the dot product of its column of the output matrix and the direction."""
    seen, total = _run(model, tokens, right, wrong)
    along, _ = _direction(model, seen, right, wrong)
    down = linear(block_of(model, layer).mlp, "down")
    values = seen[f"blocks.{layer}.mlp.hook_post"] * (along @ down.weight.detach())
    bias = torch.zeros_like(total) if down.bias is None else _dot(down.bias, along)
    return NeuronAttribution(values, bias)


def _run(
    model: Model, tokens: torch.Tensor, right: torch.Tensor, wrong: torch.Tensor | None
) -> tuple[Captured, torch.Tensor]:
    """Return the activations that the parts are computed from, and the model's own logit or difference, (N, T)."""
    check_sum(model)
    names = ["hook_embed", "hook_pos_embed", "blocks.*.attn.hook_z", "blocks.*.hook_mlp_out"]
    names += ["blocks.*.mlp.hook_post"] if has_neurons(model) else []
    end = f"blocks.{model.config.n_layers - 1}.hook_resid_post"
    with inference(model), capture(model, [*names, end]) as seen:
        logits = model.logits(model(tokens))
        total = logits.gather(-1, right[..., None])
        total = total if wrong is None else total - logits.gather(-1, wrong[..., None])
    return seen, total[..., 0]


def _direction(
    model: Model, seen: Captured, right: torch.Tensor, wrong: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the direction (N, T, d_model) whose dot product with a part's output is the part's share, and the share of
    the final norm's bias (N, T)."""
    norm, matrix = model.ln_final, model.output_matrix.detach()
    if not isinstance(norm, RMSNorm | LayerNorm):  # another module was put in its place
        raise ModelError(f"the final norm is a {type(norm).__name__}, whose parts do not add up as RMSNorm's do")
    rows = matrix[right] if wrong is None else matrix[right] - matrix[wrong]
    along = rows * norm.weight.detach()
    stream = seen[f"blocks.{model.config.n_layers - 1}.hook_resid_post"]
    scale = _scale(norm, stream)
    if isinstance(norm, RMSNorm):
        return along / scale, torch.zeros_like(scale[..., 0])
    # (x - mean(x)) · a = x · (a - mean(a)): to centre the direction is to centre every part.
    return (along - along.mean(-1, keepdim=True)) / scale, (rows * cast(torch.Tensor, norm.bias).detach()).sum(-1)


def _scale(norm: Norm, stream: torch.Tensor) -> torch.Tensor:
    """Return the divisor of the norm, (..., 1), for its input (..., d_model)."""
    centred = stream - stream.mean(-1, keepdim=True) if isinstance(norm, LayerNorm) else stream
    return (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()


def _dot(part: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
    return (part.detach() * along).sum(-1)


def rivals(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    """Return the likeliest wrong next token at each position of tokens (N, T): the likeliest token, or the second where
    the likeliest is the true next token. The last position of a row has no next token, and its rival is the second."""
    with inference(model):
        two = model.logits(model(tokens)).topk(2, dim=-1).indices
    truth = two[..., 0].clone()
    truth[:, :-1] = tokens[:, 1:]
    return torch.where(two[..., 0] == truth, two[..., 1], two[..., 0]).clone()
