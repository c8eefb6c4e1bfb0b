"""The tensors of stock decoders by our names."""

from __future__ import annotations

from lilliput.model.places import ByExpert, ByHead, Split, Turned, places

LLAMA_NAMES = places(
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
MIXTRAL_NAMES = {
    **LLAMA_NAMES,
    **places(
        {
            "blocks.#.mlp.router.weight": f"{_EXPERTS}gate.weight",
            "blocks.#.mlp.gate_up.weight": ByExpert(_EXPERTS + "experts.{expert}.{part}.weight", ("w1", "w3")),
            "blocks.#.mlp.down.weight": ByExpert(_EXPERTS + "experts.{expert}.w2.weight"),
        }
    ),
}
_MLP = "model.layers.#.mlp."
QWEN3_MOE_NAMES = {
    **LLAMA_NAMES,
    **places(
        {
            "blocks.#.mlp.router.weight": f"{_MLP}gate.weight",
            "blocks.#.mlp.gate_up.weight": ByExpert(_MLP + "experts.{expert}.{part}_proj.weight", ("gate", "up")),
            "blocks.#.mlp.down.weight": ByExpert(_MLP + "experts.{expert}.down_proj.weight"),
        }
    ),
}
NEOX_NAMES = places(
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
GPT2_NAMES = places(
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
