"""GGUF, the files of llama.cpp, through the `gguf` package: Llama, Qwen3, GPT-NeoX and GPT-2, both ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lilliput.base.config import validate
from lilliput.base.errors import ExportError, MissingExtra
from lilliput.base.reading import open_regular
from lilliput.formats import gguf_tokenizer as vocabulary
from lilliput.formats.format import FORMATS, Content, Format
from lilliput.formats.gguf_header import Header, read_header, stored
from lilliput.formats.rotary import Paired
from lilliput.formats.source import Source
from lilliput.formats.weights import check_size, filled
from lilliput.model.biases import absent_biases, with_zero_biases
from lilliput.model.config import ModelConfig
from lilliput.model.fields import known, unknown_fields
from lilliput.model.huggingface import huggingface_class
from lilliput.model.places import Places, Split, SplitExperts, places, their_names, to_theirs
from lilliput.model.plain import KINDS, altered, hooked

if TYPE_CHECKING:
    from gguf import GGUFWriter

    from lilliput.model.transformer import Model

_SHARED = {
    "embed.weight": "token_embd.weight",
    "blocks.#.ln1.weight": "blk.#.attn_norm.weight",
    "blocks.#.attn.out.weight": "blk.#.attn_output.weight",
    "blocks.#.attn.out.bias": "blk.#.attn_output.bias",
    "blocks.#.ln2.weight": "blk.#.ffn_norm.weight",
    "blocks.#.mlp.down.weight": "blk.#.ffn_down.weight",
    "blocks.#.mlp.down.bias": "blk.#.ffn_down.bias",
    "ln_final.weight": "output_norm.weight",
    "unembed.weight": "output.weight",
}
_GATED = {
    "blocks.#.attn.q_norm.weight": "blk.#.attn_q_norm.weight",
    "blocks.#.attn.k_norm.weight": "blk.#.attn_k_norm.weight",
    "blocks.#.mlp.gate_up.weight": Split("blk.#.ffn_{}.weight", ("gate", "up")),
    "blocks.#.mlp.gate_up.bias": Split("blk.#.ffn_{}.bias", ("gate", "up")),
}
_QKV = ("q", "k", "v")
_NAMES_LLAMA = places(
    {
        **_SHARED,
        **_GATED,
        "blocks.#.attn.qkv.weight": Paired("blk.#.attn_{}.weight", _QKV),
        "blocks.#.attn.qkv.bias": Paired("blk.#.attn_{}.bias", _QKV),
    }
)
_NAMES_QWEN3 = places({**_SHARED, **_GATED, "blocks.#.attn.qkv.weight": Split("blk.#.attn_{}.weight", _QKV)})
_EXPERTS = places(
    {
        "blocks.#.mlp.router.weight": "blk.#.ffn_gate_inp.weight",
        "blocks.#.mlp.gate_up.weight": SplitExperts("blk.#.ffn_{}_exps.weight", ("gate", "up")),
        "blocks.#.mlp.down.weight": "blk.#.ffn_down_exps.weight",
    }
)
_NAMES_GPT = places(
    {
        **_SHARED,
        "position.weight": "position_embd.weight",
        "blocks.#.ln1.bias": "blk.#.attn_norm.bias",
        "blocks.#.attn.qkv.weight": "blk.#.attn_qkv.weight",
        "blocks.#.attn.qkv.bias": "blk.#.attn_qkv.bias",
        "blocks.#.ln2.bias": "blk.#.ffn_norm.bias",
        "blocks.#.mlp.up.weight": "blk.#.ffn_up.weight",
        "blocks.#.mlp.up.bias": "blk.#.ffn_up.bias",
        "ln_final.bias": "output_norm.bias",
    }
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture of llama.cpp: the names of its tensors, the key of its epsilon, the config fields that it fixes,
    and whether the file must hold every tensor, biases and head included."""

    names: Places
    epsilon: str
    parts: dict[str, Any] = field(default_factory=dict)
    full: bool = False

    def names_of(self, config: ModelConfig) -> Places:
        """The names of the tensors of a model of this config."""
        return {**self.names, **_EXPERTS} if config.n_experts else self.names


_RMS, _LAYER = "attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"
_PLAIN: dict[str, Any] = {"norm": "layer", "qk_norm": False}
ARCHITECTURES = {
    "llama": Architecture(_NAMES_LLAMA, _RMS, {"qk_norm": False}),
    "qwen3": Architecture(_NAMES_QWEN3, _RMS, {"qk_norm": True, "bias": False}),
    "qwen3moe": Architecture(_NAMES_QWEN3, _RMS, {"qk_norm": True, "bias": False}),
    "gptneox": Architecture(_NAMES_GPT, _LAYER, {**_PLAIN, "mlp": "gelu"}, full=True),
    "gpt2": Architecture(_NAMES_GPT, _LAYER, {**_PLAIN, "mlp": "gelu_tanh", "position": "learned"}, full=True),
}
CLASSES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "MixtralForCausalLM": "llama",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3moe",
    "GPTNeoXForCausalLM": "gptneox",
    "GPT2LMHeadModel": "gpt2",
}
"""The architecture of each stock class that llama.cpp computes. A new class needs one line here, and its tensors."""

