"""Model: one decoder-only transformer, built from the parts that its ModelConfig names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from lilliput.base.errors import ModelError
from lilliput.model.attention import Attention, Cache, visible
from lilliput.model.config import ModelConfig
from lilliput.model.cross_entropy import linear_cross_entropy
from lilliput.model.initialise import initialise
from lilliput.model.parts import MLPS, NORMS, POSITIONS, Embedding, HookPoint, Linear, dropout, is_hooked
from lilliput.model.positions import Position, Tables, Where


class Block(nn.Module):
    """Attention and MLP, each reading the normed residual stream and adding to it: one after the other, or (parallel)
    both reading the same."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.dropout = config.dropout
        self.ln1 = NORMS[config.norm](config.d_model, config.norm_eps)
        self.attn = Attention(config)
        self.ln2 = NORMS[config.norm](config.d_model, config.norm_eps)
        self.mlp = MLPS[config.mlp](config)
        self.hook_resid_pre, self.hook_resid_post = HookPoint(), HookPoint()
        self.hook_attn_out, self.hook_mlp_out = HookPoint(), HookPoint()
        self.hook_resid_mid = None if config.residual == "parallel" else HookPoint()

    def forward(
        self, x: torch.Tensor, position: Position, tables: Tables, mask: torch.Tensor | None, cache: Cache | None
    ) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model)."""
        x = self.hook_resid_pre(x)
        attended = self.attn(self.ln1(x), position, tables, mask, cache, self.layer)
        middle = x + self.hook_attn_out(dropout(attended, self.dropout, self.training))
        if self.hook_resid_mid is not None:
            x = middle = self.hook_resid_mid(middle)
        moved = self.hook_mlp_out(dropout(self.mlp(self.ln2(x)), self.dropout, self.training))
        return self.hook_resid_post(middle + moved)


class Model(nn.Module):
    """A transformer. `seed` decides the first weights; None leaves them unset, for a loader to fill.

    `recompute` drops each block's activations and computes them again in the backward pass: about a third more
    work for memory that no longer grows with depth.
    """

    def __init__(self, config: ModelConfig, seed: int | None = 0):
        super().__init__()
        self.config = config
        self.recompute = False
        self.embed = Embedding(config.vocab_size, config.d_model)
        self.position = POSITIONS[config.position](config)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.ln_final = NORMS[config.norm](config.d_model, config.norm_eps)
        self.unembed: nn.Module | None = (
            None if config.tied_embeddings else Linear(config.d_model, config.vocab_size, bias=False)
        )
        self.hook_embed = HookPoint()
        self.hook_pos_embed = HookPoint()
        if seed is not None and self.embed.weight.device.type != "meta":
            initialise(self, config.init, config.n_layers, seed)

    @property
    def output_matrix(self) -> torch.Tensor:
        """(vocab_size, d_model): what turns hidden states into logits; the embeddings themselves where tied."""
        return self.embed.weight if self.unembed is None else cast(torch.Tensor, self.unembed.weight)

    @property
    def hooks(self) -> dict[str, HookPoint]:
        """Every hook point by its TransformerLens name, such as `blocks.0.attn.hook_pattern`."""
        return {name: module for name, module in self.named_modules() if isinstance(module, HookPoint)}

    def forward(
        self,
        tokens: torch.Tensor,
        segments: torch.Tensor | None = None,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) int64 -> final hidden states (B, T, d_model), normed.

        segments (B, T) int64: runs of equal numbers are documents that do not see each other. cache: positions held
        by it are seen, and the new ones handed to it. blocks: what is called in place of the model's own, such as the
        same ones compiled. Raises ModelError for segments and a cache at once, and beyond learned positions.
        """
        if segments is not None and cache is not None:
            raise ModelError("segments and a cache cannot be used together: a cache holds one document a row")
        where, end, mask = self._places(tokens, segments) if cache is None else cache.places(tokens.shape[1])
        x = self.hook_embed(self.embed(tokens))
        vectors = self.position.vectors(where, end)
        if vectors is not None:
            x = x + self.hook_pos_embed(vectors.expand_as(x))
        x = dropout(x, self.config.dropout, self.training)
        tables = self.position.tables(where, end, x.dtype)
        for block in self.blocks if blocks is None else blocks:
            if self.recompute and self.training and torch.is_grad_enabled():
                x = cast(torch.Tensor, checkpoint(block, x, self.position, tables, mask, cache, use_reentrant=False))
            else:
                x = block(x, self.position, tables, mask, cache)
        return self.ln_final(x)

    def _places(self, tokens: torch.Tensor, segments: torch.Tensor | None) -> tuple[Where, int, torch.Tensor | None]:
        """Positions, counted from each segment's first token, their end, and what each sees. Where only distances
        matter, segments need no count of their own."""
        end = tokens.shape[1]
        window = self.config.window
        if window is not None and not torch.compiler.is_exporting() and window >= end:
            window = None  # an exported graph keeps its mask: it serves every length
        mask = None
        if segments is not None or window:
            mask = visible(torch.arange(end, device=tokens.device)[None], end, window, segments)
        if segments is None or self.position.relative:
            return slice(0, end), end, mask
        steps = torch.arange(end, device=tokens.device)
        begins = F.pad(segments[:, 1:] != segments[:, :-1], (1, 0), value=True)
        return steps - torch.where(begins, steps, 0).cummax(1).values, end, mask

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_model) -> (..., vocab_size) float32."""
        if self.unembed is None:
            return F.linear(hidden, self.embed.weight).float()
        return self.unembed(hidden).float()

    def loss(self, hidden: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The sum over positions of weight * -log p(target), in nats, as a float32 scalar.

        hidden (B, T, d_model), targets (B, T) int64, weights (B, T). The logits are never held whole, except where
        the head is wrapped or hooked: that is called as it is.
        """
        if self.unembed is not None and (type(self.unembed) is not Linear or is_hooked(self.unembed)):
            logits, each = self.logits(hidden).flatten(0, -2), weights.flatten().float()
            return F.cross_entropy(logits, targets.flatten(), reduction="none") @ each
        return linear_cross_entropy(
            hidden.flatten(0, -2), self.output_matrix, targets.flatten(), weights.flatten().float()
        )
