"""native: a model whose decoding steps run in C++ (native.cpp), built on this machine in a second and then kept.

One token of one text is some hundred small operations, and PyTorch takes longer to call them than a core takes to do
them. Prompts and everything else go to the model itself.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.base import machine
from lilliput.base.errors import ConfigError, ModelError
from lilliput.base.native import build
from lilliput.generate.cache import KVCache
from lilliput.generate.int8 import Int8Linear
from lilliput.model.mlps import Gelu, GeluTanh, Relu2, SwiGLU
from lilliput.model.norms import LayerNorm, RMSNorm
from lilliput.model.positions import MOST_ROWS, Learned, Rotary

if TYPE_CHECKING:
    from lilliput.model.transformer import Block, Model

SOURCE = Path(__file__).with_suffix(".cpp")
MLPS = (SwiGLU, Gelu, GeluTanh, Relu2)
"""In the order of native.cpp's enum."""
MOST_TOKENS = {"fp32": 128, "int8": 512}
"""More new tokens than this (long prompts) are faster as PyTorch's matrix products, or take too much memory here."""


def native(model: Model) -> Model:
    """What stands in for `model` (or its `quantised` copy) wherever it is told with a KVCache on a CPU.

    Weights are read where they lie, so changes to them are seen. Raises ConfigError for a model that native.cpp cannot
    say, on another device or in another precision, and where there is no C++ compiler.
    """
    return cast("Model", _Native(model))


def why_not(model: Model) -> str | None:
    """Why `native` would refuse this model here, or None."""
    first = next(model.parameters())
    block = cast("Block", model.blocks[0])
    if first.device.type != "cpu" or first.dtype != torch.float32:
        kind = str(first.dtype).removeprefix("torch.")
        return f"they compute in float32 on a CPU, and the model is {kind} on {first.device}"
    parts = {type(block.mlp): MLPS, type(model.position): (Learned, Rotary), type(block.ln1): (RMSNorm, LayerNorm)}
    for part, known in parts.items():
        if part not in known:
            return f"native.cpp does not know the part {part.__name__}"
    return None if machine.compiler() else "there is no C++ compiler"


# ---------------------------------------------------------------------------- what native.cpp is given


class _Matrix(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("weight", "scale", "bias")]
    _fields_ += [(name, ctypes.c_int64) for name in ("rows", "columns")]


class _Norm(ctypes.Structure):
    _fields_ = [("weight", ctypes.c_void_p), ("bias", ctypes.c_void_p)]


class _Layer(ctypes.Structure):
    _fields_ = [(name, _Norm) for name in ("ln1", "ln2", "q_norm", "k_norm")]
    _fields_ += [(name, _Matrix) for name in ("qkv", "out", "up", "down")]
    _fields_ += [("keys", ctypes.c_void_p), ("values", ctypes.c_void_p)]


