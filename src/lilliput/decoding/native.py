"""native: a model whose decoding steps run in C++ (native.cpp), built on this machine in a second and then kept.

One token of one text needs about a hundred small operations. PyTorch takes longer to call them than a core takes to
compute them. The model itself computes prompts, and every call that native.cpp does not compute.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.base.console import warn
from lilliput.base.errors import ConfigError, ModelError
from lilliput.base.runtime.native import build
from lilliput.base.runtime.native import why_not as unbuildable
from lilliput.decoding import native_structs as structs
from lilliput.decoding.cache import KVCache
from lilliput.decoding.int8 import INT8
from lilliput.model import plain
from lilliput.model.attention import Cache
from lilliput.model.block import Block
from lilliput.model.experts import Experts
from lilliput.model.fields import known
from lilliput.model.mlps import Gelu, GeluTanh, Relu2, SwiGLU
from lilliput.model.positions import Learned, Rotary
from lilliput.model.sight import CAUSAL, Sight
from lilliput.model.source import Memory, Source
from lilliput.model.stand_in import StandIn
from lilliput.model.transformer import Model

SOURCE = Path(__file__).with_suffix(".cpp")
MLPS = (SwiGLU, Gelu, GeluTanh, Relu2)
"""In the order of native.cpp's enum."""
FIELDS = known(
    "style d_model n_layers n_heads n_kv_heads d_head d_mlp vocab_size context_length norm_eps rope_theta "
    "rotary_fraction window bias dropout tied_embeddings init n_experts experts_per_token normalize_routes "
    "balance_loss router_z_loss",
    norm=("rms", "layer"),
    position=("rotary", "learned"),
    mlp=("swiglu", "gelu", "gelu_tanh", "relu2", "experts"),
    balance=("loss",),
    d_shared=(0,),
    qk_norm=(True, False),
    residual=("sequential", "parallel"),
)
"""The config fields that native.cpp computes; all other fields are refused."""
MOST_TOKENS = {"fp32": 128, "int8": 512, "bf16": 512}
"""Above this number of new tokens (long prompts), PyTorch's matrix products are faster or native.cpp needs too much
memory."""
BF16_INSTRUCTIONS = (None, "avx512_bf16", "amx_bf16")
"""By which instructions native.cpp computes products with bf16 weights, in the order of native_bf16.h's enum."""
Weights = Literal["own", "bf16"]
"""own: as the model has them."""


def native(model: Model, weights: Weights = "own") -> Model:
    """Decodes in place of `model`, or of its `quantised` copy, with a KVCache on a CPU: native.cpp computes the steps.

    Weights are read from the model's memory, so that changes to them take effect. The model itself computes a call
    whose tensors native.cpp cannot read, every step while a hook is set, and every step after a change for which
    `refuses` gives reasons. The first time, a line on standard error gives the reasons.

    With weights="bf16", products read copies of the matrices in bf16. The copies are made anew whenever a text begins.
    Products round activations to bf16 as well, and add in fp32. Norms and attention compute in fp32, and an engine's
    cache holds keys and values in bf16.

    Raises ConfigError for a model that native.cpp does not compute, on another device or in another precision, and
    without a C++ compiler; and with weights="bf16" for a processor without instructions for bf16 (see `bf16_by`) and a
    model in int8. Raises ModelError for weights of other types than the config's.
    """
    return _Native(model, weights)


@cache
def bf16_by() -> str | None:
    """Return the name of the instructions by which native steps compute products with bf16 weights here. Return None
    where this processor, its kernel or the compiler has none, and where nothing can be built."""
    try:
        return BF16_INSTRUCTIONS[library().half_instructions()]
    except ConfigError:
        return None


def refuses(model: Model) -> list[str]:
    """The reasons why native steps may differ from the model: config fields, modules and tensors that native.cpp does
    not name, active hooks, another device or precision, and no C++ compiler. Empty when they compute the same."""
    return [*_unreadable(model), *plain.hooked(model)]


def why_not(model: Model) -> str | None:
    """Return the reason why `native` would refuse this model here, or None. Hooks are no reason, because the model
    computes the steps while a hook is set."""
    return "; ".join(_unreadable(model)) or None


def unnamed(model: Model) -> list[str]:
    """The config fields, modules and tensors of the model that native.cpp does not name, whatever the machine."""
    return plain.unnamed(model, FIELDS, instead=INT8)


