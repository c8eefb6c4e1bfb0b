"""Model: one transformer, decoder or encoder, built from the parts that its ModelConfig names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from lilliput.base.errors import ModelError
from lilliput.model.attention import Cache
from lilliput.model.block import Block, total
from lilliput.model.config import ModelConfig
from lilliput.model.cross_entropy import linear_cross_entropy
from lilliput.model.initialise import initialise
from lilliput.model.output import PredictionHead
from lilliput.model.parts import NORMS, POSITIONS, Embedding, HookPoint, Linear, dropout, is_hooked
from lilliput.model.positions import Position, Rotary
from lilliput.model.sight import BOTH, CAUSAL, Sight, starts
from lilliput.model.token_scores import token_scores


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
        self.sight = CAUSAL if config.causal else BOTH
        self.embed = Embedding(config.vocab_size, config.d_model)
        self.embed_types = Embedding(config.token_types, config.d_model, table=True) if config.token_types else None
        self.position = POSITIONS[config.position](config)
        self.position_window: Position | None = Rotary(config, windowed=True) if config.rope_theta_window else None
        self.ln_embed = NORMS[config.norm](config.d_model, config.norm_eps) if config.embed_norm else None
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        # With norm_place=post the last block ends with a norm.
        self.ln_final = None if config.norm_place == "post" else NORMS[config.norm](config.d_model, config.norm_eps)
        self.head = PredictionHead(config) if config.head == "transform" else None
        self.unembed: nn.Module | None = (
            None if config.tied_embeddings else Linear(config.d_model, config.vocab_size, bias=False, table=True)
        )
        self.unembed_bias = nn.Parameter(torch.empty(config.vocab_size)) if config.unembed_bias else None
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
        sight: Sight | None = None,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
        types: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) int64 -> final hidden states (B, T, d_model), normed.

        `sight` gives the positions that see each other, by default those that the config's `causal` says; the narrower
        of its window and a layer's own window counts. The positions in `cache` are seen, and the new positions are
        stored in it. `blocks` are called in place of the model's blocks, for example the same blocks compiled. `types`
        (B, T) int64 are the types of the tokens, in a model that has types; by default 0. Raises ModelError for a
        sight that does not fit a cache or the tokens' shape, for positions beyond the learned positions, and for types
        where the model has none.
        """
        sight = self.sight if sight is None else sight
        sight.check(tokens, cache is not None)
        where, end = (slice(0, tokens.shape[1]), tokens.shape[1]) if cache is None else cache.places(tokens.shape[1])
        kinds = {window: sight.within(window).at(where, end, tokens.device) for window in {*self.windows}}
        if sight.segments is not None and not self.position.relative:
            # Positions are counted from each document's first token. Where only distances count, this is not needed.
            where = torch.arange(end, device=tokens.device) - starts(sight.segments)
        x = self._embedded(tokens, types)
        vectors = self.position.vectors(where, end)
        if vectors is not None:
            x = x + self.hook_pos_embed(vectors.expand_as(x))
        x = x if self.ln_embed is None else self.ln_embed(x)
        x = dropout(x, self.config.dropout, self.training)
        everywhere = self.position.tables(where, end, x.dtype)
        within = everywhere if self.position_window is None else self.position_window.tables(where, end, x.dtype)
        for block, window in zip(self.blocks if blocks is None else blocks, self.windows, strict=True):
            given = (self.position, everywhere if window is None else within, kinds[window], cache)
            if self.recompute and self.training and torch.is_grad_enabled():
                x = cast(torch.Tensor, checkpoint(block, x, *given, use_reentrant=False))
            else:
                x = block(x, *given)
        return x if self.ln_final is None else self.ln_final(x)

    def _embedded(self, tokens: torch.Tensor, types: torch.Tensor | None) -> torch.Tensor:
        """tokens and types (B, T) int64 -> (B, T, d_model)."""
        x = self.embed(tokens)
        x = x * math.sqrt(self.config.d_model) if self.config.embed_scale else x
        if self.embed_types is not None:
            x = x + self.embed_types(torch.zeros_like(tokens) if types is None else types)
        elif types is not None:
            raise ModelError("types of tokens are given to a model without types", "give model.token_types=2")
        return self.hook_embed(x)

    @property
    def cache_dtype(self) -> torch.dtype:
        """The precision of the keys and values that an engine's cache holds of this model."""
        return self.embed.weight.dtype

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_model) -> (..., vocab_size) float32."""
        hidden = hidden if self.head is None else self.head(hidden)
        logits = F.linear(hidden, self.embed.weight) if self.unembed is None else self.unembed(hidden)
        return logits.float() if self.unembed_bias is None else logits.float() + self.unembed_bias.float()

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
            found = (F.cross_entropy(logits, targets.flatten(), reduction="none") * each).sum()
        else:
            found = linear_cross_entropy(hidden.flatten(0, -2), self.output_matrix, targets.flatten(), each)
        added = self.added_loss()
        return found if added is None else found + weights.float().sum() * added

    def scores(self, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """log p(target), differentiable, and the entropies of the predictions, without gradient: (N,) float32 each, in
        nats. hidden (N, d_model), targets (N,) int64."""
        if not self._calls_head():
            return token_scores(hidden, self.output_matrix, targets)
        each = self.logits(hidden).log_softmax(-1)
        entropies = -(each.detach().exp() * each.detach()).sum(-1)
        return each.gather(-1, targets[:, None])[:, 0], entropies

    def _calls_head(self) -> bool:
        """Whether the logits are more than a product by the output matrix, or the head is wrapped or hooked. Such a
        head has to be called."""
        more = self.head is not None or self.unembed_bias is not None
        return more or (self.unembed is not None and (type(self.unembed) is not Linear or is_hooked(self.unembed)))

    def added_loss(self) -> torch.Tensor | None:
        """The terms that parts add to the mean loss of a position (a router's balance), for the last forward pass, as
        a float32 scalar; None where no part adds anything, and outside training. `loss` includes it. An objective that
        computes its loss without `loss` adds it, times the divisor of its total."""
        if not self.training:
            return None
        return total([cast(Block, block).added_loss() for block in self.blocks])
