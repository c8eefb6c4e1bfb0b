"""Experts: of many SwiGLU MLPs each token passes through a few, which a router chooses (arXiv:1701.06538)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.model import kernels
from lilliput.model.grouped import ExpertLinear
from lilliput.model.mlps import MLP, SwiGLU
from lilliput.model.parts import MLPS, HookPoint, Linear

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig

BIAS_GRADIENT = 1e-4
"""Size of the gradient of a selection bias. AdamW steps by the sign alone, so the size only keeps the bias out of the
norm that gradients are clipped by."""


@MLPS.add("experts")
class Experts(MLP):
    """`n_experts` SwiGLU MLPs of width d_mlp, of which each token passes through `experts_per_token`.

    The router is one matrix. Its softmax over the experts (Mixtral) gives the weights of the chosen experts, which are
    divided by their sum where `normalize_routes`. With `d_shared` every token also passes through one more SwiGLU MLP
    (arXiv:2401.06066). No token is dropped: rows are sorted by expert, so that the time is that of the chosen experts.

    balance="loss" adds `balance_loss` times the load-balancing loss of arXiv:2101.03961, a mean over layers, and
    `router_z_loss` times the squared log-sum-exp of the router's logits (arXiv:2202.08906). balance="bias" has no loss:
    a bias, which decides the choice and not the weights, falls for an expert with more rows than the mean and rises for
    the others (arXiv:2408.15664). Its gradient is the sign of the excess, so that the optimiser steps it.

    Hook points: `hook_router_logits` (B, T, experts), `hook_expert_weights` and `hook_expert_indices` (B, T, chosen).
    `load` is the share of the choices that each expert had in the last pass of training, (experts,) float32.
    """

    gated = True

    def __init__(self, config: ModelConfig):
        nn.Module.__init__(self)
        count, inner, width = config.n_experts, config.d_mlp, config.d_model
        self.chosen, self.normalize = config.experts_per_token, config.normalize_routes
        self.balance = config.balance_loss / config.n_layers if config.balance == "loss" else 0.0
        self.z = config.router_z_loss / config.n_layers
        self.router = Linear(width, count, bias=False, table=True)
        self.gate_up = ExpertLinear(count, width, 2 * inner, stacked=(inner, inner))
        self.down = ExpertLinear(count, inner, width, writes=True)
        self.bias = nn.Parameter(torch.empty(count)) if config.balance == "bias" else None
        self.shared = SwiGLU(config.model_copy(update={"d_mlp": config.d_shared})) if config.d_shared else None
        self.hook_router_logits, self.hook_expert_weights = HookPoint(), HookPoint()
        self.hook_expert_indices = HookPoint()
        self.load: torch.Tensor | None = None
        self._added: torch.Tensor | None = None

    @classmethod
    def parameters_of(cls, config: ModelConfig) -> int:
        bias = config.n_experts if config.balance == "bias" else 0
        return cls.matrices_of(config) + config.n_experts * config.d_model + bias

    @classmethod
    def active_of(cls, config: ModelConfig) -> int:
        idle = 3 * config.d_model * config.d_mlp * (config.n_experts - config.experts_per_token)
        return cls.parameters_of(config) - idle

    @classmethod
    def matrices_of(cls, config: ModelConfig) -> int:
        return 3 * config.d_model * (config.n_experts * config.d_mlp + config.d_shared)

    @classmethod
    def kept_of(cls, config: ModelConfig) -> int:
        rows = config.experts_per_token * (4 * config.d_mlp + 2 * config.d_model)
        return rows + 4 * config.d_shared + 3 * config.n_experts

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model)."""
        weights, chosen, counts = self._choose(self.hook_router_logits(self.router(x)).float())
        total = (
            self._all(x, weights, chosen) if torch.compiler.is_exporting() else self._few(x, weights, chosen, counts)
        )
        return total if self.shared is None else total + self.shared(x)

    def _few(self, x: torch.Tensor, weights: torch.Tensor, chosen: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Return the weighted outputs of the chosen experts, (B, T, d_model)."""
        flat = x.flatten(0, -2)
        # Rows by expert: `order` holds the numbers of the choices, and choice i belongs to token i // k.
        order = chosen.flatten().argsort(stable=True)
        token = order // self.chosen
        out = self.down(_gated(self.gate_up(flat[token], counts)), counts)
        out = out * weights.flatten()[order, None].to(out.dtype)
        total = torch.zeros(flat.shape, dtype=out.dtype, device=out.device).index_add(0, token, out)
        return total.view_as(x)

    def _all(self, x: torch.Tensor, weights: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return the same from the outputs of all experts, which an exported graph needs: it has no rows by expert."""
        shares = torch.zeros_like(self.router(x)).scatter(-1, chosen, weights.to(x.dtype))
        gate, up = torch.einsum("btd,eod->bteo", x, self.gate_up.weight).chunk(2, dim=-1)
        return torch.einsum("btei,edi,bte->btd", F.silu(gate) * up, self.down.weight, shares)

    def _choose(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """logits (B, T, E) -> weights (B, T, k), chosen experts (B, T, k) int64, choices by expert (E,) int64."""
        scores = logits.softmax(-1)
        ranked = scores.detach() if self.bias is None else scores.detach() + self.bias.detach()
        chosen = self.hook_expert_indices(ranked.topk(self.chosen, dim=-1).indices)
        weights = scores.gather(-1, chosen)
        if self.normalize:
            weights = weights / weights.sum(-1, keepdim=True)
        # An expert is compared with each choice: `bincount` does not know its size in a compiled graph.
        counts = (chosen.flatten()[:, None] == torch.arange(logits.shape[-1], device=logits.device)).sum(0)
        if self.training:
            self.load = load = counts.detach().float() / chosen.numel()
            self._added = self._terms(logits, scores, load)
        return self.hook_expert_weights(weights), chosen, counts

    def _terms(self, logits: torch.Tensor, scores: torch.Tensor, load: torch.Tensor) -> torch.Tensor | None:
        terms = []
        if self.balance:
            # Each token has k choices, as in transformers' load_balancing_loss_func: the least value is k, not 1.
            terms.append(self.balance * self.chosen * len(load) * (load * scores.flatten(0, -2).mean(0)).sum())
        if self.z:
            terms.append(self.z * logits.logsumexp(-1).square().mean())
        if self.bias is not None:
            sign = BIAS_GRADIENT * (load - 1 / len(load)).sign()
            terms.append((sign * (self.bias - self.bias.detach())).sum())  # 0, and its gradient is `sign`
        return torch.stack(terms).sum() if terms else None

    def added_loss(self) -> torch.Tensor | None:
        return self._added if self.training else None


def _gated(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up, (N, 2 d_mlp) -> (N, d_mlp)."""
    if kernels.can_gate(gate_up):
        return kernels.swiglu(gate_up)
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up