class _Model(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp")]
    _fields_ += [(name, ctypes.c_int64) for name in ("rotated", "window", "capacity", "mlp", "parallel", "threads")]
    _fields_ += [("eps", ctypes.c_float)]
    _fields_ += [(name, ctypes.c_void_p) for name in ("embed", "learned", "cos", "sin")]
    _fields_ += [("ln_final", _Norm), ("layers", ctypes.POINTER(_Layer))]


@cache
def library() -> ctypes.CDLL:
    """native.cpp, built for this processor. Raises ConfigError where that fails."""
    built = build(SOURCE, ("-ffp-contract=off",))
    built.scratch_floats.restype = ctypes.c_int64
    return built


# ---------------------------------------------------------------------------- the stand-in


class _Native:
    def __init__(self, model: Model):
        reason = why_not(model)
        if reason:
            raise ConfigError(f"native steps are not for this model: {reason}", "tell it without them")
        self._model, self._library = model, library()
        self._kept: list[torch.Tensor] = []  # all that native.cpp points to
        self._layers = [self._layer(cast("Block", block)) for block in model.blocks]
        self._shape = self._all_but_layers()
        self._head = self._matrix(model.embed if model.unembed is None else model.unembed)
        self._most = MOST_TOKENS["int8" if self._head.scale else "fp32"]
        self._bound: WeakKeyDictionary[KVCache, _Model] = WeakKeyDictionary()
        # Past the tables of a rotary model the Python computes the angles anew.
        turns = isinstance(model.position, Rotary)
        self._most_positions = min(model.config.context_length, MOST_ROWS if turns else model.config.context_length)

    def __call__(
        self, tokens: torch.Tensor, segments: torch.Tensor | None = None, cache: KVCache | None = None
    ) -> torch.Tensor:
        """tokens (B, T) -> hidden states (B, T, d_model), as the model gives them."""
        (batch, new), width = tokens.shape, self._model.config.d_model
        if cache is None or segments is not None or tokens.numel() > self._most or not self._can_read(tokens, cache):
            return self._model(tokens, segments=segments, cache=cache)
        end = max(cache.lengths) + new
        if end > min(cache.capacity, self._model.config.context_length):
            raise ModelError(f"the key-value cache is full: it holds {cache.capacity} positions, and {end} are needed")
        if end > self._most_positions:
            return self._model(tokens, segments=segments, cache=cache)
        if cache not in self._bound:
            self._bound[cache] = self._bind(cache)
        bound, count = self._bound[cache], ctypes.c_int64(batch * new)
        bound.threads = torch.get_num_threads()
        slots = torch.arange(batch).repeat_interleave(new)
        positions = (torch.tensor(cache.lengths)[:, None] + torch.arange(new)).flatten()
        scratch = torch.empty(self._library.scratch_floats(ctypes.byref(bound), count))
        hidden = torch.empty(batch, new, width)
        read = (tokens.to(torch.int64).contiguous(), slots, positions)
        self._library.forward(ctypes.byref(bound), count, *map(_pointer, (*read, scratch, hidden)))
        return hidden

    def _can_read(self, tokens: torch.Tensor, cache: KVCache) -> bool:
        """Whether these ids and this cache are such that native.cpp stays within its memory."""
        least, most = tokens.aminmax()
        known = int(least) >= 0 and int(most) < self._model.config.vocab_size
        return known and len(tokens) == cache.batch and cache.keys[0].dtype == torch.float32

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_model) -> (..., vocab_size)."""
        rows = hidden.numel() // hidden.shape[-1]
        if rows > self._most or hidden.dtype != torch.float32:
            return self._model.logits(hidden)
        hidden, made = hidden.contiguous(), torch.empty(*hidden.shape[:-1], self._head.rows)
        room = torch.empty(rows * (hidden.shape[-1] + 3))
        threads = ctypes.c_int64(torch.get_num_threads())
        self._library.logits(
            ctypes.byref(self._head), ctypes.c_int64(rows), *map(_pointer, (hidden, made, room)), threads
        )
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def _bind(self, cache: KVCache) -> _Model:
        """The model as native.cpp reads it, with this cache's memory."""
        layers = (_Layer * len(self._layers))(*self._layers)
        for layer, keys, values in zip(layers, cache.keys, cache.values, strict=True):
            layer.keys, layer.values = keys.data_ptr(), values.data_ptr()
        made = _Model.from_buffer_copy(self._shape)
        made.capacity, made.layers = cache.capacity, layers
        return made

    def _all_but_layers(self) -> _Model:
        model, config = self._model, self._model.config
        made = _Model(window=config.window or 0, eps=config.norm_eps)
        for name in ("d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp"):
            setattr(made, name, getattr(config, name))
        made.mlp = MLPS.index(type(cast("Block", model.blocks[0]).mlp))
        made.parallel = config.residual == "parallel"
        made.embed, made.ln_final = self._place(model.embed.weight), self._norm(model.ln_final)
        if isinstance(model.position, Learned):
            made.learned = self._place(model.position.weight)
        elif isinstance(model.position, Rotary):
            made.rotated = model.position.rotated
            made.cos, made.sin = self._place(model.position.cos), self._place(model.position.sin)
        return made

    def _layer(self, block: Block) -> _Layer:
        attn, mlp = block.attn, block.mlp
        up = mlp.gate_up if isinstance(mlp, SwiGLU) else mlp.up
        norms = map(self._norm, (block.ln1, block.ln2, attn.q_norm, attn.k_norm))
        return _Layer(*norms, *map(self._matrix, (attn.qkv, attn.out, up, mlp.down)))

    def _matrix(self, part: Any) -> _Matrix:
        weight, scale = part.weight, None
        if isinstance(part, Int8Linear):
            weight, scale = _grouped(part.weight[:, : part.inputs]), part.scale.float()
        places = map(self._place, (weight, scale, getattr(part, "bias", None)))
        return _Matrix(*places, len(part.weight), getattr(part, "inputs", part.weight.shape[1]))

    def _norm(self, part: nn.Module | None) -> _Norm:
        return _Norm(*(self._place(getattr(part, name, None)) for name in ("weight", "bias")))

    def _place(self, tensor: Any) -> int | None:
        """The address of a tensor, which is kept from now on."""
        if tensor is None:
            return None
        assert tensor.is_contiguous()
        self._kept.append(tensor.detach())
        return tensor.data_ptr()


def _grouped(weight: torch.Tensor) -> torch.Tensor:
    """int8 weights (rows, columns) in the order in which native.cpp reads them, (rows / 8, columns / 2, 8, 2)."""
    rows, columns = weight.shape
    weight = F.pad(weight, (0, columns % 2, 0, -rows % 8))
    return weight.view(-(-rows // 8), 8, -1, 2).transpose(1, 2).contiguous()


def _pointer(tensor: torch.Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