FILE_TYPES = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}


FIELDS = known(
    "style d_model n_layers n_heads n_kv_heads d_head d_mlp vocab_size context_length norm norm_eps position "
    "rope_theta rotary_fraction mlp qk_norm window window_layers residual bias dropout tied_embeddings init n_experts "
    "experts_per_token normalize_routes balance_loss router_z_loss"
)
"""The config fields that are written, with the values that `refuses` leaves."""


@FORMATS.add("gguf")
class Gguf(Format):
    """Matrices are stored in the requested type. Norms, biases and learned positions stay fp32, as in llama.cpp's own
    converter. So do matrices whose rows q8_0 cannot divide into blocks of 32."""

    what = "GGUF: .gguf for llama.cpp and all that is built on it"
    suffix = ".gguf"
    types = ("f16", "f32", "q8_0")
    train = "lilliput train story --name NEW"

    def recognises(self, file: Path) -> bool:
        with open(file, "rb") as opened:
            return opened.read(4) == b"GGUF"

    def refuses(self, model: Model) -> list[str]:
        config = model.config
        name, reasons = huggingface_class(config)
        found = [*unknown_fields(config, FIELDS), *altered(model, KINDS), *hooked(model)]
        if name is None:
            found.append("a model without a stock class (" + "; ".join(reasons) + ")")
        elif name not in CLASSES:
            found.append(f"a {name} (needs {', '.join(CLASSES)})")
        if config.window is not None and config.window < config.context_length:
            found.append(f"window={config.window} (llama.cpp would let these classes see the whole context)")
        if config.mlp == "relu2":
            found.append("mlp=relu2 (needs gelu, gelu_tanh, swiglu or experts)")
        if not config.normalize_routes:
            found.append("normalize_routes=false (llama.cpp divides the weights of a token's experts by their sum)")
        return found

    def misfits(self, source: Source, kind: str) -> list[str]:
        return self.refuses(source.model) + vocabulary.misfits(source.tokenizer)

    def write(self, source: Source, file: Path, kind: str) -> list[Path]:
        gguf, config = _package(), source.model.config
        name = CLASSES[str(huggingface_class(config)[0])]
        writer = gguf.GGUFWriter(file, name)
        writer.add_name(source.name)
        writer.add_file_type(gguf.LlamaFileType[FILE_TYPES[kind]])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _describe(writer, config, ARCHITECTURES[name])
        vocabulary.write(writer, source.tokenizer, config.vocab_size)
        for tensor_name, tensor in _tensors(source, ARCHITECTURES[name]).items():
            values = tensor.detach().float().cpu().contiguous().numpy()
            plain = values.ndim == 1 or tensor_name == "position_embd.weight" or "ffn_gate_inp" in tensor_name
            stored = _stored(gguf, kind, values.shape[-1], plain)
            writer.add_tensor(tensor_name, gguf.quantize(values, stored), raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return [file]

    def read(self, file: Path) -> Content:
        gguf = _package()
        header = read_header(file)
        keys = header.keys
        name = keys.get("general.architecture")
        if not isinstance(name, str) or name not in ARCHITECTURES:
            raise ExportError(f"{file} is a '{name}' model", f"architectures that are read: {', '.join(ARCHITECTURES)}")
        tensors = _read_tensors(gguf, header, file)
        config, tensors = _config(keys, tensors, name, file)
        model = filled(config, ARCHITECTURES[name].names_of(config), tensors, file)
        return Content(model, vocabulary.read(keys, file))

    def notes(self, source: Source) -> list[str]:
        # Measured in llama.cpp: docs/studies/exports.md.
        found = []
        if source.model.config.mlp == "gelu":
            found.append("llama.cpp takes GELU's tanh form for this class, where the model has the exact one")
        if vocabulary.normaliser(source.tokenizer) == "NFC":
            found.append("llama.cpp does not apply the tokenizer's normaliser NFC: decomposed letters get other ids")
        return found

    def use(self, files: list[Path], kind: str) -> str:
        return f"llama-server -m {files[0]}"


def _package() -> Any:
    try:
        import gguf
    except ImportError:
        raise MissingExtra("gguf", "export", "GGUF") from None
    return gguf


def _describe(writer: GGUFWriter, config: ModelConfig, architecture: Architecture) -> None:
    """Return the keys that describe the config."""
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.d_mlp)
    if config.n_experts:
        writer.add_expert_count(config.n_experts)
        writer.add_expert_used_count(config.experts_per_token)
        writer.add_expert_feed_forward_length(config.d_mlp)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_key_length(config.d_head)
    writer.add_value_length(config.d_head)
    epsilon: Callable[[float], None] = (
        writer.add_layer_norm_rms_eps if architecture.epsilon == _RMS else writer.add_layer_norm_eps
    )
    epsilon(config.norm_eps)
    if config.position == "rotary":
        writer.add_rope_freq_base(config.rope_theta)
        writer.add_rope_dimension_count(int(config.d_head * config.rotary_fraction))
    if architecture is ARCHITECTURES["gptneox"]:
        writer.add_parallel_residual(config.residual == "parallel")


