"""Components: heads, neurons, MLPs, attention layers and whole layers of a model, and random units of equal size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lilliput.base import seeds
from lilliput.base.errors import ModelError
from lilliput.model.transformer import Model

Kind = Literal["head", "mlp", "attention", "layer", "neurons", "random"]
NAMES = {"head": "channels of heads", "mlp": "neurons"}


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a model that can be taken out.

    name    such as 'head 2.1' (layer 2, head 1; both count from 0), 'MLP 3'
    layer   the lowest layer that it stands in
    places  channels by hook point; no channels stands for all of them. The channels of `hook_z` are counted through
            all heads: head h has the channels from h * d_head on
    """

    name: str
    kind: Kind
    layer: int
    places: tuple[tuple[str, tuple[int, ...]], ...]


def head(model: Model, layer: int, index: int) -> Component:
    """Return a head. Raises ModelError for a layer or head that the model lacks."""
    width = model.config.d_head
    _within(model, layer, index, model.config.n_heads, "head")
    channels = tuple(range(index * width, (index + 1) * width))
    return Component(f"head {layer}.{index}", "head", layer, ((f"blocks.{layer}.attn.hook_z", channels),))


def mlp(model: Model, layer: int) -> Component:
    """Return the MLP of a layer: all that it writes to the residual stream. Raises ModelError for another layer."""
    _within(model, layer)
    return Component(f"MLP {layer}", "mlp", layer, ((f"blocks.{layer}.hook_mlp_out", ()),))


def attention(model: Model, layer: int) -> Component:
    """Return the attention of a layer: all its heads, and the bias of its output. Raises ModelError for another
    layer."""
    _within(model, layer)
    return Component(f"attention {layer}", "attention", layer, ((f"blocks.{layer}.hook_attn_out", ()),))


def whole_layer(model: Model, layer: int) -> Component:
    """Return the attention and the MLP of a layer. Raises ModelError for another layer."""
    places = (*attention(model, layer).places, *mlp(model, layer).places)
    return Component(f"layer {layer}", "layer", layer, places)


def neurons(model: Model, layer: int, indices: Sequence[int]) -> Component:
    """Return neurons of a layer's MLP. Raises ModelError for another layer or neuron."""
    for index in indices:
        _within(model, layer, index, model.config.d_mlp, "neuron")
    name = f"neuron {layer}.{indices[0]}" if len(indices) == 1 else f"{len(indices)} neurons of layer {layer}"
    return Component(name, "neurons", layer, ((f"blocks.{layer}.mlp.hook_post", tuple(sorted(indices))),))


def all_heads(model: Model) -> list[Component]:
    """Return every head."""
    return [
        head(model, layer, index) for layer in range(model.config.n_layers) for index in range(model.config.n_heads)
    ]


def all_mlps(model: Model) -> list[Component]:
    """Return the MLP of every layer."""
    return [mlp(model, layer) for layer in range(model.config.n_layers)]


def random_units(model: Model, kind: Literal["head", "mlp"], seed: int) -> Component:
    """Return as many units as a head or an MLP has, drawn from all layers: channels of heads, or neurons. This is the
    control of equal size."""
    point = "attn.hook_z" if kind == "head" else "mlp.hook_post"
    config = model.config
    width, count = (config.n_heads * config.d_head, config.d_head) if kind == "head" else (config.d_mlp, config.d_mlp)
    drawn = seeds.generator(seed, "random units", kind).choice(config.n_layers * width, count, replace=False)
    layers = [drawn[drawn // width == layer] % width for layer in range(config.n_layers)]
    places = tuple(
        (f"blocks.{layer}.{point}", tuple(sorted(map(int, found)))) for layer, found in enumerate(layers) if len(found)
    )
    return Component(f"random {NAMES[kind]} (draw {seed})", "random", int(drawn.min() // width), places)


def random_heads(model: Model, count: int, seed: int) -> list[Component]:
    """Return `count` different heads, the control of a set of heads. Raises ModelError where the model has fewer."""
    heads = all_heads(model)
    if count > len(heads):
        raise ModelError(f"the model has {len(heads)} heads, fewer than {count}")
    drawn = seeds.generator(seed, "random heads").choice(len(heads), count, replace=False)
    return [heads[int(place)] for place in sorted(drawn)]


def _within(model: Model, layer: int, index: int = 0, count: int = 1, what: str = "") -> None:
    if not 0 <= layer < model.config.n_layers:
        raise ModelError(f"the model has no layer {layer}", f"its layers are 0 to {model.config.n_layers - 1}")
    if not 0 <= index < count:
        raise ModelError(f"layer {layer} has no {what} {index}", f"it has {what}s 0 to {count - 1}")
