"""Plain models: the fields, module types and tensors that a backend knows. Everything else, and every hook, is a reason
to refuse.

A backend computes a model in another way than the model's own code: a stock class, a file format, C++, int8 weights. A
backend names the fields that it computes (fields.py). `refuses` lists the parts of a model that the backend does not
name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, repeat
from operator import contains, is_
from typing import Any

import torch
from torch import nn

from lilliput.model.attention import Attention
from lilliput.model.block import Block
from lilliput.model.buckets import Buckets
from lilliput.model.config import ModelConfig
from lilliput.model.cross_attention import CrossAttention
from lilliput.model.experts import Experts
from lilliput.model.fields import Fields, unknown_fields
from lilliput.model.grouped import ExpertLinear
from lilliput.model.mlps import GeGLU, GeGLUTanh, Gelu, GeluTanh, Relu, Relu2, SwiGLU
from lilliput.model.norms import LayerNorm, LayerNormUnbiased, RMSNorm, RMSNormPlusOne
from lilliput.model.output import PredictionHead
from lilliput.model.parts import HOOK_TABLES, Embedding, HookPoint, Linear, globally_hooked
from lilliput.model.positions import Learned, Rotary
from lilliput.model.stack import Stack
from lilliput.model.transformer import Model

Types = tuple[type[nn.Module], ...]
_NORMS: Types = (RMSNorm, RMSNormPlusOne, LayerNorm, LayerNormUnbiased)
KINDS: dict[str, Types] = {
    "": (Model,),
    "embed": (Embedding,),
    "embed_types": (Embedding,),
    "ln_embed": _NORMS,
    "position_window": (Rotary,),
    "position": (Rotary, Learned, Buckets),
    "blocks": (nn.ModuleList,),
    "blocks.#": (Block,),
    "blocks.#.ln1": _NORMS,
    "blocks.#.attn": (Attention,),
    "blocks.#.attn.qkv": (Linear,),
    "blocks.#.attn.q_norm": (RMSNorm, RMSNormPlusOne),
    "blocks.#.attn.k_norm": (RMSNorm, RMSNormPlusOne),
    "blocks.#.attn.out": (Linear,),
    "blocks.#.ln2": _NORMS,
    "blocks.#.ln1_post": _NORMS,
    "blocks.#.ln2_post": _NORMS,
    "blocks.#.mlp": (SwiGLU, GeGLU, GeGLUTanh, Gelu, GeluTanh, Relu2, Relu, Experts),
    "blocks.#.mlp.router": (Linear,),
    "blocks.#.mlp.gate_up": (Linear, ExpertLinear),
    "blocks.#.mlp.up": (Linear,),
    "blocks.#.mlp.down": (Linear, ExpertLinear),
    "ln_final": _NORMS,
    "blocks.#.cross": (CrossAttention,),
    "blocks.#.cross.q": (Linear,),
    "blocks.#.cross.kv": (Linear,),
    "blocks.#.cross.out": (Linear,),
    "blocks.#.cross.q_norm": (RMSNorm, RMSNormPlusOne),
    "blocks.#.cross.k_norm": (RMSNorm, RMSNormPlusOne),
    "blocks.#.ln_cross": _NORMS,
    "blocks.#.ln_cross_post": _NORMS,
    "head": (PredictionHead,),
    "head.dense": (Linear,),
    "head.norm": _NORMS,
    "unembed": (Linear,),
}
STACK = ("position", "blocks", "ln_embed", "ln_final")
KINDS |= {"encoder": (Stack,), **{f"encoder.{place}": KINDS[place] for place in KINDS if place.startswith(STACK)}}
"""The exact types that backends know at each place of a model, besides its hook points."""
TENSORS: dict[type[nn.Module], set[str]] = {
    Model: {"unembed_bias"},
    Embedding: {"weight"},
    Linear: {"weight", "bias"},
    RMSNorm: {"weight"},
    RMSNormPlusOne: {"weight"},
    LayerNorm: {"weight", "bias"},
    LayerNormUnbiased: {"weight"},
    Learned: {"weight"},
    Buckets: {"weight"},
    Rotary: {"cos", "sin"},
    ExpertLinear: {"weight"},
}
"""The names of the parameters and buffers of each type that backends know. The other known types have no tensors."""
_NO_MATTER = {"training", "recompute"}
_ROUNDING = 0.02
"""The largest difference between a table of angles and a new table. On a GPU, and in bf16, the numbers are rounded in
another way."""


def hooked(model: nn.Module) -> list[str]:
    """Return a reason for every module with a hook, and for PyTorch's hooks on all modules."""
    found = [
        f"a hook on {name or 'the model'}"
        for name, module in model.named_modules(remove_duplicate=False)
        if any(vars(module)[table] for table in HOOK_TABLES)
    ]
    return found + (["a global hook of PyTorch on all modules"] if globally_hooked() else [])


