"""Stock Hugging Face folders, both ways, without transformers. The maps are data: a line a part, a row a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lilliput.base.config import validate
from lilliput.base.errors import FileError, ModelError
from lilliput.base.files import write_json
from lilliput.base.reading import inner, read_object
from lilliput.model.biases import with_zero_biases
from lilliput.model.config import ModelConfig
from lilliput.model.heads import Head
from lilliput.model.loading import load
from lilliput.model.places import ByHead, Split, Turned, places, to_theirs
from lilliput.model.plain import KINDS, altered, hooked
from lilliput.model.stock import SCORE, Stock
from lilliput.model.stock_heads import head_settings, read_head
from lilliput.model.transformer import Model
from lilliput.model.weights import write_tensors

OWN = "lilliput"
"""The key of config.json that holds our config, and the model_type of a folder that no stock class reads."""
READ_BACK_TOKENS = 8
READ_BACK, READ_BACK_ROUNDED = 1e-4, 0.05
"""The largest difference of logits when a folder is read back, as a share of the largest logit. The first bound is for
a model in fp32 on the CPU, which computes as the folder's reader does. The second bound is for a GPU or another
precision, where products are rounded."""

_GATED = {"swiglu": "silu"}
_PLAIN = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu2": "relu2"}
"""Our MLPs by the name of their activation there."""

_LLAMA_NAMES = places(
    {
        "embed.weight": "model.embed_tokens.weight",
        "blocks.#.ln1.weight": "model.layers.#.input_layernorm.weight",
        "blocks.#.attn.qkv.weight": Split("model.layers.#.self_attn.{}_proj.weight", ("q", "k", "v")),
        "blocks.#.attn.qkv.bias": Split("model.layers.#.self_attn.{}_proj.bias", ("q", "k", "v")),
        "blocks.#.attn.out.weight": "model.layers.#.self_attn.o_proj.weight",
        "blocks.#.attn.out.bias": "model.layers.#.self_attn.o_proj.bias",
        "blocks.#.attn.q_norm.weight": "model.layers.#.self_attn.q_norm.weight",
        "blocks.#.attn.k_norm.weight": "model.layers.#.self_attn.k_norm.weight",
        "blocks.#.ln2.weight": "model.layers.#.post_attention_layernorm.weight",
        "blocks.#.mlp.gate_up.weight": Split("model.layers.#.mlp.{}_proj.weight", ("gate", "up")),
        "blocks.#.mlp.gate_up.bias": Split("model.layers.#.mlp.{}_proj.bias", ("gate", "up")),
        "blocks.#.mlp.down.weight": "model.layers.#.mlp.down_proj.weight",
        "blocks.#.mlp.down.bias": "model.layers.#.mlp.down_proj.bias",
        "ln_final.weight": "model.norm.weight",
        "unembed.weight": "lm_head.weight",
    }
)
_NEOX_NAMES = places(
    {
        "embed.weight": "gpt_neox.embed_in.weight",
        "blocks.#.ln1.weight": "gpt_neox.layers.#.input_layernorm.weight",
        "blocks.#.ln1.bias": "gpt_neox.layers.#.input_layernorm.bias",
        "blocks.#.attn.qkv.weight": ByHead("gpt_neox.layers.#.attention.query_key_value.weight"),
        "blocks.#.attn.qkv.bias": ByHead("gpt_neox.layers.#.attention.query_key_value.bias"),
        "blocks.#.attn.out.weight": "gpt_neox.layers.#.attention.dense.weight",
        "blocks.#.attn.out.bias": "gpt_neox.layers.#.attention.dense.bias",
        "blocks.#.ln2.weight": "gpt_neox.layers.#.post_attention_layernorm.weight",
        "blocks.#.ln2.bias": "gpt_neox.layers.#.post_attention_layernorm.bias",
        "blocks.#.mlp.up.weight": "gpt_neox.layers.#.mlp.dense_h_to_4h.weight",
        "blocks.#.mlp.up.bias": "gpt_neox.layers.#.mlp.dense_h_to_4h.bias",
        "blocks.#.mlp.down.weight": "gpt_neox.layers.#.mlp.dense_4h_to_h.weight",
        "blocks.#.mlp.down.bias": "gpt_neox.layers.#.mlp.dense_4h_to_h.bias",
        "ln_final.weight": "gpt_neox.final_layer_norm.weight",
        "ln_final.bias": "gpt_neox.final_layer_norm.bias",
        "unembed.weight": "embed_out.weight",
    }
)
_GPT2_NAMES = places(
    {
        "embed.weight": "transformer.wte.weight",
        "position.weight": "transformer.wpe.weight",
        "blocks.#.ln1.weight": "transformer.h.#.ln_1.weight",
        "blocks.#.ln1.bias": "transformer.h.#.ln_1.bias",
        "blocks.#.attn.qkv.weight": Turned("transformer.h.#.attn.c_attn.weight"),
        "blocks.#.attn.qkv.bias": "transformer.h.#.attn.c_attn.bias",
        "blocks.#.attn.out.weight": Turned("transformer.h.#.attn.c_proj.weight"),
        "blocks.#.attn.out.bias": "transformer.h.#.attn.c_proj.bias",
        "blocks.#.ln2.weight": "transformer.h.#.ln_2.weight",
        "blocks.#.ln2.bias": "transformer.h.#.ln_2.bias",
        "blocks.#.mlp.up.weight": Turned("transformer.h.#.mlp.c_fc.weight"),
        "blocks.#.mlp.up.bias": "transformer.h.#.mlp.c_fc.bias",
        "blocks.#.mlp.down.weight": Turned("transformer.h.#.mlp.c_proj.weight"),
        "blocks.#.mlp.down.bias": "transformer.h.#.mlp.c_proj.bias",
        "ln_final.weight": "transformer.ln_f.weight",
        "ln_final.bias": "transformer.ln_f.bias",
        "unembed.weight": "lm_head.weight",
    }
)

_LLAMA_KEYS = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "num_key_value_heads": "n_kv_heads",
    "head_dim": "d_head",
    "intermediate_size": "d_mlp",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "norm_eps",
    "attention_dropout": "dropout",
    "tie_word_embeddings": "tied_embeddings",
}
_NEOX_KEYS = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "d_mlp",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "context_length",
    "layer_norm_eps": "norm_eps",
    "attention_dropout": "dropout",
    "hidden_dropout": "dropout",
    "tie_word_embeddings": "tied_embeddings",
}
_GPT2_KEYS = {
    "n_embd": "d_model",
    "n_layer": "n_layers",
    "n_head": "n_heads",
    "n_inner": "d_mlp",
    "vocab_size": "vocab_size",
    "n_positions": "context_length",
    "layer_norm_epsilon": "norm_eps",
    "attn_pdrop": "dropout",
    "resid_pdrop": "dropout",
    "embd_pdrop": "dropout",
    "tie_word_embeddings": "tied_embeddings",
}
_LLAMA_PARTS: dict[str, tuple[Any, ...]] = {
    "norm": ("rms",),
    "position": ("rotary",),
    "residual": ("sequential",),
    "rotary_fraction": (1.0,),
}
_GPT_PARTS: dict[str, tuple[Any, ...]] = {"norm": ("layer",), "qk_norm": (False,), "window": (None,)}

STOCK = (
    Stock(
        architecture="LlamaForCausalLM",
        classifier="LlamaForSequenceClassification",
        model_type="llama",
        parts={**_LLAMA_PARTS, "qk_norm": (False,), "window": (None,)},
        activations=_GATED,
        names=_LLAMA_NAMES,
        keys={**_LLAMA_KEYS, "attention_bias": "bias", "mlp_bias": "bias"},
    ),
    Stock(
        architecture="Qwen3ForCausalLM",
        classifier="Qwen3ForSequenceClassification",
        model_type="qwen3",
        parts={**_LLAMA_PARTS, "qk_norm": (True,), "bias": (False,)},
        activations=_GATED,
        names=_LLAMA_NAMES,
        keys=_LLAMA_KEYS,
        fixed={"attention_bias": False},
        also="window window_layers",
        absent={"head_dim": 128, "num_key_value_heads": 32, "sliding_window": 4096},
    ),
    Stock(
        architecture="MistralForCausalLM",
        classifier="MistralForSequenceClassification",
        model_type="mistral",
        parts={**_LLAMA_PARTS, "qk_norm": (False,), "bias": (False,)},
        activations=_GATED,
        names=_LLAMA_NAMES,
        keys={**_LLAMA_KEYS, "sliding_window": "window"},
        absent={"num_key_value_heads": 8, "sliding_window": 4096},
    ),
    Stock(
        architecture="GPTNeoXForCausalLM",
        classifier="GPTNeoXForSequenceClassification",
        model_type="gpt_neox",
        parts={**_GPT_PARTS, "position": ("rotary",)},
        activations=_PLAIN,
        names=_NEOX_NAMES,
        keys=_NEOX_KEYS,
        fixed={"attention_bias": True},
        also="rotary_fraction residual",
        base="gpt_neox.",
        always_biased=True,
        even=True,
        aliases={"lm_head.weight": "embed_out.weight"},
    ),
    Stock(
        architecture="GPT2LMHeadModel",
        classifier="GPT2ForSequenceClassification",
        model_type="gpt2",
        parts={**_GPT_PARTS, "position": ("learned",), "residual": ("sequential",)},
        activations=_PLAIN,
        activation_key="activation_function",
        names=_GPT2_NAMES,
        keys=_GPT2_KEYS,
        fixed={"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False},
        also="rotary_fraction",
        base="transformer.",
        spellings={
            "hidden_size": "n_embd",
            "max_position_embeddings": "n_positions",
            "num_attention_heads": "n_head",
            "num_hidden_layers": "n_layer",
        },
        absent={"activation_function": "gelu_new"},
        tied_by_default=True,
        always_biased=True,
        even=True,
    ),
)


def huggingface_class(config: ModelConfig) -> tuple[str | None, list[str]]:
    """Return the stock class that computes exactly this config, or None with the misfits of every class."""
    stock = stock_of(config)
    if stock is not None:
        return stock.architecture, []
    return None, [f"{stock.architecture}: {', '.join(stock.misfits(config))}" for stock in STOCK]


def stock_of(config: ModelConfig) -> Stock | None:
    """Return the first stock class that computes exactly this config, or None."""
    return next((stock for stock in STOCK if not stock.misfits(config)), None)


def refuses(model: Model) -> list[str]:
    """Return the reasons why no stock class computes exactly this model: the fields of its config by class, then
    modules and tensors that no class has, and active hooks, which no folder holds. Empty when a class computes the
    model."""
    return [*huggingface_class(model.config)[1], *altered(model, KINDS), *hooked(model)]


def to_huggingface(
    model: Model,
    folder: Path | str,
    *,
    bos_token_id: int | None = None,
    eos_token_id: int | None = None,
    pad_token_id: int | None = None,
    extra: dict[str, Any] | None = None,
    head: Head | None = None,
) -> None:
    """Write config.json, generation_config.json and model.safetensors into `folder`, which is made if need be. With a
    `head` the folder is that of the class ...ForSequenceClassification.

    The same weights give the same bytes. config.json holds our config and `extra` under "lilliput". A config that no
    stock class computes is written under our own names, with the reasons. Only `from_huggingface` reads such a folder.

    Raises ModelError, before anything is written, for a model that differs from a new model of its config: no folder
    can hold a module that was wrapped or replaced; and for a head where the class has none. With active hooks the
    folder is read back, because it cannot hold a hook that changes logits.
    """
    folder = Path(folder)
    if reasons := altered(model):
        raise ModelError(
            f"no folder can hold this model: {'; '.join(reasons)}",
            "merge the added modules into the weights first, or make them parts with a field in ModelConfig",
        )
    config, odd = model.config, altered(model, KINDS)
    stock = None if odd else stock_of(config)
    labels = {} if head is None else head_settings(stock, head)
    folder.mkdir(parents=True, exist_ok=True)
    ids = {"bos_token_id": bos_token_id, "eos_token_id": eos_token_id, "pad_token_id": pad_token_id}
    own = {**(extra or {}), "config": config.model_dump(mode="json")}
    dtype = str(model.embed.weight.dtype).removeprefix("torch.")
    state = model.state_dict()
    if stock is None:
        own["no_stock_class"] = [*huggingface_class(config)[1], *odd]
        described = {"architectures": ["LilliputModel"], "model_type": OWN}
    else:
        described = {"architectures": [stock.architecture], "model_type": stock.model_type, **stock.settings(config)}
        state = to_theirs(with_zero_biases(model) if stock.always_biased else state, stock.names, config)
    if head is not None:
        state[SCORE] = head.score.weight.detach()
    write_tensors(folder, state)
    settings = {**described, **labels, **ids, "use_cache": True, "dtype": dtype}
    write_json(folder / "config.json", {**settings, OWN: own})
    write_json(folder / "generation_config.json", ids)
    if hooked(model):
        read_back(model, folder, head)


def read_back(model: Model, folder: Path, head: Head | None = None) -> None:
    """Read the folder that was written of `model` and `head` and compare: every tensor to the last bit, and the logits
    of a few tokens. Raises ModelError where they differ, or where the folder cannot be read."""
    again, probe = from_huggingface(folder), _probe(model.config)
    ours, theirs = model.state_dict(), again.state_dict()
    if head is not None:
        stored = read_head(folder, model.config)
        ours, theirs = (
            {**ours, SCORE: head.score.weight},
            {**theirs, **({SCORE: stored.score.weight} if stored else {})},
        )
    unlike = [name for name in {**ours, **theirs} if not _same_bits(ours.get(name), theirs.get(name))]
    if unlike:
        raise ModelError(f"{folder}, read back: {len(unlike)} of {len(ours)} tensors differ, first {unlike[0]}")
    logits, expected = _logits(again, probe), _logits(model, probe)
    apart_by, size = float((logits - expected).abs().max()), float(expected.abs().max())
    exact = model.embed.weight.device.type == "cpu" and model.embed.weight.dtype == torch.float32
    if not apart_by <= (READ_BACK if exact else READ_BACK_ROUNDED) * max(1.0, size) and expected.isfinite().all():
        hooks = f"; active: {', '.join(hooked(model))}" if hooked(model) else ""
        raise ModelError(
            f"{folder}, read back, is another model: logits differ by {apart_by:.2g} and reach {size:.2g}{hooks}",
            "before you save the model, remove the hooks that change its results" if hooks else None,
        )


def _same_bits(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Return whether both tensors exist and hold the same float32 numbers, NaN included."""
    if one is None or other is None:
        return False
    a, b = (tensor.detach().float().cpu().contiguous().view(torch.int32) for tensor in (one, other))
    return torch.equal(a, b)


