"""What several stock classes have in common: activations, keys of config.json and parts."""

from __future__ import annotations

from typing import Any

GATED = {"swiglu": "silu"}
EXPERT_MLP = {"experts": "silu"}
PLAIN = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu2": "relu2"}
"""Our MLPs by the name of their activation there."""

LLAMA_KEYS = {
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
NEOX_KEYS = {
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
GPT2_KEYS = {
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

LLAMA_PARTS: dict[str, tuple[Any, ...]] = {
    "norm": ("rms",),
    "position": ("rotary",),
    "residual": ("sequential",),
    "rotary_fraction": (1.0,),
}
EXPERT_PARTS: dict[str, tuple[Any, ...]] = {
    **LLAMA_PARTS,
    "bias": (False,),
    "d_shared": (0,),
    "balance": ("loss",),
}
GPT_PARTS: dict[str, tuple[Any, ...]] = {"norm": ("layer",), "qk_norm": (False,), "window": (None,)}