def refuses(model: Model, fields: Fields, instead: Types = ()) -> list[str]:
    """Return the reasons why a backend with these fields does not compute exactly `model`: unknown fields, modules and
    tensors, and active hooks. The list is empty when the backend computes the model. `instead` are types that the
    backend knows in place of Linear."""
    return [*unnamed(model, fields, instead), *hooked(model)]


def unnamed(model: Model, fields: Fields, instead: Types = ()) -> list[str]:
    """Return the reasons of `refuses` without the hooks, because hooks are set and removed at any time."""
    return [*unknown_fields(model.config, fields), *altered(model, KINDS, instead)]


def altered(model: Model, kinds: Mapping[str, Types] | None = None, instead: Types = ()) -> list[str]:
    """Return the differences between `model` and a new model of its config, except in the values of weights, and the
    types that `kinds` does not name. Differences are wrapped, replaced, added or removed modules, tensors of other
    names or shapes, and changed settings of a module. The cause of a difference does not matter: a LoRA wrapper, a
    parametrisation, or an assignment."""
    new = _new(model.config)  # pyright: ignore[reportArgumentType] (pydantic hashes what is frozen)
    found: dict[str, str] = {}
    here = dict(model.named_modules(remove_duplicate=False))
    for name, module in here.items():
        if not _within(name, found):
            reason = _odd_type(name, module, new.get(name), kinds, instead)
            reason = reason or (None if isinstance(module, instead) else _odd_content(name, module, new[name], kinds))
            if reason:
                found[name] = reason
    for name in [name for name in new if name not in here]:
        if not _within(name, found):
            found[name] = f"{name} is missing"
    return list(found.values()) or _odd_tables(model)


@lru_cache(maxsize=16)
def _new(config: ModelConfig) -> dict[str, nn.Module]:
    """Return the modules of a new model of this config, without memory. It takes tenths of a second to build, and each
    text that is generated asks for it."""
    with torch.device("meta"):
        return dict(Model(config, seed=None).named_modules(remove_duplicate=False))


def _within(name: str, found: Mapping[str, str]) -> bool:
    """Return whether a module that contains this module is already refused."""
    return any(name.startswith(f"{outer}." if outer else "") for outer in found)


def _odd_type(
    name: str, module: nn.Module, new: nn.Module | None, kinds: Mapping[str, Types] | None, instead: Types
) -> str | None:
    kind, shown = type(module), name or "the model"
    if isinstance(module, instead) and (new is None or type(new) in (Linear, ExpertLinear)):
        return None
    if new is None:
        return f"{shown} ({kind.__name__}) is no part of a new model of this config"
    if kind is not type(new):
        return f"{shown} is a {kind.__name__}, and a new model has a {type(new).__name__} there"
    forward = vars(module).get("forward", kind.forward)
    if getattr(forward, "__module__", None) not in {parent.__module__ for parent in kind.__mro__}:
        return f"{shown} has a forward of its own"
    if kinds is None or (kind is HookPoint and re.search(r"(^|\.)hook_\w+$", name)):
        return None
    return None if kind in kinds.get(re.sub(r"\.\d+", ".#", name), ()) else f"{shown} is a {kind.__name__}: unknown"


def _odd_content(name: str, module: nn.Module, new: nn.Module, kinds: Mapping[str, Types] | None) -> str | None:
    """Return a sentence on a tensor or setting of a module that differs from a new module, or that `TENSORS` does not
    list; else None."""
    ours, theirs = _tensors(module), _tensors(new)
    at = f"{name}." if name else ""
    for key in [*ours, *(theirs.keys() - ours.keys())]:
        if key not in ours or key not in theirs:
            return f"{at}{key} is {'missing' if key in theirs else 'no tensor of a new model of this config'}"
        if kinds is not None and key not in TENSORS.get(type(module), ()):
            return f"{at}{key} is an unknown tensor"
        if type(ours[key]) not in (nn.Parameter, torch.Tensor):
            return f"{at}{key} is a {type(ours[key]).__name__}"
        # A table of angles may be shorter than a new table. Beyond its end the model computes the angles again.
        first = 1 if isinstance(module, Rotary) else 0
        if ours[key].shape[first:] != theirs[key].shape[first:]:
            return f"{at}{key} is {list(ours[key].shape)}, and {list(theirs[key].shape)} in a new model of this config"
    given, wanted = _settings(module), _settings(new)
    for key in given.keys() | wanted.keys():
        if given.get(key) != wanted.get(key):
            return f"{at}{key}={given.get(key)} (a new model of this config has {wanted.get(key)})"
    return None


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in {**module._parameters, **module._buffers}.items() if tensor is not None}