def _probe(config: ModelConfig) -> torch.Tensor:
    """(1, T) int64: a few ids, spread over the vocabulary."""
    length = min(READ_BACK_TOKENS, config.context_length)
    return torch.arange(1, length + 1)[None] * 7919 % config.vocab_size


def _logits(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    """Return logits (1, T, vocab_size) float32 on the CPU, without gradient, dropout and autocast. The model's mode
    does not change."""
    device, modes = model.embed.weight.device, [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            return model.logits(model(tokens.to(device))).float().cpu()
    finally:
        for module, mode in modes:
            module.training = mode


def from_huggingface(folder: Path | str, notify: Callable[[str], None] = lambda text: None) -> Model:
    """Return the model in a folder of a stock class or of our own class, in fp32 and eval mode.

    The reader accepts the folders of `to_huggingface` and of transformers' `save_pretrained`, in any float dtype, in
    one file or in shards. Where the weights contradict config.json, the weights count, and `notify` gets a line. Raises
    ModelError for another class, a feature without a part, damaged files, missing or unknown tensors, and tensors of a
    wrong shape.
    """
    config, stock = read_config(folder)
    return load(Path(folder), config, stock, notify)


def read_config(folder: Path | str) -> tuple[ModelConfig, Stock | None]:
    """The config in the folder's config.json, and its stock class (None: our own). Raises ModelError."""
    where = str(Path(folder) / "config.json")
    try:
        raw = read_object(where)
    except OSError as error:
        raise ModelError(f"cannot read {where}: {error.strerror}", "give a folder in Hugging Face's layout") from None
    except FileError as error:
        raise ModelError(error.message) from None
    own = inner(raw, OWN)
    if raw.get("model_type") == OWN:
        return validate(ModelConfig, own.get("config") or {}, where), None
    stock = next((stock for stock in STOCK if stock.model_type == raw.get("model_type")), None)
    if stock is None:
        raise ModelError(
            f"{where} describes a '{raw.get('model_type')}' model ({_classes(raw)})",
            f"supported: {', '.join(stock.architecture for stock in STOCK)}",
        )
    config = stock.read(raw, where)
    if own.get("config"):
        config = _recalled(config, validate(ModelConfig, own["config"], where), stock)
    return config, stock


def _classes(raw: Mapping[str, Any]) -> str:
    named = raw.get("architectures")
    return ", ".join(map(str, named)) if isinstance(named, list) and named else "?"


def _recalled(read: ModelConfig, ours: ModelConfig, stock: Stock) -> ModelConfig:
    """Return our own config where the stock keys agree with it. Where the stock keys were edited later, their values
    count. A field that no stock key can express keeps our value, because the model would change without it."""
    fields = ModelConfig.model_fields
    silent = {"style", "init", "dropout"} | ({"bias"} if stock.always_biased else set())
    edited = {name for name in fields if name in stock.fields and getattr(read, name) != getattr(ours, name)}
    if not edited - silent:
        return ours
    return read.model_copy(update={name: getattr(ours, name) for name in fields if name not in stock.fields})
