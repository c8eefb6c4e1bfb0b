"""Stock decoders that are read, trained on and written, although no style of Lilliput begins as one of them."""

from __future__ import annotations

from lilliput.model.places import Split, places
from lilliput.model.stock import Stock
from lilliput.model.stock_derived import ROPE, ROPE_GEMMA3, ROPE_PHI, SCALE_GEMMA3, WINDOW_GEMMA3, WINDOW_QWEN
from lilliput.model.stock_names import LLAMA_NAMES
from lilliput.model.stock_parts import GATED, LLAMA_KEYS, LLAMA_PARTS, NEOX_KEYS, PLAIN

_OUTPUT_NAMES = places(
    {
        "blocks.#.ln1_post.weight": "model.layers.#.post_attention_layernorm.weight",
        "blocks.#.ln2_post.weight": "model.layers.#.post_feedforward_layernorm.weight",
    }
)
_SANDWICH_NAMES = places(
    {
        "blocks.#.ln1.weight": "model.layers.#.input_layernorm.weight",
        "blocks.#.ln2.weight": "model.layers.#.pre_feedforward_layernorm.weight",
    }
)
_PHI_NAMES = places(
    {
        "embed.weight": "model.embed_tokens.weight",
        "blocks.#.ln1.weight": "model.layers.#.input_layernorm.weight",
        "blocks.#.ln1.bias": "model.layers.#.input_layernorm.bias",
        "blocks.#.attn.qkv.weight": Split("model.layers.#.self_attn.{}_proj.weight", ("q", "k", "v")),
        "blocks.#.attn.qkv.bias": Split("model.layers.#.self_attn.{}_proj.bias", ("q", "k", "v")),
        "blocks.#.attn.out.weight": "model.layers.#.self_attn.dense.weight",
        "blocks.#.attn.out.bias": "model.layers.#.self_attn.dense.bias",
        "blocks.#.mlp.up.weight": "model.layers.#.mlp.fc1.weight",
        "blocks.#.mlp.up.bias": "model.layers.#.mlp.fc1.bias",
        "blocks.#.mlp.down.weight": "model.layers.#.mlp.fc2.weight",
        "blocks.#.mlp.down.bias": "model.layers.#.mlp.fc2.bias",
        "ln_final.weight": "model.final_layernorm.weight",
        "ln_final.bias": "model.final_layernorm.bias",
        "unembed.weight": "lm_head.weight",
        "unembed_bias": "lm_head.bias",
    }
)

QWEN2 = Stock(
    architecture="Qwen2ForCausalLM",
    classifier="Qwen2ForSequenceClassification",
    tagger="Qwen2ForTokenClassification",
    model_type="qwen2",
    parts={**LLAMA_PARTS, "qk_norm": (False,), "bias": (False,), "qkv_bias": (True,)},
    activations=GATED,
    names=LLAMA_NAMES,
    keys=LLAMA_KEYS,
    derived=(ROPE, WINDOW_QWEN),
    absent={"num_key_value_heads": 32, "sliding_window": 4096},
)
OLMO2 = Stock(
    architecture="Olmo2ForCausalLM",
    classifier="Olmo2ForSequenceClassification",
    model_type="olmo2",
    parts={
        **LLAMA_PARTS,
        "qk_norm": (True,),
        "qk_norm_over": ("all",),
        "norm_place": ("output",),
        "bias": (False,),
        "window": (None,),
    },
    activations=GATED,
    names={**LLAMA_NAMES, **_OUTPUT_NAMES},
    keys=LLAMA_KEYS,
    fixed={"attention_bias": False},
    derived=(ROPE,),
)
PHI = Stock(
    architecture="PhiForCausalLM",
    classifier="PhiForSequenceClassification",
    tagger="PhiForTokenClassification",
    model_type="phi",
    parts={
        "norm": ("layer",),
        "position": ("rotary",),
        "residual": ("parallel_shared",),
        "qk_norm": (False,),
        "window": (None,),
        "unembed_bias": (True,),
    },
    activations=PLAIN,
    names=_PHI_NAMES,
    keys={
        **{theirs: ours for theirs, ours in NEOX_KEYS.items() if theirs != "hidden_dropout"},
        "num_key_value_heads": "n_kv_heads",
        "head_dim": "d_head",
        "resid_pdrop": "dropout",
        "embd_pdrop": "dropout",
    },
    fixed={"qk_layernorm": False},
    derived=(ROPE_PHI,),
    always_biased=True,
    absent={"hidden_act": "gelu_new"},
)
GEMMA3 = Stock(
    architecture="Gemma3ForCausalLM",
    classifier="Gemma3TextForSequenceClassification",
    model_type="gemma3_text",
    parts={
        **LLAMA_PARTS,
        "norm": ("rms_plus_one",),
        "norm_place": ("sandwich",),
        "embed_scale": (True,),
        "qk_norm": (True,),
        "bias": (False,),
    },
    activations={"geglu_tanh": "gelu_pytorch_tanh"},
    activation_key="hidden_activation",
    names={**LLAMA_NAMES, **_OUTPUT_NAMES, **_SANDWICH_NAMES},
    keys=LLAMA_KEYS,
    fixed={
        "attention_bias": False,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "use_bidirectional_attention": False,
    },
    derived=(ROPE_GEMMA3, WINDOW_GEMMA3, SCALE_GEMMA3),
    absent={"num_key_value_heads": 4, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh"},
    tied_by_default=True,
    divides=True,
)
