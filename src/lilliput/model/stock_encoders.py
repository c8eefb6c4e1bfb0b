"""Stock encoders: BERT and ModernBERT, as models of masked tokens, and with heads."""

from __future__ import annotations

from lilliput.model.places import Doubled, Split, places
from lilliput.model.stock import CLASSIFIED, Stock
from lilliput.model.stock_derived import BIAS_MODERNBERT, NORM_MODERNBERT, ROPE_MODERNBERT, WINDOW_MODERNBERT

_LAYER = "bert.encoder.layer.#."
_HEAD = "cls.predictions."
_BERT_NAMES = places(
    {
        "embed.weight": "bert.embeddings.word_embeddings.weight",
        "embed_types.weight": "bert.embeddings.token_type_embeddings.weight",
        "position.weight": "bert.embeddings.position_embeddings.weight",
        "ln_embed.weight": "bert.embeddings.LayerNorm.weight",
        "ln_embed.bias": "bert.embeddings.LayerNorm.bias",
        "blocks.#.attn.qkv.weight": Split(_LAYER + "attention.self.{}.weight", ("query", "key", "value")),
        "blocks.#.attn.qkv.bias": Split(_LAYER + "attention.self.{}.bias", ("query", "key", "value")),
        "blocks.#.attn.out.weight": _LAYER + "attention.output.dense.weight",
        "blocks.#.attn.out.bias": _LAYER + "attention.output.dense.bias",
        "blocks.#.ln1.weight": _LAYER + "attention.output.LayerNorm.weight",
        "blocks.#.ln1.bias": _LAYER + "attention.output.LayerNorm.bias",
        "blocks.#.mlp.up.weight": _LAYER + "intermediate.dense.weight",
        "blocks.#.mlp.up.bias": _LAYER + "intermediate.dense.bias",
        "blocks.#.mlp.down.weight": _LAYER + "output.dense.weight",
        "blocks.#.mlp.down.bias": _LAYER + "output.dense.bias",
        "blocks.#.ln2.weight": _LAYER + "output.LayerNorm.weight",
        "blocks.#.ln2.bias": _LAYER + "output.LayerNorm.bias",
        "head.dense.weight": _HEAD + "transform.dense.weight",
        "head.dense.bias": _HEAD + "transform.dense.bias",
        "head.norm.weight": _HEAD + "transform.LayerNorm.weight",
        "head.norm.bias": _HEAD + "transform.LayerNorm.bias",
        "unembed.weight": _HEAD + "decoder.weight",
        "unembed_bias": Doubled(_HEAD + "bias", _HEAD + "decoder.bias"),
    }
)
_MODERNBERT_NAMES = places(
    {
        "embed.weight": "model.embeddings.tok_embeddings.weight",
        "ln_embed.weight": "model.embeddings.norm.weight",
        "ln_embed.bias": "model.embeddings.norm.bias",
        "blocks.#.ln1.weight": "model.layers.#.attn_norm.weight",
        "blocks.#.ln1.bias": "model.layers.#.attn_norm.bias",
        "blocks.#.attn.qkv.weight": "model.layers.#.attn.Wqkv.weight",
        "blocks.#.attn.qkv.bias": "model.layers.#.attn.Wqkv.bias",
        "blocks.#.attn.out.weight": "model.layers.#.attn.Wo.weight",
        "blocks.#.attn.out.bias": "model.layers.#.attn.Wo.bias",
        "blocks.#.ln2.weight": "model.layers.#.mlp_norm.weight",
        "blocks.#.ln2.bias": "model.layers.#.mlp_norm.bias",
        "blocks.#.mlp.gate_up.weight": "model.layers.#.mlp.Wi.weight",
        "blocks.#.mlp.gate_up.bias": "model.layers.#.mlp.Wi.bias",
        "blocks.#.mlp.down.weight": "model.layers.#.mlp.Wo.weight",
        "blocks.#.mlp.down.bias": "model.layers.#.mlp.Wo.bias",
        "ln_final.weight": "model.final_norm.weight",
        "ln_final.bias": "model.final_norm.bias",
        "head.dense.weight": "head.dense.weight",
        "head.dense.bias": "head.dense.bias",
        "head.norm.weight": "head.norm.weight",
        "head.norm.bias": "head.norm.bias",
        "unembed.weight": "decoder.weight",
        "unembed_bias": "decoder.bias",
    }
)
_KEYS = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "d_mlp",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "context_length",
    "tie_word_embeddings": "tied_embeddings",
}

BERT = Stock(
    architecture="BertForMaskedLM",
    classifier="BertForSequenceClassification",
    classifier_names={
        **CLASSIFIED,
        "pooler.weight": "bert.pooler.dense.weight",
        "pooler.bias": "bert.pooler.dense.bias",
    },
    tagger="BertForTokenClassification",
    tagger_names=CLASSIFIED,
    model_type="bert",
    parts={
        "causal": (False,),
        "norm": ("layer",),
        "norm_place": ("post",),
        "embed_norm": (True,),
        "position": ("learned",),
        "residual": ("sequential",),
        "qk_norm": (False,),
        "window": (None,),
        "head": ("transform",),
        "unembed_bias": (True,),
    },
    activations={"gelu": "gelu"},
    names=_BERT_NAMES,
    keys={
        **_KEYS,
        "type_vocab_size": "token_types",
        "layer_norm_eps": "norm_eps",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "dropout",
    },
    fixed={"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"},
    base="bert.",
    tied_by_default=True,
    always_biased=True,
    even=True,
    aliases_by_end={".LayerNorm.gamma": ".LayerNorm.weight", ".LayerNorm.beta": ".LayerNorm.bias"},
    absent={
        **{"hidden_act": "gelu", "type_vocab_size": 2, "layer_norm_eps": 1e-12, "max_position_embeddings": 512},
        **{"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1},
    },
    also="rotary_fraction",
    extra=("bert.pooler.", "cls.seq_relationship.", "bert.embeddings.position_ids", _HEAD + "decoder.bias"),
)
MODERNBERT = Stock(
    architecture="ModernBertForMaskedLM",
    classifier="ModernBertForSequenceClassification",
    classifier_names=CLASSIFIED,
    classifier_pooling=True,
    tagger="ModernBertForTokenClassification",
    tagger_names=CLASSIFIED,
    model_type="modernbert",
    parts={
        "causal": (False,),
        "norm_place": ("pre",),
        "embed_norm": (True,),
        "position": ("rotary",),
        "rotary_fraction": (1.0,),
        "residual": ("sequential",),
        "qk_norm": (False,),
        "head": ("transform",),
    },
    activations={"geglu": "gelu"},
    activation_key="hidden_activation",
    names=_MODERNBERT_NAMES,
    keys={
        **_KEYS,
        "norm_eps": "norm_eps",
        "attention_dropout": "dropout",
        "embedding_dropout": "dropout",
        "mlp_dropout": "dropout",
        "decoder_bias": "unembed_bias",
    },
    fixed={"classifier_activation": "gelu"},
    derived=(ROPE_MODERNBERT, WINDOW_MODERNBERT, NORM_MODERNBERT, BIAS_MODERNBERT),
    even=True,
    tied_by_default=True,
    absent={"norm_eps": 1e-5, "decoder_bias": True, "hidden_activation": "gelu"},
    unread="classifier_pooling deterministic_flash_attn sparse_prediction sparse_pred_ignore_index "
    "reference_compile repad_logits_with_grad initializer_cutoff_factor",
)
