"""quantised: a model whose matrices are int8, so that a CPU reads less memory for each token.

Decoding one token at a time waits for the weights to come from memory, and int8 weights are a quarter of fp32 weights.
Only weights are quantised, with one scale for each row of a matrix. The product rounds activations to bf16.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.base.errors import ConfigError
from lilliput.model import plain
from lilliput.model.fields import known
from lilliput.model.grouped import ExpertLinear, spans
from lilliput.model.parts import Linear

if TYPE_CHECKING:
    from lilliput.model.transformer import Model

FIELDS = known(
    "style d_model n_layers n_heads n_kv_heads d_head d_mlp vocab_size context_length norm norm_eps position "
    "rope_theta rotary_fraction mlp qk_norm window residual bias dropout tied_embeddings init n_experts "
    "experts_per_token normalize_routes balance_loss router_z_loss causal norm_place embed_norm embed_scale "
    "token_types head unembed_bias qkv_bias qk_norm_over attention_scale rope_theta_window rope_scaling",
    balance=("loss",),
    d_shared=(0,),
)
"""The config fields with which int8 weights are tested. For all values of these fields the matrices are of the same
kind."""
DEQUANTISE_ROWS = 64
"""From this number of rows on (prompts) a product is faster when its matrix is first converted to fp32."""


class Int8Linear(nn.Module):
    """A linear map with int8 weights (outputs, inputs) and one scale for each row: y = x (scale * weight)^T + bias."""

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None):
        super().__init__()
        # The scale is rounded before the weights are divided by it, so that its rounding adds no error.
        scale = (weight.abs().amax(1).clamp(min=1e-12) / 127).bfloat16()
        rounded = (weight / scale.float()[:, None]).round().clamp(-127, 127)
        # The kernel reads 8 weights at a time, beyond the last one too (seen to crash with 172 inputs).
        self.inputs, self.spare = weight.shape[1], -weight.shape[1] % 32
        self.register_buffer("weight", F.pad(rounded, (0, self.spare)).to(torch.int8))
        self.register_buffer("scale", scale)
        self.bias = bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., inputs) -> (..., outputs) in x's dtype."""
        y = product(x.reshape(-1, x.shape[-1]), self.weight, self.scale, self.spare).view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


class Int8ExpertLinear(nn.Module):
    """The matrices of experts with int8 weights (experts, outputs, inputs) and one scale for each row."""

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        made = [Int8Linear(matrix, None) for matrix in weight.unbind()]
        self.inputs, self.spare = made[0].inputs, made[0].spare
        self.register_buffer("weight", torch.stack([one.weight for one in made]))
        self.register_buffer("scale", torch.stack([one.scale for one in made]))

    def forward(self, x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """x (N, inputs), sorted by expert, and the rows of each expert (E,) int64 -> (N, outputs)."""
        out = x.new_empty(len(x), self.weight.shape[1])
        for expert, rows in enumerate(spans(counts, len(x))):
            if rows.stop > rows.start:
                out[rows] = product(x[rows], self.weight[expert], self.scale[expert], self.spare)
        return out


INT8 = (Int8Linear, Int8ExpertLinear)


def product(rows: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, spare: int) -> torch.Tensor:
    """rows (N, inputs) times a matrix of int8, (outputs, inputs + spare), with its scales (outputs,) bf16 -> (N,
    outputs) in the rows' dtype."""
    if len(rows) >= DEQUANTISE_ROWS:
        return F.linear(rows, weight[:, : rows.shape[1]].to(rows.dtype) * scale.to(rows.dtype)[:, None])
    padded = F.pad(rows, (0, spare)) if spare else rows
    return torch._weight_int8pack_mm(padded.bfloat16(), weight, scale).to(rows.dtype)


def refuses(model: Model) -> list[str]:
    """The reasons why a copy with int8 matrices would differ from the model by more than rounding: unknown config
    fields, wrapped or unknown modules and tensors, active hooks. Empty when only rounding differs."""
    return plain.refuses(model, FIELDS)


def quantised(model: Model) -> Model:
    """Copy a model on the CPU with int8 matrices, the output head included. Embeddings and norms are shared with the
    original. Raises ConfigError for another device, and for a model that `refuses` lists reasons for."""
    device = next(model.parameters()).device
    if device.type != "cpu":
        raise ConfigError(f"int8 weights are for the CPU, and the model is on {device}", "add --device cpu")
    if reasons := refuses(model):
        raise ConfigError(
            f"int8 weights are not for this model: {'; '.join(reasons)}",
            "generate without them: leave out --int8; or remove the hooks, and merge what was added into the weights",
        )
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    made = copy.deepcopy(model, shared)
    with torch.no_grad():
        for module in list(made.modules()):
            for name, child in list(module.named_children()):
                # A table beside the head is a router. A rounded router would choose other experts.
                if type(child) is Linear and (child.role.kind == "matrix" or child is made.unembed):
                    setattr(module, name, Int8Linear(child.weight, child.bias))
                elif type(child) is ExpertLinear:
                    setattr(module, name, Int8ExpertLinear(child.weight))
        if made.unembed is None:
            made.unembed = Int8Linear(made.embed.weight, None)
    return made
