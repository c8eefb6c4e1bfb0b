"""The names of hook points: our own, which are TransformerLens' older names, and the names of its bridge."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from lilliput.base.errors import ModelError, nearest
from lilliput.model.parts import HookPoint
from lilliput.model.transformer import Model

BRIDGE = {
    "embed.hook_out": "hook_embed",
    "pos_embed.hook_out": "hook_pos_embed",
    "hook_in": "hook_resid_pre",
    "hook_out": "hook_resid_post",
    "ln1.hook_in": "hook_resid_pre",
    "attn.q.hook_out": "attn.hook_q",
    "attn.k.hook_out": "attn.hook_k",
    "attn.v.hook_out": "attn.hook_v",
    "attn.o.hook_in": "attn.hook_z",
    "attn.o.hook_out": "hook_attn_out",
    "attn.hook_out": "hook_attn_out",
    "ln2.hook_in": "hook_resid_mid",
    "mlp.gate.hook_out": "mlp.hook_pre",
    "mlp.in.hook_out": "mlp.hook_pre",
    "mlp.out.hook_in": "mlp.hook_post",
    "mlp.out.hook_out": "hook_mlp_out",
    "mlp.hook_out": "hook_mlp_out",
}
"""The bridge's names of TransformerLens 3 and later, and ours. Names within a block stand without `blocks.N.`."""
GATED = BRIDGE | {"mlp.in.hook_out": "mlp.hook_pre_linear"}
"""The same for a gated MLP. The bridge calls its other side `in`, and the side of the gate `gate`."""
PARALLEL = {"ln2.hook_in": "hook_resid_pre"}
"""Where a model with parallel residuals differs: attention and MLP read the same activation."""
_BLOCK = re.compile(r"^(blocks\.[^.]+\.)(.*)$")
_LAYER = re.compile(r"^blocks\.(\d+)\.")


def hook_names(model: Model, names: str | Sequence[str] = "*", layers: Collection[int] | None = None) -> list[str]:
    """Return the hook points of `model` that a name or a glob names, in the order of the model, such as
    `blocks.*.attn.hook_pattern`. Both forms of TransformerLens' names are known: `blocks.0.hook_resid_post` and
    `blocks.0.hook_out`. `layers` keeps the points of these layers, counted from 0; negative numbers count from the last
    layer. Raises ModelError for a name that no hook point has, and for a layer that the model lacks.
    """
    known = list(hook_points(model))
    chosen = _layers(model, layers)
    found: set[str] = set()
    for name in [names] if isinstance(names, str) else names:
        own = ours(name, bridge_names(model))
        matching = [each for each in known if fnmatchcase(each, own)]
        if not matching:
            raise ModelError(f"no hook point is called '{name}'{nearest(own, known)}", "lens.hook_names(model) has all")
        found.update(matching)
    return [name for name in known if name in found and (chosen is None or layer_of(name) in chosen)]


def hook_points(model: Model) -> dict[str, HookPoint]:
    """Return the hook points of a model by name. Raises ModelError for a model that was compiled as a whole, because
    its graph does not call a hook that is set later."""
    plain = isinstance(model, Model)
    if not plain or any(getattr(each, "_compiled_call_impl", None) is not None for each in model.modules()):
        raise ModelError(
            f"a {type(model).__name__} is no plain model: its hooks would not be called"
            if not plain
            else "this model was compiled in place, so that its hooks would not be called",
            "look inside the model itself: for torch.compile(model), give `model`",
        )
    return model.hooks


def bridge_names(model: Model) -> dict[str, str]:
    """Return `BRIDGE` as it is for this model's MLP and residuals."""
    gated = any(name.endswith("mlp.hook_pre_linear") for name in model.hooks)
    table = (GATED if gated else BRIDGE) | (PARALLEL if model.config.residual == "parallel" else {})
    neurons = any(name.endswith("mlp.hook_post") for name in model.hooks)
    inside = ("mlp.in.", "mlp.gate.", "mlp.out.")
    return table if neurons else {theirs: name for theirs, name in table.items() if not theirs.startswith(inside)}


def ours(name: str, bridge: Mapping[str, str] = BRIDGE) -> str:
    """Return our name for a name of the bridge; another name as it is."""
    block = _BLOCK.match(name)
    if block is None:
        return bridge.get(name, name) if name.startswith(("embed.", "pos_embed.")) else name
    return block[1] + bridge.get(block[2], block[2])


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