def _unreadable(model: Model) -> list[str]:
    first = next(model.parameters())
    if first.device.type != "cpu" or first.dtype != torch.float32:
        kind = str(first.dtype).removeprefix("torch.")
        return [f"they compute in float32 on a CPU, and the model is {kind} on {first.device}"]
    reason = unbuildable()
    return unnamed(model) + ([reason] if reason else [])


@cache
def library() -> ctypes.CDLL:
    """native.cpp, built for this processor. Raises ConfigError where that fails."""
    built = build(SOURCE, ("-ffp-contract=off",))
    for name in ("scratch_floats", "room_floats", "half_instructions"):
        getattr(built, name).restype = ctypes.c_int64
    return built


# ---------------------------------------------------------------------------- the stand-in


class _Native(StandIn):
    def __init__(self, model: Model, weights: Weights):
        super().__init__(model)
        reason = why_not(model)
        if reason:
            raise ConfigError(f"native steps are not for this model: {reason}", "generate without them")
        self._library, self._half = library(), 0
        if weights == "bf16":
            self._half = _half_of(model)
        self._take()
        self._aside = plain.Aside(model, _unreadable, "native steps", warn, self._take)

    def _take(self) -> None:
        """Point native.cpp to the present memory of the weights."""
        model = self.stands_for
        self._kept: list[torch.Tensor] = []  # all that native.cpp points to
        self._arrays: list[ctypes.Array[structs.Matrix]] = []
        self._layers = [self._layer(cast(Block, block)) for block in model.blocks]
        self._shape = self._all_but_layers()
        head, config = model.embed if model.unembed is None else model.unembed, model.config
        self._head = self._matrix("unembed", head, config.vocab_size, config.d_model)
        self._most = MOST_TOKENS["bf16" if self._half else "int8" if self._head.scale else "fp32"]
        self._bound: WeakKeyDictionary[KVCache, tuple[list[int], structs.Model]] = WeakKeyDictionary()
        # Beyond the tables of a rotary model, the Python code computes the angles again.
        turns = isinstance(model.position, Rotary)
        self._most_positions = len(cast(torch.Tensor, model.position.cos)) if turns else model.config.context_length

    def forward(
        self,
        tokens: torch.Tensor,
        sight: Sight | None = None,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
        types: torch.Tensor | None = None,
        source: Source | Memory | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) -> hidden states (B, T, d_model), as the model gives them."""
        other = sight not in (None, CAUSAL) or blocks is not None or types is not None or source is not None
        if other or not isinstance(cache, KVCache) or self._steps_aside():
            return self.stands_for(tokens, sight, cache, blocks, types, source)
        if self._half and 0 in cache.lengths:  # a text begins
            self._take()
        if tokens.numel() > self._most or not self._can_read(tokens, cache):
            return self.stands_for(tokens, sight, cache, blocks, types, source)
        (batch, new), width = tokens.shape, self.stands_for.config.d_model
        end = max(cache.lengths) + new
        if end > min(cache.capacity, self.stands_for.config.context_length):
            raise ModelError(f"the key-value cache is full: it holds {cache.capacity} positions, and {end} are needed")
        if end > self._most_positions:
            return self.stands_for(tokens, sight, cache, blocks, types, source)
        bound, count = self._bind(cache), ctypes.c_int64(batch * new)
        bound.threads = torch.get_num_threads()
        slots = torch.arange(batch).repeat_interleave(new)
        positions = (torch.tensor(cache.lengths)[:, None] + torch.arange(new)).flatten()
        scratch = torch.empty(self._library.scratch_floats(ctypes.byref(bound), count))
        hidden = torch.empty(batch, new, width)
        read = (tokens.to(torch.int64).contiguous(), slots, positions)
        self._library.forward(ctypes.byref(bound), count, *map(_pointer, (*read, scratch, hidden)))
        return hidden

    @property
    def cache_dtype(self) -> torch.dtype:
        """The precision of an engine's cache."""
        return torch.bfloat16 if self._half else self.stands_for.cache_dtype

    def _steps_aside(self) -> bool:
        """Return whether the model itself has to compute this step (see `refuses`). native.cpp has no dropout."""
        return self._aside() or (self.stands_for.training and self.stands_for.config.dropout > 0)

    def _can_read(self, tokens: torch.Tensor, cache: KVCache) -> bool:
        """Return whether native.cpp stays within its memory with these ids and this cache."""
        if (
            tokens.dim() != 2
            or not tokens.numel()
            or tokens.dtype not in (torch.int32, torch.int64)
            or not _dense(tokens)
        ):
            return False
        least, most = tokens.aminmax()
        known = int(least) >= 0 and int(most) < self.stands_for.config.vocab_size
        config, room = self.stands_for.config, len(cache.keys[0]) if cache.keys else 0
        shape = (room, config.n_kv_heads, cache.capacity, config.d_head)
        layers = cache.keys + cache.values
        half = self._half and room and cache.keys[0].dtype == torch.bfloat16
        kind = torch.bfloat16 if half else torch.float32
        fits = len(cache.keys) == len(cache.values) == config.n_layers and len(tokens) == cache.batch <= room
        return known and fits and min(cache.lengths) >= 0 and all(_whole(layer, shape, kind) for layer in layers)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_model) -> (..., vocab_size)."""
        columns = self._head.columns
        rows = hidden.numel() // columns
        readable = rows and hidden.shape[-1] == columns and hidden.dtype == torch.float32 and _dense(hidden)
        if rows > self._most or not readable or self._aside():
            return self.stands_for.logits(hidden)
        hidden, made = hidden.contiguous(), torch.empty(*hidden.shape[:-1], self._head.rows)
        room = torch.empty(self._library.room_floats(ctypes.c_int64(rows), ctypes.c_int64(columns)))
        threads = ctypes.c_int64(torch.get_num_threads())
        self._library.logits(
            ctypes.byref(self._head), ctypes.c_int64(rows), *map(_pointer, (hidden, made, room)), threads
        )
        return made

    def _bind(self, cache: KVCache) -> structs.Model:
        """Return the model in the form that native.cpp reads, with this cache's memory. The form is made again where
        the cache has other memory."""
        places = [layer.data_ptr() for layer in cache.keys + cache.values] + [cache.keys[0].element_size()]
        known = self._bound.get(cache)
        if known is not None and known[0] == places and known[1].capacity == cache.capacity:
            return known[1]
        layers = (structs.Layer * len(self._layers))(*self._layers)
        for layer, keys, values in zip(layers, places, places[len(layers) :], strict=False):
            layer.keys, layer.values = keys, values
        made = structs.Model.from_buffer_copy(self._shape)
        made.capacity, made.layers, made.half_cache = cache.capacity, layers, cache.keys[0].dtype == torch.bfloat16
        self._bound[cache] = places, made
        return made

    def _all_but_layers(self) -> structs.Model:
        model, config = self.stands_for, self.stands_for.config
        made = structs.Model(window=config.window or 0, eps=config.norm_eps)
        for name in ("d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp"):
            setattr(made, name, getattr(config, name))
        mlp = type(cast(Block, model.blocks[0]).mlp)
        made.mlp = MLPS.index(SwiGLU if mlp is Experts else mlp)
        made.experts, made.chosen = config.n_experts, config.experts_per_token
        made.normalized = config.normalize_routes
        made.parallel = config.residual == "parallel"
        made.embed = self._place("embed", model.embed.weight, config.vocab_size, config.d_model)
        made.ln_final = self._norm("ln_final", model.ln_final, config.d_model)
        if isinstance(model.position, Learned):
            made.learned = self._place("position", model.position.weight, config.context_length, config.d_model)
        elif isinstance(model.position, Rotary):
            made.rotated = model.position.rotated
            if not 0 <= made.rotated <= config.d_head or made.rotated % 2:
                raise ModelError(f"{made.rotated} of {config.d_head} channels of a head cannot be rotated")
            cos, sin = (cast(torch.Tensor, table) for table in (model.position.cos, model.position.sin))
            made.cos, made.sin = (self._place("position", table, len(cos), made.rotated // 2) for table in (cos, sin))
        return made

    def _layer(self, block: Block) -> structs.Layer:
        config, attn = self.stands_for.config, block.attn
        inner, model = config.n_heads * config.d_head, config.d_model
        fused = inner + 2 * config.n_kv_heads * config.d_head
        made = structs.Layer(
            *(self._norm(name, getattr(block, name), model) for name in ("ln1", "ln2")),
            *(self._norm(name, getattr(attn, name), config.d_head) for name in ("q_norm", "k_norm")),
            self._matrix("qkv", attn.qkv, fused, model),
            self._matrix("out", attn.out, model, inner),
        )
        mlp, inner = block.mlp, config.d_mlp
        if isinstance(mlp, Experts):
            made.router = self._matrix("router", mlp.router, config.n_experts, model)
            each: list[structs.Matrix] = []
            for up, down in zip(_matrices(mlp.gate_up), _matrices(mlp.down), strict=True):
                each += [self._matrix("up", up, 2 * inner, model), self._matrix("down", down, model, inner)]
            experts = (structs.Matrix * len(each))(*each)
            self._arrays.append(experts)
            made.experts = experts
        else:
            gated = isinstance(mlp, SwiGLU)
            made.up = self._matrix("up", mlp.gate_up if gated else mlp.up, inner * (2 if gated else 1), model)
            made.down = self._matrix("down", mlp.down, model, inner)
        return made

    def _matrix(self, name: str, part: Any, rows: int, columns: int) -> structs.Matrix:
        half = 0 if name == "router" else self._half  # a rounded router would choose other experts
        if part.weight.dtype == torch.int8 and hasattr(part, "spare"):
            if tuple(part.weight.shape) != (rows, columns + part.spare):
                raise _other(name, part.weight, (rows, columns + part.spare))
            weight = self._keep(_grouped(part.weight[:, :columns]))
            scale = self._place(f"{name}.scale", part.scale.float(), rows)
        else:
            weight, scale = self._place(name, part.weight, rows, columns), None
            if half:
                weight = self._keep(_panels(part.weight))
        bias = self._place(f"{name}.bias", getattr(part, "bias", None), rows)
        return structs.Matrix(weight, scale, bias, rows, columns, half)

    def _norm(self, name: str, part: nn.Module | None, width: int) -> structs.Norm:
        return structs.Norm(
            *(self._place(f"{name}.{kind}", getattr(part, kind, None), width) for kind in ("weight", "bias"))
        )

    def _place(self, name: str, tensor: Any, *shape: int) -> int | None:
        """Return the address of a tensor, and keep the tensor from now on. Raises ModelError where it is not float32 of
        this shape without gaps, which native.cpp reads."""
        if tensor is None:
            return None
        if not _whole(tensor, shape):
            raise _other(name, tensor, shape)
        return self._keep(tensor)

    def _keep(self, tensor: torch.Tensor) -> int:
        self._kept.append(tensor.detach())
        return tensor.data_ptr()


def _matrices(part: Any) -> list[SimpleNamespace]:
    """Return the matrix of each expert as `_matrix` reads the matrix of a part: in float32, or in int8 with scales."""
    if isinstance(part, INT8):
        pairs = zip(part.weight.unbind(), part.scale.unbind(), strict=True)
        return [SimpleNamespace(weight=weight, scale=scale, spare=part.spare) for weight, scale in pairs]
    return [SimpleNamespace(weight=weight) for weight in part.weight.unbind()]


def _dense(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.layout == torch.strided


def _whole(tensor: torch.Tensor, shape: tuple[int, ...], kind: torch.dtype = torch.float32) -> bool:
    """Return whether the tensor holds numbers of this kind and shape on the CPU, without gaps and with memory for all
    numbers."""
    if tensor.shape != shape or tensor.dtype != kind or not _dense(tensor) or not tensor.is_contiguous():
        return False
    return tensor.untyped_storage().nbytes() >= kind.itemsize * (tensor.storage_offset() + tensor.numel())


def _other(name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> ModelError:
    kind = str(tensor.dtype).removeprefix("torch.")
    return ModelError(
        f"native steps cannot read '{name}': it is {kind} of shape {tuple(tensor.shape)} on {tensor.device}, and the "
        f"model's config needs contiguous float32 of {shape}",
        "generate without them",
    )


def _grouped(weight: torch.Tensor) -> torch.Tensor:
    """Return int8 weights (rows, columns) in the order in which native.cpp reads them, (rows / 8, columns / 2, 8,
    2)."""
    rows, columns = weight.shape
    weight = F.pad(weight, (0, columns % 2, 0, -rows % 8))
    return weight.view(-(-rows // 8), 8, -1, 2).transpose(1, 2).contiguous()


def _panels(weight: torch.Tensor) -> torch.Tensor:
    """Return float32 weights (rows, columns) in bf16 and in the order in which native_bf16.h reads them, (rows / 16,
    columns / 2, 16, 2)."""
    rows, columns = weight.shape
    weight = F.pad(weight.detach().bfloat16(), (0, -columns % 32, 0, -rows % 32))
    return weight.view(len(weight) // 16, 16, -1, 2).transpose(1, 2).contiguous()


def _half_of(model: Model) -> int:
    """Return the instructions of bf16 products by native_bf16.h's number. Raises ConfigError where there are none."""
    if any(isinstance(module, INT8) for module in model.modules()):
        raise ConfigError(
            "the weights are int8, and native steps cannot read them in bf16", "load the model without int8"
        )
    if bf16_by() is None:
        raise ConfigError("this machine has no instructions for products in bf16", "generate in fp32")
    return BF16_INSTRUCTIONS.index(bf16_by())


def _pointer(tensor: torch.Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
