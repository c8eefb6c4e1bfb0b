"""Intervene: replace named activations while a model runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from lilliput.base.errors import ModelError
from lilliput.lens.names import hook_names, hook_points, layer_of
from lilliput.model.transformer import Model


@dataclass(frozen=True, slots=True)
class Hook:
    """The place that a function is called for. `name` is the hook point's name, `layer` its layer, None outside the
    blocks."""

    name: str
    layer: int | None


Change = Callable[[torch.Tensor, Hook], torch.Tensor | None]
"""A function of an activation and its place. It returns the new activation, or None to leave it as it is. The signature
is that of TransformerLens' hooks."""


@contextmanager
def intervene(model: Model, changes: Mapping[str, Change]) -> Iterator[None]:
    """Replace activations while the body runs the model.

    `changes` has a function for each name or glob: `{"blocks.0.attn.hook_z": lambda z, hook: z * 0}`. The functions of
    one place run in the order of the mapping. Gradients flow through them. Raises ModelError for an unknown name, for
    a function that returns another shape or type, and for a model that was compiled as a whole.
    """
    handles, hooks = [], hook_points(model)
    try:
        for pattern, change in changes.items():
            for name in hook_names(model, pattern):
                place = Hook(name, layer_of(name))
                handles.append(hooks[name].register_forward_hook(_hook(change, place)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(change: Change, place: Hook) -> Callable[[Any, Any, torch.Tensor], torch.Tensor | None]:
    def replace(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
        new: Any = change(output, place)
        if new is None:
            return None
        kind = _kind(new)
        if kind != _kind(output):
            raise ModelError(
                f"the function for {place.name} returns {kind}, not {_kind(output)}",
                "return a tensor of the activation's shape and type, or None to leave it as it is",
            )
        return new

    return replace


def _kind(value: Any) -> str:
    """Return shape and type of a tensor, or the type of another value, in words."""
    if not isinstance(value, torch.Tensor):
        return f"a {type(value).__name__}"
    return f"the shape {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
