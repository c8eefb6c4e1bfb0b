"""A stock class of Hugging Face as data: its parts, the keys of config.json for them, and the names of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lilliput.base.config import validate
from lilliput.base.errors import ModelError
from lilliput.model.config import LARGEST, ModelConfig
from lilliput.model.fields import Fields, known, unknown_fields
from lilliput.model.places import Places

_ANY_CLASS = ("style", "init", "rope_theta")
"""The config fields that change no logits of a stock class, and the base of the rotary angles, which `settings`
writes."""
_MAY_BE_ABSENT = {"n_kv_heads", "d_head", "dropout", "tied_embeddings", "bias", "window"}
_INERT_KEYS = """
architectures model_type transformers_version dtype torch_dtype _name_or_path name_or_path lilliput use_cache
initializer_range bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id unk_token_id mask_token_id
decoder_start_token_id forced_bos_token_id forced_eos_token_id bos_token eos_token pad_token tokenizer_class
id2label label2id num_labels problem_type finetuning_task task_specific_params prefix classifier_dropout
summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout
return_dict output_hidden_states output_attentions output_scores return_dict_in_generate chunk_size_feed_forward
torchscript use_bfloat16 tf_legacy_loss gradient_checkpointing attn_implementation _attn_implementation
_attn_implementation_internal _attn_implementation_autoset _commit_hash n_ctx pretraining_tp
reorder_and_upcast_attn is_decoder is_encoder_decoder add_cross_attention layer_types sliding_window
use_sliding_window max_window_layers rope_parameters rope_scaling rope_theta rotary_pct rotary_emb_base
partial_rotary_factor use_parallel_residual tie_encoder_decoder cross_attention_hidden_size
max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p
typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids
num_return_sequences exponential_decay_length_penalty suppress_tokens begin_suppress_tokens remove_invalid_values
"""
_INERT = frozenset(_INERT_KEYS.split())
"""Keys of config.json that change no logits of a decoder, and keys that `read` examines itself."""
_FIXED = {"is_causal": True}
"""Keys that have one value for us in every class."""
SCORE = "score.weight"
"""The matrix of a head in the classes ...ForSequenceClassification, (outputs, d_model)."""
_SAME_ACTIVATION = {"gelu_pytorch_tanh": "gelu_new"}
_BUFFERS = (".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias")
"""Tensors that older versions of transformers saved although they can be computed."""


@dataclass(frozen=True, slots=True)
class Stock:
    """One class.

    architecture, model_type   its names in config.json
    parts                      our fields that it can only have with these values
    activations                our MLPs to its names for them, stored under `activation_key`
    names                      its tensors by ours
    keys                       its config keys to our fields
    fixed                      its config keys that have one value for us
    base                       prefix of its tensors, which folders of the class without a head leave out
    always_biased              it has biases whether or not we do: zeros are written
    even                       it needs as many key heads as heads, and heads that fill d_model
    aliases                    other names for its tensors
    spellings                  other spellings of its config keys, which win where both are given
    absent                     what it takes for its config keys where config.json lacks them; null is another matter
    classifier                 the class of the same model with a head of one linear map; None: there is none
    unread                     its config keys that change nothing in a model of these parts
    also                       our further fields that `settings` writes with any value, or that its parts do not use
    """

    architecture: str
    model_type: str
    parts: Mapping[str, tuple[Any, ...]]
    activations: Mapping[str, str]
    names: Places
    keys: Mapping[str, str]
    activation_key: str = "hidden_act"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    base: str = "model."
    tied_by_default: bool = False
    always_biased: bool = False
    even: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    spellings: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, Any] = field(default_factory=dict)
    also: str = ""
    unread: str = ""
    classifier: str | None = None

    @property
    def fields(self) -> Fields:
        """The config fields that the class computes, each with its values; every other field is refused."""
        keyed = {*self.keys.values(), *self.also.split(), *_ANY_CLASS} | ({"bias"} if self.always_biased else set())
        keyed |= {"n_kv_heads", "d_head"} if self.even else set()
        return {**known(" ".join(sorted(keyed))), **self.parts, "mlp": tuple(self.activations)}

    def misfits(self, config: ModelConfig) -> list[str]:
        """Return the fields of `config` that this class cannot compute, with the values that the class needs; empty
        when it computes exactly this config."""
        found = unknown_fields(config, self.fields)
        if self.even and config.n_kv_heads != config.n_heads:
            found.append(f"n_kv_heads={config.n_kv_heads} (needs n_heads={config.n_heads})")
        if self.even and config.n_heads * config.d_head != config.d_model:
            found.append(f"n_heads x d_head = {config.n_heads * config.d_head} (needs d_model={config.d_model})")
        if config.window_layers is not None and self.model_type != "qwen3":
            found.append(f"window_layers={list(config.window_layers)} (needs the window in all layers)")
        if self.model_type == "llama" and config.d_model % config.n_heads:
            found.append(f"d_model={config.d_model} (needs a multiple of n_heads={config.n_heads})")
        return found

    def settings(self, config: ModelConfig) -> dict[str, Any]:
        """The keys of config.json that describe `config`, as newer and as older transformers spell them."""
        settings = {theirs: getattr(config, ours) for theirs, ours in self.keys.items()}
        settings |= {**self.fixed, self.activation_key: self.activations[config.mlp]}
        if config.position == "rotary":
            rope = {"rope_type": "default", "rope_theta": config.rope_theta}
            if self.model_type == "gpt_neox":
                rope["partial_rotary_factor"] = config.rotary_fraction
                settings |= {"rotary_pct": config.rotary_fraction, "rotary_emb_base": config.rope_theta}
                settings["use_parallel_residual"] = config.residual == "parallel"
            settings |= {"rope_theta": config.rope_theta, "rope_parameters": rope}
        if self.model_type == "qwen3":
            windowed = config.window is not None
            settings |= {"use_sliding_window": windowed, "sliding_window": config.window}
            kinds = ["full_attention" if window is None else "sliding_attention" for window in config.windows]
            settings["max_window_layers"] = kinds.index("sliding_attention") if windowed else config.n_layers
            settings["layer_types"] = kinds
        return settings

    def read(self, raw: Mapping[str, Any], where: str) -> ModelConfig:
        """The config that a config.json of this class describes, with the class's own defaults for missing keys.
        Raises ModelError for a feature for which Lilliput has no part, and for unknown keys."""
        spelled = {key: raw[other] for other, key in self.spellings.items() if other in raw}
        raw = {**self.absent, **{key: value for key, value in raw.items() if key not in self.spellings}, **spelled}
        known = {*self.keys, *self.fixed, *_FIXED, self.activation_key, *self.unread.split()} | _INERT
        for key in sorted(set(raw) - known):
            silent = raw[key] is None or raw[key] is False or raw[key] in ("", 0, [], {})
            _require(silent, where, key, raw[key], "configs without it")
        for key, value in {**_FIXED, **self.fixed}.items():
            _require(raw.get(key, value) == value, where, key, raw.get(key), value)
        values: dict[str, Any] = {name: allowed[0] for name, allowed in self.parts.items()}
        values |= {"tied_embeddings": self.tied_by_default, "bias": self.always_biased, "init": "normal"}
        for theirs, ours in self.keys.items():
            if raw.get(theirs) is not None:
                _check_size(ours, raw[theirs], where, theirs)
                values[ours] = raw[theirs]
            elif ours not in _MAY_BE_ABSENT and theirs != "n_inner":
                raise ModelError(f"{where} lacks the key '{theirs}'")
        if "mlp_bias" in self.keys:
            attention, mlp = bool(raw.get("attention_bias")), bool(raw.get("mlp_bias"))
            _require(attention == mlp, where, "mlp_bias", mlp, f"attention_bias={attention} in both")
        default = next(iter(self.activations.values()))
        given = raw.get(self.activation_key) or default
        ours_of = {theirs: ours for ours, theirs in self.activations.items()}
        activation = _SAME_ACTIVATION.get(str(given), given)
        _require(
            isinstance(given, str) and activation in ours_of, where, self.activation_key, given, " or ".join(ours_of)
        )
        values["mlp"] = ours_of.get(activation)
        return validate(ModelConfig, values | self._read_positions(raw, where), where)

    def _read_positions(self, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return the rotary settings, which versions of transformers write in different ways, GPT-NeoX's residual and
        Qwen3's window."""
        values: dict[str, Any] = {}
        given = {key: raw.get(key) or {} for key in ("rope_parameters", "rope_scaling")}
        for key, words in given.items():
            _require(isinstance(words, Mapping), where, key, words, "a mapping")
            kind = words.get("rope_type") or words.get("type") or "default"
            _require(kind == "default", where, "rope_type", kind, "default")
            more = {name: words[name] for name in words if name not in _ROPE and words[name] is not None}
            _require(not more, where, key, more, ", ".join(_ROPE))
        rope = given["rope_scaling"] or given["rope_parameters"]
        own = "rotary_emb_base" if self.model_type == "gpt_neox" else "rope_theta"
        values["rope_theta"] = rope.get("rope_theta", raw.get(own, 10_000.0))
        if self.model_type == "gpt_neox":
            values["rotary_fraction"] = rope.get("partial_rotary_factor", raw.get("rotary_pct", 0.25))
            values["residual"] = "parallel" if raw.get("use_parallel_residual", True) else "sequential"
        else:
            whole = rope.get("partial_rotary_factor", raw.get("partial_rotary_factor"))
            _require(whole in (None, 1, 1.0), where, "partial_rotary_factor", whole, "1.0")
        return values if "window" in self.parts or "sliding_window" in self.keys else values | _window(raw, where)

    def known_as(self, name: str, beside: Iterable[str]) -> str:
        """The name in `names` for a tensor called `name` in a file, `beside` being all that it holds."""
        name = self.aliases.get(name, name)
        headless = not any(other.startswith(self.base) for other in beside)
        return self.base + name if headless and not name.startswith(("lm_head.", "embed_out.")) else name

    def ignorable(self, name: str) -> bool:
        """Whether a tensor holds nothing of the model itself: a buffer, the unembedding of a model whose embeddings are
        tied, or the matrix of a head."""
        return name == SCORE or name.endswith(_BUFFERS) or name in self.names["unembed.weight"].names


