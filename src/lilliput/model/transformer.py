"""Model: one transformer, a decoder, an encoder or both, built from the parts that its ModelConfig names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.base.errors import ModelError
from lilliput.model import kernels
from lilliput.model.attention import Cache
from lilliput.model.block import total
from lilliput.model.config import ModelConfig
from lilliput.model.cross_entropy import linear_cross_entropy
from lilliput.model.initialise import initialise
from lilliput.model.output import PredictionHead
from lilliput.model.parts import Embedding, HookPoint, Linear, is_hooked
from lilliput.model.sight import BOTH, Sight
from lilliput.model.source import Memory, Source
from lilliput.model.stack import Stack
from lilliput.model.token_scores import token_scores


class Model(Stack):
    """A transformer: embeddings, a stack of blocks, and the output. A decoder may have an encoder, a second stack with
    the same embeddings.

    `seed` decides the first weights; None leaves them unset, for a loader to fill.
    """

    def __init__(self, config: ModelConfig, seed: int | None = 0):
        super().__init__(config)
        if seed is not None and self.embed.weight.device.type != "meta":
            initialise(self, config.init, config.n_layers, seed)

    def _build(self, config: ModelConfig) -> None:
        self.embed = Embedding(config.vocab_size, config.d_model)
        self.embed_types = Embedding(config.token_types, config.d_model, table=True) if config.token_types else None
        super()._build(config)
        self.encoder = Stack(config.encoder) if config.encoder_layers else None
        self.head = PredictionHead(config) if config.head == "transform" else None
        self.unembed: nn.Module | None = (
            None if config.tied_embeddings else Linear(config.d_model, config.vocab_size, bias=False, table=True)
        )
        self.unembed_bias = nn.Parameter(torch.empty(config.vocab_size)) if config.unembed_bias else None
        self.hook_embed = HookPoint()

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
        source: Source | Memory | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) int64 -> final hidden states (B, T, d_model), normed.

        `sight` gives the positions that see each other, by default those that the config's `causal` says; the narrower
        of its window and a layer's own window counts. The positions in `cache` are seen, and the new positions are
        stored in it. `blocks` are called in place of the model's blocks, for example the same blocks compiled. `types`
        (B, T) int64 are the types of the tokens, in a model that has types; by default 0. `source` is what the encoder
        reads, or has read (`encode`), in a model with an encoder; a cache keeps it, so that it is given with the first
        tokens of a text alone. Raises ModelError for a sight that does not fit a cache or the tokens' shape, for
        positions beyond the learned positions, for types and a source where the model takes none, and for a missing
        source.
        """
        sight = self.sight if sight is None else sight
        sight.check(tokens, cache is not None)
        memory = self._memory(source, tokens, cache)
        hidden = self.through(self._embedded(tokens, types), sight, cache, blocks, memory)
        return hidden / math.sqrt(self.config.d_model) if self.config.unembed_scale else hidden

    def encode(self, source: Source) -> Memory:
        """Return the last hidden states of the encoder. Raises ModelError for a model without an encoder."""
        if self.encoder is None:
            raise ModelError("a source is given to a model without an encoder", "leave the source out")
        self.encoder.recompute = self.recompute
        sight = BOTH if source.lengths is None else replace(BOTH, lengths=source.lengths)
        return Memory(self.encoder.through(self._embedded(source.tokens, None), sight), source.lengths)

    def _memory(self, source: Source | Memory | None, tokens: torch.Tensor, cache: Cache | None) -> Memory | None:
        """The encoded source; None where the cache has it, and in a model without an encoder."""
        if isinstance(source, Source):
            source.check(len(tokens))
            return self.encode(source)
        if source is None and self.encoder is not None and cache is None:
            raise ModelError(
                "this model is a decoder that reads an encoder's source, and no source is given",
                "give source=Source(tokens) with the first tokens of a text",
            )
        if source is not None and self.encoder is None:
            raise ModelError("a source is given to a model without an encoder", "leave the source out")
        return source

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
        head has to be called. Function transforms of PyTorch call it too, because they have no rule for the loss
        without logits."""
        more = self.head is not None or self.unembed_bias is not None or kernels.transformed()
        return more or (self.unembed is not None and (type(self.unembed) is not Linear or is_hooked(self.unembed)))

    def added_loss(self) -> torch.Tensor | None:
        """The terms that parts add to the mean loss of a position (a router's balance), for the last forward pass, as
        a float32 scalar; None where no part adds anything, and outside training. `loss` includes it. An objective that
        computes its loss without `loss` adds it, times the divisor of its total."""
        own = super().added_loss()
        return own if self.encoder is None else total([own, self.encoder.added_loss()])
