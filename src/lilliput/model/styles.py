"""Named styles and sizes as data: one row each. A row gives the fields that differ from ModelConfig's defaults.

llama_*, gpt_*      the same three shapes in two styles; at equal MLP width GPT is smaller, and in a `_matched`
                    row it is as large as LLaMA but for d_model parameters (288, 768, 1024), the least possible
gpt_51m, gpt2_*     GPT-2's parts: learned positions, biases (arXiv and code of GPT-2; nanoGPT)
tinystories_w*_d*   the grid of widths and depths of TinyStories (arXiv:2305.07759), in GPT-2's parts with its 10,000
                    tokens, 512 positions and 16 heads
llama2c_*           the models that llama2.c publishes
pythia_70m ...      shapes known from the literature; the last two are for counting
story_*             our own, sized for a CPU
moe_*               story_1.8m with 8 experts in place of each MLP, of which a token takes 2: of half its width, so that
                    as many parameters act on a token, and of an eighth, so that there are as many in all
bert_*              encoders with BERT's parts (arXiv:1810.04805): norms after the sums, learned positions, two types
modernbert_*        encoders with ModernBERT's parts (arXiv:2412.13663): norms before, rotary, GeGLU; in the large one
                    two of three layers see 64 positions on each side
mixtral_8x7b ...    mixtures of experts known from the literature, for counting
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

_LLAMA: Row = {"qk_norm": False, "init": "normal"}
_GPT: Row = {"norm": "layer", "mlp": "gelu", "qk_norm": False, "init": "scaled"}
_GPT2: Row = {**_GPT, "position": "learned", "mlp": "gelu_tanh", "bias": True, "tied_embeddings": True}
_NEOX: Row = {**_GPT, "rotary_fraction": 0.25, "bias": True, "residual": "parallel"}


def _shape(d_model: int, n_layers: int, n_heads: int, d_mlp: int, vocab_size: int, context_length: int) -> Row:
    return {
        "d_model": d_model,
        "n_layers": n_layers,
        "n_heads": n_heads,
        "d_mlp": d_mlp,
        "vocab_size": vocab_size,
        "context_length": context_length,
    }


_EXPERTS: Row = {"mlp": "experts", "n_experts": 8, "experts_per_token": 2}
_ENCODER: Row = {
    **{"causal": False, "qk_norm": False, "embed_norm": True, "head": "transform", "unembed_bias": True},
    **{"tied_embeddings": True, "init": "normal"},
}
_BERT: Row = {
    **{**_ENCODER, "norm": "layer", "norm_place": "post", "position": "learned", "mlp": "gelu"},
    **{"bias": True, "token_types": 2},
}
_MODERNBERT: Row = {**_ENCODER, "norm": "layer_unbiased", "mlp": "geglu"}
_T5: Row = {
    **{"position": "buckets", "mlp": "geglu_tanh", "qk_norm": False, "attention_scale": 1.0, "norm_eps": 1e-6},
    **{"init": "normal"},
}
_TIED: Row = {"tied_embeddings": True}
_LLAMA3: Row = {**_LLAMA, "n_kv_heads": 8, "rope_theta": 500_000.0}

STYLES: dict[str, Row] = {
    "llama_6L_6H_288D": {**_LLAMA, **_TIED, **_shape(288, 6, 6, 768, 32_000, 1024)},
    "llama_8L_8H_768D": {**_LLAMA, **_TIED, **_shape(768, 8, 8, 3072, 32_000, 1024)},
    "llama_12L_8H_1024D": {**_LLAMA, **_TIED, **_shape(1024, 12, 8, 4096, 32_000, 1024)},
    "gpt_6L_6H_288D": {**_GPT, **_TIED, **_shape(288, 6, 6, 768, 32_000, 1024)},
    "gpt_8L_8H_768D": {**_GPT, **_TIED, **_shape(768, 8, 8, 3072, 32_000, 1024)},
    "gpt_12L_8H_1024D": {**_GPT, **_TIED, **_shape(1024, 12, 8, 4096, 32_000, 1024)},
    "gpt_6L_6H_288D_matched": {**_GPT, **_TIED, **_shape(288, 6, 6, 1151, 32_000, 1024)},
    "gpt_8L_8H_768D_matched": {**_GPT, **_TIED, **_shape(768, 8, 8, 4607, 32_000, 1024)},
    "gpt_12L_8H_1024D_matched": {**_GPT, **_TIED, **_shape(1024, 12, 8, 6143, 32_000, 1024)},
    "gpt_51m": {**_GPT2, **_shape(512, 8, 8, 2048, 50_304, 1024)},
    "gpt2_124m": {**_GPT2, **_shape(768, 12, 12, 3072, 50_257, 1024)},
    "gpt2_350m": {**_GPT2, **_shape(1024, 24, 16, 4096, 50_257, 1024)},
    **{
        f"tinystories_w{width}_d{depth}": {**_GPT2, **_shape(width, depth, 16, 4 * width, 10_000, 512)}
        for width in (64, 128, 256, 512, 768, 1024)
        for depth in (1, 2, 4, 8, 12)
    },
    "llama2c_260k": {**_LLAMA, **_TIED, **_shape(64, 5, 8, 172, 512, 512), "n_kv_heads": 4},
    "llama2c_15m": {**_LLAMA, **_TIED, **_shape(288, 6, 6, 768, 32_000, 256)},
    "llama2c_42m": {**_LLAMA, **_TIED, **_shape(512, 8, 8, 1376, 32_000, 1024)},
    "llama2c_110m": {**_LLAMA, **_TIED, **_shape(768, 12, 12, 2048, 32_000, 1024)},
    "pythia_70m": {**_NEOX, **_shape(512, 6, 8, 2048, 50_304, 2048)},
    "micro_llama_300m": {**_LLAMA, **_shape(1024, 12, 16, 5632, 32_000, 2048), "n_kv_heads": 4},
    "tinyllama_1b": {**_LLAMA, **_shape(2048, 22, 32, 5632, 32_000, 2048), "n_kv_heads": 4},
    "llama3_8b": {**_LLAMA3, **_shape(4096, 32, 32, 14_336, 128_256, 8192)},
    "llama3_70b": {**_LLAMA3, **_shape(8192, 80, 64, 28_672, 128_256, 8192)},
    # Heads and MLP follow from the width, so that `d_model=` alone gives a sound neighbour of any of these.
    # story_2m: 192 x 3 reached 0.59 bits per byte, and 160 x 4 (1.93M) reached 0.71; 614k tokens, one seed each.
    "story_1m": {"d_model": 128, "n_layers": 3, "vocab_size": 2048, "context_length": 256},
    "story_1.8m": {"d_model": 128, "n_layers": 4, "vocab_size": 4096, "context_length": 256},
    "story_2m": {"d_model": 192, "n_layers": 3, "vocab_size": 2048, "context_length": 256},
    "story_3m": {"d_model": 192, "n_layers": 5, "vocab_size": 2048, "context_length": 256},
    "story_5m": {"d_model": 256, "n_layers": 4, "vocab_size": 4096, "context_length": 256},
    "story_7m": {"d_model": 256, "n_layers": 6, "vocab_size": 4096, "context_length": 256},
    "story_10m": {"d_model": 320, "n_layers": 6, "vocab_size": 4096, "context_length": 512},
    "story_15m": {"d_model": 384, "n_layers": 7, "vocab_size": 4096, "context_length": 512},
    "story_20m": {"d_model": 448, "n_layers": 7, "vocab_size": 4096, "context_length": 512},
    "moe_3.5m_a1.9m": {
        **_EXPERTS,
        "d_model": 128,
        "n_layers": 4,
        "d_mlp": 176,
        "vocab_size": 4096,
        "context_length": 256,
    },
    "moe_1.9m_a1.4m": {
        **_EXPERTS,
        "d_model": 128,
        "n_layers": 4,
        "d_mlp": 44,
        "vocab_size": 4096,
        "context_length": 256,
    },
    "mixtral_8x7b": {
        **_LLAMA,
        **_EXPERTS,
        **_shape(4096, 32, 32, 14_336, 32_000, 32_768),
        "n_kv_heads": 8,
        "rope_theta": 1e6,
    },
    "qwen3_30b_a3b": {
        **_shape(2048, 48, 32, 768, 151_936, 40_960),
        **{"n_kv_heads": 4, "d_head": 128, "rope_theta": 1e6, "init": "normal", "norm_eps": 1e-6},
        **{"mlp": "experts", "n_experts": 128, "experts_per_token": 8},
    },
    "bert_1.4m": {**_BERT, **_shape(128, 4, 4, 512, 4096, 256)},
    "modernbert_1.3m": {**_MODERNBERT, **_shape(128, 4, 4, 352, 4096, 256)},
    "bert_base": {**_BERT, **_shape(768, 12, 12, 3072, 30_522, 512), "norm_eps": 1e-12},
    "modernbert_base": {
        **{**_MODERNBERT, **_shape(768, 22, 12, 1152, 50_368, 8192), "window": 65, "rope_theta": 160_000.0},
        **{"window_layers": tuple(layer for layer in range(22) if layer % 3), "rope_theta_window": 10_000.0},
    },
    "t5_2.5m": {**_T5, **_shape(128, 3, 4, 352, 4096, 256), "encoder_layers": 3},
    "t5_small": {**_T5, **_shape(512, 8, 6, 1024, 32_128, 512), "encoder_layers": 8, "d_head": 64},
    "story_30m": {"d_model": 512, "n_layers": 8, "vocab_size": 4096, "context_length": 512},
}
