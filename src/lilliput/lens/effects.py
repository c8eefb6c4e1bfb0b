"""Effects: the change of bits per byte when components are ablated, a value for each held-out row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch

from lilliput.decoding.inference import inference
from lilliput.lens.ablation import How, Reference, ablated
from lilliput.lens.components import Component
from lilliput.lens.row_losses import HeldOut, token_losses
from lilliput.model.transformer import Model


class Effects:
    """Ablations of one model on held-out rows. `bits` (N,) is the model's own bits per byte, a value for each row
    (see `HeldOut.bits`). The layers below an ablated layer are not computed again."""

    def __init__(self, model: Model, held: HeldOut):
        self.model, self.held = model, held
        self.reference = Reference(model, held.tokens, held.scored)
        with inference(model):
            self.bits = held.bits(token_losses(model, self.reference.hidden, held.targets))
        self._known: dict[tuple[object, ...], np.ndarray] = {}

    def of(self, components: Component | Sequence[Component], how: How = "mean", seed: int = 0) -> np.ndarray:
        """Return the bits per byte with the components ablated less the model's own, (N,), a value for each row.
        A result is kept and not computed again."""
        chosen = frozenset([components] if isinstance(components, Component) else components)
        if (chosen, how, seed) not in self._known:
            self._known[chosen, how, seed] = self._measured(sorted(chosen, key=lambda one: one.name), how, seed)
        return self._known[chosen, how, seed]

    def _measured(self, components: Sequence[Component], how: How, seed: int) -> np.ndarray:
        lowest = min((component.layer for component in components), default=0)
        with ablated(self.model, components, how, self.reference, seed), inference(self.model):
            hidden = self.model(self.held.tokens, blocks=self._from(lowest))
            losses = token_losses(self.model, hidden, self.held.targets)
        return self.held.bits(losses) - self.bits

    def _from(self, layer: int) -> Sequence[Callable[..., torch.Tensor]]:
        """Return the blocks, with blocks that return kept activations in place of those below `layer`."""
        blocks = [cast(Callable[..., torch.Tensor], block) for block in self.model.blocks]
        if not layer:
            return blocks
        kept = self.reference.entry(layer)
        return [*[lambda x, *rest: kept] * layer, *blocks[layer:]]
