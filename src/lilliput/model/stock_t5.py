"""The stock encoder-decoder: T5 (arXiv:1910.10683), of version 1.0 (tied embeddings, ReLU) and 1.1 (untied, GeGLU)."""

from __future__ import annotations

from typing import Any

from lilliput.model.config import ModelConfig
from lilliput.model.fields import known
from lilliput.model.places import Split, places
from lilliput.model.stock import Stock
from lilliput.model.stock_derived import Derived, Keys, require

_GATED = "gated-gelu"


def _stack(ours: str, theirs: str, mlp: int) -> dict[str, Any]:
    """Return the tensors of one stack; `mlp` is the number of the MLP among the parts of a block."""
    block = f"{theirs}.block.#.layer."
    dense = f"{block}{mlp}.DenseReluDense."
    return {
        f"{ours}position.weight": f"{theirs}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        f"{ours}blocks.#.ln1.weight": f"{block}0.layer_norm.weight",
        f"{ours}blocks.#.attn.qkv.weight": Split(block + "0.SelfAttention.{}.weight", ("q", "k", "v")),
        f"{ours}blocks.#.attn.out.weight": f"{block}0.SelfAttention.o.weight",
        f"{ours}blocks.#.ln2.weight": f"{block}{mlp}.layer_norm.weight",
        f"{ours}blocks.#.mlp.up.weight": f"{dense}wi.weight",
        f"{ours}blocks.#.mlp.gate_up.weight": Split(dense + "{}.weight", ("wi_0", "wi_1")),
        f"{ours}blocks.#.mlp.down.weight": f"{dense}wo.weight",
        f"{ours}ln_final.weight": f"{theirs}.final_layer_norm.weight",
    }


_CROSS = "decoder.block.#.layer.1."
_NAMES = places(
    {
        "embed.weight": "shared.weight",
        **_stack("encoder.", "encoder", mlp=1),
        **_stack("", "decoder", mlp=2),
        "blocks.#.ln_cross.weight": f"{_CROSS}layer_norm.weight",
        "blocks.#.cross.q.weight": f"{_CROSS}EncDecAttention.q.weight",
        "blocks.#.cross.kv.weight": Split(_CROSS + "EncDecAttention.{}.weight", ("k", "v")),
        "blocks.#.cross.out.weight": f"{_CROSS}EncDecAttention.o.weight",
        "unembed.weight": "lm_head.weight",
    }
)


def _write_output(config: ModelConfig) -> dict[str, Any]:
    return {"tie_word_embeddings": config.tied_embeddings, "scale_decoder_outputs": config.unembed_scale}


def _read_output(raw: Keys, where: str) -> dict[str, Any]:
    """Versions before 5 of transformers scale where the embeddings are tied. Version 5 has a key for it, and calls all
    embeddings tied: a separate matrix in the file then counts."""
    tied = raw.get("tie_word_embeddings") is not False
    scaled = raw.get("scale_decoder_outputs", tied)
    require(isinstance(scaled, bool), where, "scale_decoder_outputs", scaled, "true or false")
    gated = str(raw.get("feed_forward_proj")).startswith("gated")
    for key, wanted in (("is_gated_act", gated), ("dense_act_fn", "gelu_new" if gated else "relu")):
        require(raw.get(key) in (None, wanted), where, key, raw.get(key), wanted)
    return {"tied_embeddings": tied, "unembed_scale": scaled}


_OUTPUT = Derived(
    known("tied_embeddings unembed_scale"),
    "tie_word_embeddings scale_decoder_outputs is_gated_act dense_act_fn",
    _write_output,
    _read_output,
)


def _misfits(config: ModelConfig) -> list[str]:
    found = [] if config.encoder_layers else ["encoder_layers=0 (needs an encoder)"]
    if config.n_kv_heads != config.n_heads:
        found.append(f"n_kv_heads={config.n_kv_heads} (needs n_heads={config.n_heads})")
    if config.unembed_scale != config.tied_embeddings:
        found.append(f"unembed_scale={config.unembed_scale} (needs tied_embeddings={config.tied_embeddings})")
    return found


T5 = Stock(
    architecture="T5ForConditionalGeneration",
    model_type="t5",
    parts={
        "norm": ("rms",),
        "position": ("buckets",),
        "residual": ("sequential",),
        "qk_norm": (False,),
        "attention_scale": (1.0,),
        "bias": (False,),
    },
    activations={"relu": "relu", "geglu_tanh": _GATED},
    activation_key="feed_forward_proj",
    names=_NAMES,
    keys={
        "d_model": "d_model",
        "d_kv": "d_head",
        "d_ff": "d_mlp",
        "num_layers": "encoder_layers",
        "num_decoder_layers": "n_layers",
        "num_heads": "n_heads",
        "vocab_size": "vocab_size",
        "n_positions": "context_length",
        "relative_attention_num_buckets": "position_buckets",
        "relative_attention_max_distance": "position_distance",
        "layer_norm_epsilon": "norm_eps",
        "dropout_rate": "dropout",
    },
    fixed={"is_encoder_decoder": True, "is_decoder": False},
    derived=(_OUTPUT,),
    base="",
    absent={
        **{"feed_forward_proj": "relu", "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128},
        **{"layer_norm_epsilon": 1e-6, "dropout_rate": 0.1, "n_positions": 512, "d_kv": 64},
    },
    same={"num_decoder_layers": "num_layers"},
    check=_misfits,
    also="rotary_fraction n_kv_heads",
    extra=(
        *("encoder.embed_tokens.", "decoder.embed_tokens."),
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.",
    ),
    unread="initializer_factor",
)
