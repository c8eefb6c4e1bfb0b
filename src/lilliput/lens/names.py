"""The names of hook points: our own, which are TransformerLens' older names, and the names of its bridge."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from lilliput.base.errors import ModelError, nearest
from lilliput.model.transformer import Model

BRIDGE = {
    "embed.hook_out": "hook_embed",
    "pos_embed.hook_out": "hook_pos_embed",
    "hook_in": "hook_resid_pre",
    "hook_out": "hook_resid_post",
    "attn.hook_out": "hook_attn_out",
    "mlp.hook_out": "hook_mlp_out",
    "attn.q.hook_out": "attn.hook_q",
    "attn.k.hook_out": "attn.hook_k",
    "attn.v.hook_out": "attn.hook_v",
}
"""The bridge's names of TransformerLens 3 and later, and ours. Names within a block stand without `blocks.N.`."""
_BLOCK = re.compile(r"^(blocks\.[^.]+\.)(.*)$")
_LAYER = re.compile(r"^blocks\.(\d+)\.")


def hook_names(model: Model, names: str | Sequence[str] = "*", layers: Collection[int] | None = None) -> list[str]:
    """Return the hook points of `model` that a name or a glob names, in the order of the model, such as
    `blocks.*.attn.hook_pattern`. Both forms of TransformerLens' names are known: `blocks.0.hook_resid_post` and
    `blocks.0.hook_out`. `layers` keeps the points of these layers, counted from 0; negative numbers count from the last
    layer. Raises ModelError for a name that no hook point has, and for a layer that the model lacks.
    """
    known = list(model.hooks)
    chosen = _layers(model, layers)
    found: set[str] = set()
    for name in [names] if isinstance(names, str) else names:
        own = ours(name)
        matching = [each for each in known if fnmatchcase(each, own)]
        if not matching:
            raise ModelError(f"no hook point is called '{name}'{nearest(own, known)}", "lens.hook_names(model) has all")
        found.update(matching)
    return [name for name in known if name in found and (chosen is None or layer_of(name) in chosen)]


def ours(name: str) -> str:
    """Return our name for a name of the bridge; another name as it is."""
    block = _BLOCK.match(name)
    if block is None:
        return BRIDGE.get(name, name) if name.startswith(("embed.", "pos_embed.")) else name
    return block[1] + BRIDGE.get(block[2], block[2])


def layer_of(name: str) -> int | None:
    """Return the layer of a hook point, counted from 0; None for a point outside the blocks."""
    match = _LAYER.match(name)
    return int(match[1]) if match else None


def _layers(model: Model, layers: Collection[int] | None) -> set[int] | None:
    if layers is None:
        return None
    count = model.config.n_layers
    if odd := [layer for layer in layers if not -count <= layer < count]:
        raise ModelError(f"the model has no layer {odd[0]}", f"its layers are 0 to {count - 1}")
    return {layer % count for layer in layers}