def _settings(module: nn.Module) -> dict[str, Any]:
    """Return the plain values among a module's attributes, such as the eps of a norm."""
    plain = (bool, int, float, str, tuple, type(None))
    return {
        name: value
        for name, value in vars(module).items()
        if name[0] != "_" and isinstance(value, plain) and name not in _NO_MATTER
    }


def _odd_tables(model: Model) -> list[str]:
    """Return the names of tables that were computed from the config and were changed later. No file stores these
    tables."""
    found: list[str] = []
    places = [("position", model.position, False), ("position_window", model.position_window, True)]
    places += [] if model.encoder is None else [("encoder.position", model.encoder.position, False)]
    for place, position, windowed in places:
        if model.embed.weight.is_meta or position is None or not (held := dict(position.named_buffers())):
            continue
        made = dict((Rotary(model.config, True) if windowed else type(position)(model.config)).named_buffers())
        found += [
            f"{place}.{name} holds other numbers than a new model of this config"
            for name, table in held.items()
            if len(table) > len(made[name])
            or not torch.allclose(table.float().cpu(), made[name][: len(table)], rtol=0, atol=_ROUNDING)
        ]
    return found


class Watch:
    """Finds out, at each step, whether a model has changed since a backend took it. A change is a hook that was set, or
    a module, a tensor or a tensor's memory that was replaced. The loops run in C, because a decoding step takes only
    0.3 ms. The loops take 0.01 ms."""

    def __init__(self, model: nn.Module):
        modules = list(model.modules())
        self._hooks = [vars(module)[table] for module in modules for table in HOOK_TABLES]
        self._attributes = [vars(module) for module in modules if not isinstance(module, HookPoint)]
        kinds = ("_modules", "_parameters", "_buffers")
        self._tables = [table for module in modules for kind in kinds if (table := vars(module)[kind])]
        # The objects are kept, so that no new object gets the id of a deleted object.
        self._objects = [*self._now()]
        self._tensors = [one for one in self._objects if isinstance(one, torch.Tensor)]
        self._memory = [*map(torch.Tensor.data_ptr, self._tensors)]

    def hooked(self) -> bool:
        """Return whether a hook is active."""
        return any(self._hooks) or globally_hooked()

    def replaced(self, memory: bool = True) -> bool:
        """Return whether a module, a parameter, a buffer, a module's forward or (`memory`) a tensor's memory was
        replaced."""
        same = sum(map(len, self._tables)) == len(self._objects) and all(map(is_, self._now(), self._objects))
        if not same or any(map(contains, self._attributes, repeat("forward"))):
            return True
        return memory and [*map(torch.Tensor.data_ptr, self._tensors)] != self._memory

    def _now(self) -> Iterator[Any]:
        return chain.from_iterable(map(dict.values, self._tables))


class Once:
    """Prints a line at its first call, and nothing at later calls."""

    def __init__(self, notify: Callable[[str], None]):
        self._say: Callable[[str], None] | None = notify

    def __call__(self, text: str) -> None:
        notify, self._say = self._say, None
        if notify is not None:
            notify(text)


class Aside:
    """Decides at each step whether the model itself computes instead of the backend named `what`. The first time, it
    prints the reasons.

    A hook counts while it is set. After a module or tensor was replaced, `reasons` is called again. When it returns no
    reason, `renew` lets the backend take the changed model.
    """

    def __init__(
        self,
        model: Model,
        reasons: Callable[[Model], list[str]],
        what: str,
        notify: Callable[[str], None],
        renew: Callable[[], None] = lambda: None,
    ):
        self._model, self._ask, self._what, self._say, self._renew = model, reasons, what, Once(notify), renew
        self._look()

    def __call__(self) -> bool:
        hooked_now = self._watch.hooked()
        if not hooked_now and self._watch.replaced():
            self._look()
            if not self._reasons:
                self._renew()
        reasons = hooked(self._model) if hooked_now else self._reasons
        if reasons:
            self._say(f"{self._what} step aside, and PyTorch's operators compute: {'; '.join(reasons)}")
        return bool(reasons)

    def _look(self) -> None:
        self._watch, self._reasons = Watch(self._model), self._ask(self._model)
