"""Model: one decoder-only transformer, built from the parts that its ModelConfig names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from lilliput.model.attention import Cache
from lilliput.model.config import ModelConfig
from lilliput.model.cross_entropy import linear_cross_entropy
from lilliput.model.initialise import initialise
from lilliput.model.parts import (
    ATTENTIONS,
    MLPS,
    NORMS,
    POSITIONS,
    Embedding,
    HookPoint,
    Linear,
    Part,
    dropout,
    is_hooked,
)
from lilliput.model.positions import Position, Tables
from lilliput.model.sight import CAUSAL, Seen, Sight, starts
from lilliput.model.token_scores import token_scores


class Block(Part):
    """Attention and MLP. Each reads the normed residual stream and adds to it, one after the other, or (parallel) both
    from the same input."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.dropout = config.dropout
        self.ln1 = NORMS[config.norm](config.d_model, config.norm_eps)
        self.attn = ATTENTIONS[config.attentions[layer]](config)
        self.ln2 = NORMS[config.norm](config.d_model, config.norm_eps)
        self.mlp = MLPS[config.mlp](config)
        self.hook_resid_pre, self.hook_resid_post = HookPoint(), HookPoint()
        self.hook_attn_out, self.hook_mlp_out = HookPoint(), HookPoint()
        self.hook_resid_mid = None if config.residual == "parallel" else HookPoint()

    def forward(
        self, x: torch.Tensor, position: Position, tables: Tables, seen: Seen, cache: Cache | None
    ) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model)."""
        x = self.hook_resid_pre(x)
        attended = self.attn(self.ln1(x), position, tables, seen, cache, self.layer)
        middle = x + self.hook_attn_out(dropout(attended, self.dropout, self.training))
        if self.hook_resid_mid is not None:
            x = middle = self.hook_resid_mid(middle)
        moved = self.hook_mlp_out(dropout(self.mlp(self.ln2(x)), self.dropout, self.training))
        return self.hook_resid_post(middle + moved)

    def added_loss(self) -> torch.Tensor | None:
        """The sum of the terms that attention and MLP add, a float32 scalar; None where neither adds a term."""
        return _sum([self.attn.added_loss(), self.mlp.added_loss()])


class Model(nn.Module):
    """A transformer. `seed` decides the first weights; None leaves them unset, for a loader to fill.

    `recompute` drops each block's activations and computes them again in the backward pass: about a third more
    work for memory that no longer grows with depth.
    """

    def __init__(self, config: ModelConfig, seed: int | None = 0):
        super().__init__()
        self.config = config
        self.recompute = False
        self.windows = config.windows
        self.embed = Embedding(config.vocab_size, config.d_model)
        self.position = POSITIONS[config.position](config)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.ln_final = NORMS[config.norm](config.d_model, config.norm_eps)
        self.unembed: nn.Module | None = (
            None if config.tied_embeddings else Linear(config.d_model, config.vocab_size, bias=False, table=True)
        )
        self.hook_embed = HookPoint()
        self.hook_pos_embed = HookPoint()
        if seed is not None and self.embed.weight.device.type != "meta":
            initialise(self, config.init, config.n_layers, seed)

    @property
    def output_matrix(self) -> torch.Tensor:
        """(vocab_size, d_model): the matrix that turns hidden states into logits; the embeddings where tied."""
        return self.embed.weight if self.unembed is None else cast(torch.Tensor, self.unembed.weight)

    @property
    def hooks(self) -> dict[str, HookPoint]:
        """Every hook point by its TransformerLens name, such as `blocks.0.attn.hook_pattern`."""
        return {name: module for name, module in self.named_modules() if isinstance(module, HookPoint)}

    def forward(
        self,
        tokens: torch.Tensor,
        sight: Sight = CAUSAL,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) int64 -> final hidden states (B, T, d_model), normed.

        `sight` gives the positions that see each other; the narrower of its window and a layer's own window counts. The
        positions in `cache` are seen, and the new positions are stored in it. `blocks` are called in place of the
        model's blocks, for example the same blocks compiled. Raises ModelError for a sight that does not fit a cache or
        the tokens' shape, and for positions beyond the learned positions.
        """
        sight.check(tokens, cache is not None)
        where, end = (slice(0, tokens.shape[1]), tokens.shape[1]) if cache is None else cache.places(tokens.shape[1])
        kinds = {window: sight.within(window).at(where, end, tokens.device) for window in {*self.windows}}
        if sight.segments is not None and not self.position.relative:
            # Positions are counted from each document's first token. Where only distances count, this is not needed.
            where = torch.arange(end, device=tokens.device) - starts(sight.segments)
        x = self.hook_embed(self.embed(tokens))
        vectors = self.position.vectors(where, end)
        if vectors is not None:
            x = x + self.hook_pos_embed(vectors.expand_as(x))
        x = dropout(x, self.config.dropout, self.training)
        tables = self.position.tables(where, end, x.dtype)
        for block, window in zip(self.blocks if blocks is None else blocks, self.windows, strict=True):
            seen = kinds[window]
            if self.recompute and self.training and torch.is_grad_enabled():
                x = cast(torch.Tensor, checkpoint(block, x, self.position, tables, seen, cache, use_reentrant=False))
            else:
                x = block(x, self.position, tables, seen, cache)
        return self.ln_final(x)

    @property
    def cache_dtype(self) -> torch.dtype:
        """The precision of the keys and values that an engine's cache holds of this model."""
        return self.embed.weight.dtype

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_model) -> (..., vocab_size) float32."""
        if self.unembed is None:
            return F.linear(hidden, self.embed.weight).float()
        return self.unembed(hidden).float()

    def loss(self, hidden: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The sum over positions of weight * -log p(target), in nats, as a float32 scalar.

        hidden (B, T, d_model), targets (B, T) int64, weights (B, T). The logits are never in memory as a whole, except
        where the head is wrapped or hooked, because such a head has to be called. In training, the sum includes
        `added_loss`, once for each unit of weight.
        """
        each = weights.flatten().float()
        if self._calls_head():
            logits = self.logits(hidden).flatten(0, -2)
            # A product, and not @: under autocast @ would round the losses and their sum to bf16.
            total = (F.cross_entropy(logits, targets.flatten(), reduction="none") * each).sum()
        else:
            total = linear_cross_entropy(hidden.flatten(0, -2), self.output_matrix, targets.flatten(), each)
        added = self.added_loss()
        return total if added is None else total + weights.float().sum() * added

    def scores(self, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """log p(target), differentiable, and the entropies of the predictions, without gradient: (N,) float32 each, in
        nats. hidden (N, d_model), targets (N,) int64."""
        if not self._calls_head():
            return token_scores(hidden, self.output_matrix, targets)
        each = self.logits(hidden).log_softmax(-1)
        entropies = -(each.detach().exp() * each.detach()).sum(-1)
        return each.gather(-1, targets[:, None])[:, 0], entropies

    def _calls_head(self) -> bool:
        """Whether the head is wrapped or hooked. Such a head has to be called."""
        return self.unembed is not None and (type(self.unembed) is not Linear or is_hooked(self.unembed))

    def added_loss(self) -> torch.Tensor | None:
        """The terms that parts add to the mean loss of a position (a router's balance), for the last forward pass, as
        a float32 scalar; None where no part adds anything, and outside training. `loss` includes it. An objective that
        computes its loss without `loss` adds it, times the divisor of its total."""
        if not self.training:
            return None
        return _sum([cast(Block, block).added_loss() for block in self.blocks])


def _sum(losses: list[torch.Tensor | None]) -> torch.Tensor | None:
    """Return the sum of the scalars among `terms`; None where there is no scalar."""
    added = [loss for loss in losses if loss is not None]
    return torch.stack(added).sum() if added else None
