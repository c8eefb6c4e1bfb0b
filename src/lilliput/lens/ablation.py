"""Ablation: take a head, neurons, an MLP, an attention layer or a whole layer out of a model, and measure the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, get_args

import torch

from lilliput.base import seeds
from lilliput.base.errors import ModelError
from lilliput.decoding.inference import inference
from lilliput.lens.capture import capture
from lilliput.lens.components import Component
from lilliput.lens.intervene import Change, Hook, intervene
from lilliput.lens.stream import has_neurons
from lilliput.model.transformer import Model

How = Literal["zero", "mean", "position_mean", "resample"]
"""What stands in place of the activation.

zero           0
mean           its mean over all held-out rows and positions
position_mean  its mean over the held-out rows at the same position
resample       the activation of another held-out row at the same position; the seed chooses the row
"""
POINTS = ("blocks.*.attn.hook_z", "blocks.*.hook_attn_out", "blocks.*.hook_mlp_out")
NEURONS = "blocks.*.mlp.hook_post"
ENTRY = "blocks.*.hook_resid_pre"


class Reference:
    """The activations of a model on rows, (N, T), without any change. Ablation takes means and other rows from here,
    and goes on from the layer below an ablated layer. `scored` (N, T) bool limits the means to these positions."""

    def __init__(self, model: Model, tokens: torch.Tensor, scored: torch.Tensor | None = None):
        self.model, self.tokens = model, tokens
        self._counted = (torch.ones_like(tokens) if scored is None else scored).bool()
        points = [*POINTS, *([NEURONS] if has_neurons(model) else []), ENTRY]
        with inference(model), capture(model, points) as self._seen:
            self.hidden = model(tokens)
        self._kept: dict[tuple[str, str], torch.Tensor] = {}

    def entry(self, layer: int) -> torch.Tensor:
        """Return the residual stream before a layer, (N, T, d_model)."""
        return self._seen[ENTRY.replace("*", str(layer))].to(self.tokens.device)

    def stand_in(self, name: str, how: How) -> torch.Tensor:
        """Return what replaces the activation of a hook point: (1, 1, C) for `zero` and `mean`, (1, T, C) for
        `position_mean`, (N, T, C) for `resample`, with C the channels of the point, of all heads side by side."""
        if (name, how) not in self._kept:
            made = self._stand_in(self._seen[name].to(self.tokens.device).flatten(2), how)
            if how == "resample":
                return made
            self._kept[name, how] = made
        return self._kept[name, how]

    def _stand_in(self, values: torch.Tensor, how: How) -> torch.Tensor:
        if how == "resample":
            return values
        if how == "zero":
            return torch.zeros_like(values[:1, :1])
        counted = self._counted.unsqueeze(-1).to(values.dtype)
        whole = ((values * counted).sum((0, 1), keepdim=True) / counted.sum()).to(values.dtype)
        if how == "mean":
            return whole
        seen = counted.sum(0, keepdim=True)
        # Beyond the end of every row there is no mean of the position, and the mean of all positions stands there.
        return torch.where(seen > 0, (values * counted).sum(0, keepdim=True) / seen.clamp(min=1), whole)


@contextmanager
def ablated(
    model: Model,
    components: Component | Sequence[Component],
    how: How = "mean",
    reference: Reference | torch.Tensor | None = None,
    seed: int = 0,
) -> Iterator[None]:
    """Take components out of the model while the body runs it, also in generation.

    `reference` are held-out rows, (N, T) int64, or their `Reference`; only `zero` needs none. `position_mean` and
    `resample` need whole rows, no longer than the reference, and so no generation with a cache. With `resample`, row i
    of a batch gets the activation of row i + s of the reference, the same s > 0 for all components. Raises ModelError
    for another `how`, and where the reference does not fit.
    """
    components = [components] if isinstance(components, Component) else list(components)
    if how not in get_args(How):
        raise ModelError(f"there is no ablation '{how}'", f"known: {', '.join(get_args(How))}")
    if reference is None and how != "zero":
        raise ModelError(f"ablation by {how} needs held-out rows", f"ablated(model, components, '{how}', rows)")
    if isinstance(reference, torch.Tensor):
        reference = Reference(model, reference)
    changes = {name: _change(channels, how, reference, seed) for name, channels in _joined(components).items()}
    handle = model.register_forward_pre_hook(partial(_check, how, reference), with_kwargs=True)
    try:
        with intervene(model, changes):
            yield
    finally:
        handle.remove()


def _joined(components: Sequence[Component]) -> dict[str, tuple[int, ...]]:
    """Return the channels by hook point of all components; no channels stands for all."""
    found: dict[str, set[int] | None] = {}
    for name, channels in [place for component in components for place in component.places]:
        known = found.get(name, set())
        found[name] = None if not channels or known is None else known | set(channels)
    return {name: () if channels is None else tuple(sorted(channels)) for name, channels in found.items()}


def _change(channels: tuple[int, ...], how: How, reference: Reference | None, seed: int) -> Change:
    where: Any = torch.tensor(channels) if channels else slice(None)

    def replace(value: torch.Tensor, hook: Hook) -> torch.Tensor:
        new = value.flatten(2).clone()
        if how == "zero" or reference is None:
            new[..., where] = 0
            return new.view_as(value)
        other = reference.stand_in(hook.name, how)
        if how != "mean":
            other = other[:, : value.shape[1]]
        if how == "resample":
            rows = len(reference.tokens)
            other = other[(torch.arange(len(value), device=value.device) + _shift(rows, seed)) % rows]
        new[..., where] = other[..., where].to(new.dtype)
        return new.view_as(value)

    return replace


def _shift(rows: int, seed: int) -> int:
    """Return how many rows further the other row is, from 1 to rows - 1."""
    return int(seeds.generator(seed, "resample").integers(1, rows))


def _check(how: How, reference: Reference | None, model: Model, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise ModelError for a forward pass whose positions or rows are not those of the reference."""
    if how not in ("position_mean", "resample") or reference is None:
        return
    tokens = args[0] if args else kwargs["tokens"]
    cache = args[2] if len(args) > 2 else kwargs.get("cache")
    length = reference.tokens.shape[1]
    if cache is not None or tokens.shape[1] > length:
        what = "steps with a cache" if cache is not None else f"{tokens.shape[1]} positions"
        raise ModelError(
            f"ablation by {how} is for whole rows of at most {length} positions, and this pass has {what}",
            "generate with how='mean' or how='zero'",
        )
    if how == "resample" and len(reference.tokens) < 2:
        raise ModelError("ablation by resample needs at least two held-out rows")
