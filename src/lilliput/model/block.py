"""Block: attention and MLP around the residual stream, with their norms where the config places them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from lilliput.model.cross_attention import CrossAttention
from lilliput.model.parts import ATTENTIONS, MLPS, NORMS, HookPoint, Part, dropout

if TYPE_CHECKING:
    from lilliput.model.attention import Cache
    from lilliput.model.config import ModelConfig
    from lilliput.model.positions import Position, Tables
    from lilliput.model.sight import Seen
    from lilliput.model.source import Memory


def norm_count(config: ModelConfig) -> int:
    """The number of norms of width d_model of a model, without the norm of a head and without the norms of an
    encoder before it."""
    parts = 2 if config.encoder_layers == 0 else 3
    inputs = 1 if config.residual == "parallel_shared" else parts
    each = {"pre": inputs, "post": parts, "output": parts, "sandwich": 2 * parts}[config.norm_place]
    replaced = config.embed_norm and config.norm_place == "pre"  # the first attention reads normed embeddings
    return each * config.n_layers + (config.norm_place != "post") + config.embed_norm - replaced


class Block(Part):
    """Attention and MLP. Each reads the residual stream and adds to it, one after the other, or (parallel) both from
    the same input. Between them the decoder of an encoder has `cross`, its attention to the source.

    `ln1` and `ln2` norm the inputs of attention and MLP; with norm_place=post they norm the stream after each sum.
    `ln1_post` and `ln2_post` norm what is added to the stream. The norms that norm_place does not name are None.
    `ln_cross` and `ln_cross_post` do the same for `cross`.
    """

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.dropout = config.dropout
        self.after, self.residual = config.norm_place == "post", config.residual

        def norm(there: bool) -> nn.Module | None:
            return NORMS[config.norm](config.d_model, config.norm_eps) if there else None

        inputs, outputs = config.norm_place != "output", config.norm_place in ("output", "sandwich")
        normed = layer == 0 and config.embed_norm and config.norm_place == "pre"
        self.ln1 = norm(inputs and not normed)
        self.attn = ATTENTIONS[config.attentions[layer]](config)
        self.ln1_post = norm(outputs)
        crossed = config.encoder_layers > 0
        self.ln_cross = norm(inputs and crossed)
        self.cross = CrossAttention(config) if crossed else None
        self.ln_cross_post = norm(outputs and crossed)
        self.hook_cross_out = HookPoint() if crossed else None
        self.ln2 = norm(inputs and config.residual != "parallel_shared")
        self.mlp = MLPS[config.mlp](config)
        self.ln2_post = norm(outputs)
        self.hook_resid_pre, self.hook_resid_post = HookPoint(), HookPoint()
        self.hook_attn_out, self.hook_mlp_out = HookPoint(), HookPoint()
        self.hook_resid_mid = None if config.residual.startswith("parallel") else HookPoint()

    def forward(
        self,
        x: torch.Tensor,
        position: Position,
        tables: Tables,
        seen: Seen,
        cache: Cache | None,
        memory: Memory | None = None,
    ) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model). `memory`: the encoded sources, in a decoder of an encoder."""
        x = self.hook_resid_pre(x)
        normed = self._before(self.ln1, x)
        attended = _through(self.ln1_post, self.attn(normed, position, tables, seen, cache, self.layer))
        middle = self._sum(x, self.hook_attn_out(dropout(attended, self.dropout, self.training)), self.ln1)
        middle = self._crossed(middle, memory, cache)
        if self.hook_resid_mid is not None:
            x = middle = self.hook_resid_mid(middle)
        normed = normed if self.residual == "parallel_shared" else self._before(self.ln2, x)
        moved = self.hook_mlp_out(dropout(_through(self.ln2_post, self.mlp(normed)), self.dropout, self.training))
        return self.hook_resid_post(self._sum(middle, moved, self.ln2))

    def _crossed(self, stream: torch.Tensor, memory: Memory | None, cache: Cache | None) -> torch.Tensor:
        """The residual stream after the attention to the source."""
        if self.cross is None or self.hook_cross_out is None:
            return stream
        attended = self.cross(self._before(self.ln_cross, stream), memory, cache, self.layer)
        attended = _through(self.ln_cross_post, attended)
        return self._sum(stream, self.hook_cross_out(dropout(attended, self.dropout, self.training)), self.ln_cross)

    def halves(self) -> list[tuple[list[nn.Module], Part, list[nn.Module]]]:
        """Attention, attention to a source where there is one, and MLP, each with the norms before it and the norms
        behind it."""
        parts = [(self.ln1, self.attn, self.ln1_post), (self.ln2, self.mlp, self.ln2_post)]
        if self.cross is not None:
            parts.insert(1, (self.ln_cross, self.cross, self.ln_cross_post))
        found = []
        for norm, part, post in parts:
            sides = ([], [norm]) if self.after else ([norm], [post])
            before, behind = ([one for one in side if one is not None] for side in sides)
            found.append((before, part, behind))
        return found

    def _before(self, norm: nn.Module | None, x: torch.Tensor) -> torch.Tensor:
        return x if self.after else _through(norm, x)

    def _sum(self, stream: torch.Tensor, added: torch.Tensor, norm: nn.Module | None) -> torch.Tensor:
        total = added if self.residual == "none" else stream + added
        return _through(norm, total) if self.after else total

    def added_loss(self) -> torch.Tensor | None:
        """The sum of the terms that attention and MLP add, a float32 scalar; None where neither adds a term."""
        return total([self.attn.added_loss(), self.mlp.added_loss()])


def _through(norm: nn.Module | None, x: torch.Tensor) -> torch.Tensor:
    return x if norm is None else norm(x)


def total(losses: list[torch.Tensor | None]) -> torch.Tensor | None:
    """Return the sum of the scalars among `losses`; None where there is no scalar."""
    added = [loss for loss in losses if loss is not None]
    return torch.stack(added).sum() if added else None