def _window(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Qwen3's window. Without `layer_types` it is that of the layers from `max_window_layers` up, and it counts only
    with `use_sliding_window`."""
    layers, width = int(raw["num_hidden_layers"]), raw.get("sliding_window") if raw.get("use_sliding_window") else None
    first = raw.get("max_window_layers", 28) if width is not None else layers
    _require(type(first) is int, where, "max_window_layers", first, "a whole number")
    kinds = raw.get("layer_types")
    if kinds is None:
        kinds = ["full_attention"] * min(first, layers) + ["sliding_attention"] * max(0, layers - first)
    known = isinstance(kinds, list) and all(kind in ("full_attention", "sliding_attention") for kind in kinds)
    _require(known, where, "layer_types", kinds, "full_attention or sliding_attention for each layer")
    _require(len(kinds) == layers, where, "layer_types", kinds, f"one for each of {layers} layers")
    windowed = tuple(layer for layer, kind in enumerate(kinds) if kind == "sliding_attention")
    _require(
        not windowed or width is not None,
        where,
        "layer_types",
        "sliding_attention",
        "use_sliding_window with sliding_window",
    )
    some = windowed if len(windowed) < layers else None
    return {"window": width, "window_layers": some} if windowed else {"window": None}


def _check_size(ours: str, value: Any, where: str, theirs: str) -> None:
    """Return a size, which has to be a whole number from 1 up to its bound. In our config 0 would mean a derived
    size."""
    whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    if ours in LARGEST and not (whole and 1 <= value <= LARGEST[ours]):
        shown = str(value)[:40]
        raise ModelError(f"{where} has {theirs}={shown}, and has to be a whole number from 1 to {LARGEST[ours]:,}")


_ROPE = ("rope_type", "type", "rope_theta", "partial_rotary_factor")


def _require(true: bool, where: str, key: str, given: Any, needed: Any) -> None:
    if not true:
        shown = str(given) if len(str(given)) <= 200 else f"{str(given)[:200]}..."
        raise ModelError(f"{where} has {key}={shown}, which no part of Lilliput computes; supported: {needed}")