def _tensors(source: Source, architecture: Architecture) -> dict[str, torch.Tensor]:
    """Return the weights under GGUF's names. Where the file must hold every tensor, zero biases and a separate head are
    added."""
    state = dict(source.model.state_dict())
    if architecture.full:
        state = with_zero_biases(source.model)
        state.setdefault("unembed.weight", source.model.output_matrix)
    return to_theirs(state, architecture.names_of(source.model.config), source.model.config)


def _stored(gguf: Any, kind: str, width: int, plain: bool) -> Any:
    types = gguf.GGMLQuantizationType
    if plain or kind == "f32" or (kind == "q8_0" and width % gguf.GGML_QUANT_SIZES[types.Q8_0][0]):
        return types.F32
    return types.F16 if kind == "f16" else types.Q8_0


def _read_tensors(gguf: Any, header: Header, file: Path) -> dict[str, torch.Tensor]:
    tensors = {}
    with open_regular(file) as opened:
        for name, place in header.tensors.items():
            kind, size = stored(gguf, file, name, place)
            opened.seek(place.start)
            shape = tuple(reversed(place.shape))
            raw = np.frombuffer(opened.read(size), np.uint8).reshape(*shape[:-1], -1)
            try:
                values = gguf.dequantize(raw, kind)
            except NotImplementedError:
                raise ExportError(
                    f"{file} stores {name} as {kind.name}, which the package gguf does not unpack",
                    "get the file in f16 or q8_0",
                ) from None
            tensors[name] = torch.from_numpy(values.astype("f4")).view(shape)
    return tensors


def _config(
    keys: dict[str, Any], tensors: dict[str, torch.Tensor], name: str, file: Path
) -> tuple[ModelConfig, dict[str, torch.Tensor]]:
    """Return the config that keys and tensors describe, and the tensors that the config needs. Zero biases, and a head
    that repeats the embeddings, are left out. A file holds both because llama.cpp requires them."""
    architecture = ARCHITECTURES[name]

    def key(key: str, default: Any = None, kind: type = int) -> Any:
        found = keys.get(f"{name}.{key}", default)
        if found is None:
            raise ExportError(f"{file} lacks the key '{name}.{key}'")
        if kind is int and (type(found) is not int or found < 1):
            raise ExportError(f"{file}: '{name}.{key}' is {str(found)[:60]}, and has to be a whole number from 1")
        if kind is float and (type(found) not in (int, float) or not math.isfinite(found)):
            raise ExportError(f"{file}: '{name}.{key}' is {str(found)[:60]}, and has to be a number")
        return found

    if keys.get(f"{name}.rope.scaling.type", "none") != "none":
        raise ExportError(
            f"{file} scales its rotary angles ({keys[f'{name}.rope.scaling.type']}), which no part of Lilliput does"
        )
    d_model, heads = key("embedding_length"), key("attention.head_count")
    d_head = key("attention.key_length", d_model // heads)
    embedding, head = tensors.get("token_embd.weight"), tensors.get("output.weight")
    tied = head is None or (embedding is not None and torch.equal(head, embedding))
    values: dict[str, Any] = {
        "d_model": d_model,
        "n_layers": key("block_count"),
        "n_heads": heads,
        "n_kv_heads": key("attention.head_count_kv", heads),
        "d_head": d_head,
        "d_mlp": key("feed_forward_length"),
        "vocab_size": len(vocabulary.pieces_of(keys, file)) if embedding is None else len(embedding),
        "context_length": key("context_length"),
        "norm_eps": round(key(architecture.epsilon, kind=float), 12),
        "bias": False,
        "tied_embeddings": tied,
        "init": "normal",
        **architecture.parts,
    }
    if keys.get(f"{name}.expert_count"):
        values |= {"mlp": "experts", "n_experts": key("expert_count"), "experts_per_token": key("expert_used_count")}
        values["d_mlp"] = key("expert_feed_forward_length", values["d_mlp"])
    if values.get("position") != "learned":
        values["rope_theta"] = key("rope.freq_base", 10_000.0, float)
        values["rotary_fraction"] = key("rope.dimension_count", d_head) / d_head
    if name == "gptneox":
        values["residual"] = "parallel" if key("use_parallel_residual", True, bool) else "sequential"
    config = validate(ModelConfig, values, str(file))
    check_size(config, file)
    biases = [n for n in their_names(absent_biases(config), architecture.names_of(config), config) if n in tensors]
    needless = ["output.weight"] if tied else []
    if not any(bool(tensors[n].any()) for n in biases):
        needless += biases
    elif "bias" not in architecture.parts:
        config = config.model_copy(update={"bias": True})
    return config, {n: t for n, t in tensors.items() if n not in needless}
