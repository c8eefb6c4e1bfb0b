"""Stack: positions, blocks and a last norm, which turn embeddings into hidden states. An encoder is one, and a decoder
too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from lilliput.model.biased import Bias
from lilliput.model.block import Block, total
from lilliput.model.parts import NORMS, POSITIONS, HookPoint, dropout
from lilliput.model.positions import Position, Rotary, Tables
from lilliput.model.sight import BOTH, CAUSAL, Seen, Sight, starts

if TYPE_CHECKING:
    from lilliput.model.attention import Cache
    from lilliput.model.config import ModelConfig
    from lilliput.model.source import Memory


class Stack(nn.Module):
    """The blocks of a config with all that stands around them, but the embeddings and the output.

    `recompute` drops each block's activations and computes them again in the backward pass: about a third more
    work for memory that no longer grows with depth.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.recompute = False
        self.windows = config.windows
        self.sight = CAUSAL if config.causal else BOTH
        self._build(config)

    def _build(self, config: ModelConfig) -> None:
        """Make the modules, in the order of their names in files."""
        self.position = POSITIONS[config.position](config)
        self.position_window: Position | None = Rotary(config, windowed=True) if config.rope_theta_window else None
        self.ln_embed = NORMS[config.norm](config.d_model, config.norm_eps) if config.embed_norm else None
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        # With norm_place=post the last block ends with a norm.
        self.ln_final = None if config.norm_place == "post" else NORMS[config.norm](config.d_model, config.norm_eps)
        self.hook_pos_embed = HookPoint()

    def through(
        self,
        x: torch.Tensor,
        sight: Sight,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
        memory: Memory | None = None,
    ) -> torch.Tensor:
        """Embeddings x (B, T, d_model) -> hidden states (B, T, d_model), normed. See `Model.forward`."""
        new, device = x.shape[1], x.device
        where, end = (slice(0, new), new) if cache is None else cache.places(new)
        kinds = {window: sight.within(window).at(where, end, device) for window in {*self.windows}}
        if sight.segments is not None and not self.position.relative:
            # Positions are counted from each document's first token. Where only distances count, this is not needed.
            where = torch.arange(end, device=device) - starts(sight.segments)
        vectors = self.position.vectors(where, end)
        if vectors is not None:
            x = x + self.hook_pos_embed(vectors.expand_as(x))
        x = x if self.ln_embed is None else self.ln_embed(x)
        x = dropout(x, self.config.dropout, self.training)
        everywhere = self.position.tables(where, end, x.dtype)
        within = everywhere if self.position_window is None else self.position_window.tables(where, end, x.dtype)
        recompute = self.recompute and self.training and torch.is_grad_enabled()
        # A block that is computed again may not find what it computed itself at first.
        tables = {
            window: _seen_by(everywhere if window is None else within, seen, now=recompute)
            for window, seen in kinds.items()
        }
        for block, window in zip(self.blocks if blocks is None else blocks, self.windows, strict=True):
            given = (self.position, tables[window], kinds[window], cache, memory)
            if recompute:
                x = cast(torch.Tensor, checkpoint(block, x, *given, use_reentrant=False))
            else:
                x = block(x, *given)
        return x if self.ln_final is None else self.ln_final(x)

    def added_loss(self) -> torch.Tensor | None:
        """The terms that parts add to the mean loss of a position (a router's balance), for the last forward pass, as
        a float32 scalar; None where no part adds anything, and outside training."""
        if not self.training:
            return None
        return total([cast(Block, block).added_loss() for block in self.blocks])


def _seen_by(tables: Tables, seen: Seen, now: bool) -> Tables:
    """Return a bias of the scores as the layers with this sight read it, computed `now` or when the first layer needs
    it. Other tables stay as they are."""
    if not isinstance(tables, Bias):
        return tables
    given = tables.line if tables.line is not None else tables.whole
    assert given is not None
    kind = given.device.type
    bias = tables.within(seen, torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else given.dtype)
    if now:
        bias.scores()
    return bias
