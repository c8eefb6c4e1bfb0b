"""The stock classes of Hugging Face that Lilliput reads and writes, as data: a line a tensor, a key or a part."""

from __future__ import annotations

from typing import Any

from lilliput.model.places import ByExpert, ByHead, Split, Turned, places
from lilliput.model.stock import Stock

_GATED = {"swiglu": "silu"}
_EXPERT_MLP = {"experts": "silu"}
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
_EXPERTS = "model.layers.#.block_sparse_moe."
_MIXTRAL_NAMES = {
    **_LLAMA_NAMES,
    **places(
        {
            "blocks.#.mlp.router.weight": f"{_EXPERTS}gate.weight",
            "blocks.#.mlp.gate_up.weight": ByExpert(_EXPERTS + "experts.{expert}.{part}.weight", ("w1", "w3")),
            "blocks.#.mlp.down.weight": ByExpert(_EXPERTS + "experts.{expert}.w2.weight"),
        }
    ),
}
_MLP = "model.layers.#.mlp."
_QWEN3_MOE_NAMES = {
    **_LLAMA_NAMES,
    **places(
        {
            "blocks.#.mlp.router.weight": f"{_MLP}gate.weight",
            "blocks.#.mlp.gate_up.weight": ByExpert(_MLP + "experts.{expert}.{part}_proj.weight", ("gate", "up")),
            "blocks.#.mlp.down.weight": ByExpert(_MLP + "experts.{expert}.down_proj.weight"),
        }
    ),
}
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
_EXPERT_PARTS: dict[str, tuple[Any, ...]] = {
    **_LLAMA_PARTS,
    "bias": (False,),
    "d_shared": (0,),
    "balance": ("loss",),
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
        architecture="MixtralForCausalLM",
        classifier="MixtralForSequenceClassification",
        model_type="mixtral",
        parts={**_EXPERT_PARTS, "qk_norm": (False,), "normalize_routes": (True,)},
        activations=_EXPERT_MLP,
        names=_MIXTRAL_NAMES,
        keys={
            **_LLAMA_KEYS,
            "sliding_window": "window",
            "num_local_experts": "n_experts",
            "num_experts_per_tok": "experts_per_token",
            "router_aux_loss_coef": "balance_loss",
        },
        fixed={"router_jitter_noise": 0.0},
        also="router_z_loss",
        absent={"num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2},
        unread="output_router_logits",
    ),
    Stock(
        architecture="Qwen3MoeForCausalLM",
        classifier="Qwen3MoeForSequenceClassification",
        model_type="qwen3_moe",
        parts={**_EXPERT_PARTS, "qk_norm": (True,), "window": (None,)},
        activations=_EXPERT_MLP,
        names=_QWEN3_MOE_NAMES,
        keys={
            **{theirs: ours for theirs, ours in _LLAMA_KEYS.items() if theirs != "intermediate_size"},
            "moe_intermediate_size": "d_mlp",
            "num_experts": "n_experts",
            "num_experts_per_tok": "experts_per_token",
            "norm_topk_prob": "normalize_routes",
            "router_aux_loss_coef": "balance_loss",
        },
        fixed={"attention_bias": False, "decoder_sparse_step": 1, "mlp_only_layers": [], "use_sliding_window": False},
        also="router_z_loss",
        spellings={"num_local_experts": "num_experts"},
        absent={"num_key_value_heads": 4, "num_experts": 128, "num_experts_per_tok": 8, "norm_topk_prob": False},
        unread="intermediate_size output_router_logits",
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
