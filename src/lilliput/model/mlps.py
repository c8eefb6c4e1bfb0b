"""The feed-forward half of a block: SwiGLU (arXiv:2002.05202), GELU (arXiv:1606.08415), squared ReLU (2109.08668)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.model import kernels
from lilliput.model.parts import MLPS, HookPoint, Linear, Part

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig


class MLP(Part):
    """Two projections with an activation between them. A plain MLP overrides `activate` only. An MLP of another shape
    overrides all methods.

    `gated`: whether there are two projections up. d_mlp is then 8/3 d_model where it is not given. `kept` counts
    the d_mlp-wide activations that the backward pass needs.
    Hook points: `hook_pre` (B, T, d_mlp) before the activation, `hook_post` after it.
    """

    gated = False
    kept = 2

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.up = Linear(config.d_model, config.d_mlp, bias=config.bias)
        self.down = Linear(config.d_mlp, config.d_model, bias=config.bias, writes=True)
        self.hook_pre = HookPoint()
        self.hook_post = HookPoint()

    @classmethod
    def parameters_of(cls, config: ModelConfig) -> int:
        biases = (2 if cls.gated else 1) * config.d_mlp + config.d_model if config.bias else 0
        return cls.matrices_of(config) + biases

    @classmethod
    def matrices_of(cls, config: ModelConfig) -> int:
        return (3 if cls.gated else 2) * config.d_model * config.d_mlp

    @classmethod
    def kept_of(cls, config: ModelConfig) -> int:
        return cls.kept * config.d_mlp

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        """The activation, (B, T, d_mlp) -> (B, T, d_mlp)."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model)."""
        return self.down(self.hook_post(self.activate(self.hook_pre(self.up(x)))))


@MLPS.add("gelu")
class Gelu(MLP):
    """The exact GELU, x Φ(x)."""

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return F.gelu(x)


@MLPS.add("gelu_tanh")
class GeluTanh(MLP):
    """GELU by its tanh approximation, as GPT-2 computes it."""

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return F.gelu(x, approximate="tanh")


@MLPS.add("relu")
class Relu(MLP):
    """max(x, 0)."""

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x)


@MLPS.add("relu2")
class Relu2(MLP):
    """max(x, 0)²."""

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x).square()


@MLPS.add("swiglu")
class SwiGLU(MLP):
    """down(silu(gate(x)) * up(x)); gate and up are one matrix here and two on disk.

    Hook points: `hook_pre` the gate's side before SiLU, `hook_pre_linear` the other side, `hook_post` their product.
    """

    gated = True
    kept = 4

    def __init__(self, config: ModelConfig):
        nn.Module.__init__(self)
        self.gate_up = Linear(config.d_model, 2 * config.d_mlp, bias=config.bias, stacked=(config.d_mlp, config.d_mlp))
        self.down = Linear(config.d_mlp, config.d_model, bias=config.bias, writes=True)
        self.hook_pre = HookPoint()
        self.hook_pre_linear = HookPoint()
        self.hook_post = HookPoint()

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return F.silu(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate_up = self.gate_up(x)
        # The kernel does not compute a subclass with another activation.
        gated = type(self).activate is SwiGLU.activate
        if gated and not (self.hook_pre.active or self.hook_pre_linear.active) and kernels.can_gate(gate_up):
            return self.down(self.hook_post(kernels.swiglu(gate_up)))
        gate, up = gate_up.chunk(2, dim=-1)
        return self.down(self.hook_post(self.activate(self.hook_pre(gate)) * self.hook_pre_linear(up)))


@MLPS.add("geglu")
class GeGLU(SwiGLU):
    """down(gelu(gate(x)) * up(x)), with the exact GELU (arXiv:2002.05202)."""

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return F.gelu(x)


@MLPS.add("geglu_tanh")
class GeGLUTanh(SwiGLU):
    """down(gelu(gate(x)) * up(x)), with GELU by its tanh approximation."""

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return F.gelu(x, approximate="tanh")
