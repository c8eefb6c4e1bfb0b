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
from lilliput.model.parts import Linear

if TYPE_CHECKING:
    from lilliput.model.transformer import Model

FIELDS = known(
    "style d_model n_layers n_heads n_kv_heads d_head d_mlp vocab_size context_length norm norm_eps position "
    "rope_theta rotary_fraction mlp qk_norm window residual bias dropout tied_embeddings init"
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
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) >= DEQUANTISE_ROWS:
            return F.linear(x, self.weight[:, : self.inputs].to(x.dtype) * self.scale.to(x.dtype)[:, None], self.bias)
        rows = F.pad(rows, (0, self.spare)) if self.spare else rows
        y = torch._weight_int8pack_mm(rows.bfloat16(), self.weight, self.scale).to(x.dtype)
        return y.view(*x.shape[:-1], -1) if self.bias is None else y.view(*x.shape[:-1], -1) + self.bias


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
                if type(child) is Linear:
                    setattr(module, name, Int8Linear(child.weight, child.bias))
        if made.unembed is None:
            made.unembed = Int8Linear(made.embed.weight, None)
    return made
