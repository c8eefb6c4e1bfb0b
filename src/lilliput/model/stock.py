"""A stock class of Hugging Face as data: its parts, the keys of config.json for them, and the names of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lilliput.base.config import validate
from lilliput.base.errors import ModelError
from lilliput.model.config import LARGEST, ModelConfig
from lilliput.model.fields import Fields, known, unknown_fields
from lilliput.model.places import Places
from lilliput.model.stock_derived import Derived, require

_ANY_CLASS = ("style", "init", "rope_theta")
"""The config fields that change no logits of a stock class, and the base of the angles, which only rotary classes
use."""
_MAY_BE_ABSENT = {"n_kv_heads", "d_head", "dropout", "tied_embeddings", "bias", "window", "unembed_bias"}
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
SCORE = "score.weight"
"""The matrix of a head, (outputs, d_model), by our name, and in most classes ...ForSequenceClassification."""
_SCORED = {SCORE: SCORE}
_TAGGED = {SCORE: SCORE, "score.bias": "score.bias"}
CLASSIFIED = {SCORE: "classifier.weight", "score.bias": "classifier.bias"}
"""The linear map of a head in classes that call it `classifier`."""
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
    divides                    it needs a d_model that is a multiple of the number of heads
    even                       it needs as many key heads as heads, and heads that fill d_model
    aliases                    other names for its tensors
    aliases_by_end             other endings of the names of its tensors
    spellings                  other spellings of its config keys, which win where both are given
    same                       its config keys that have the value of another key where config.json lacks them
    absent                     what it takes for its config keys where config.json lacks them; null is another matter
    derived                    its fields that several keys give, or a key in another form
    extra                      beginnings of names of its tensors that are no part of the model itself
    classifier                 the class of the same model with a head of whole documents; None: there is none
    classifier_names           the tensors of that head by ours (see model.heads)
    classifier_pooling         whether config.json names how that head makes one position of a document
    tagger                     the class of the same model with a head of each token; None: there is none
    tagger_names               the tensors of that head by ours
    unread                     its config keys that change nothing in a model of these parts
    check                      further reasons why a config does not fit
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
    divides: bool = False
    even: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    aliases_by_end: Mapping[str, str] = field(default_factory=dict)
    spellings: Mapping[str, str] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, Any] = field(default_factory=dict)
    derived: tuple[Derived, ...] = ()
    extra: tuple[str, ...] = ()
    check: Callable[[ModelConfig], list[str]] = lambda config: []
    also: str = ""
    unread: str = ""
    classifier: str | None = None
    classifier_names: Mapping[str, str] = field(default_factory=lambda: _SCORED)
    classifier_pooling: bool = False
    tagger: str | None = None
    tagger_names: Mapping[str, str] = field(default_factory=lambda: _TAGGED)

    @property
    def fields(self) -> Fields:
        """The config fields that the class computes, each with its values; every other field is refused."""
        keyed = {*self.keys.values(), *self.also.split(), *_ANY_CLASS} | ({"bias"} if self.always_biased else set())
        keyed |= {"n_kv_heads", "d_head"} if self.even else set()
        derived = {name: values for one in self.derived for name, values in one.fields.items()}
        return {**known(" ".join(sorted(keyed))), **derived, **self.parts, "mlp": tuple(self.activations)}

    def misfits(self, config: ModelConfig) -> list[str]:
        """Return the fields of `config` that this class cannot compute, with the values that the class needs; empty
        when it computes exactly this config."""
        found = unknown_fields(config, self.fields)
        if self.even and config.n_kv_heads != config.n_heads:
            found.append(f"n_kv_heads={config.n_kv_heads} (needs n_heads={config.n_heads})")
        if self.even and config.n_heads * config.d_head != config.d_model:
            found.append(f"n_heads x d_head = {config.n_heads * config.d_head} (needs d_model={config.d_model})")
        if self.divides and config.d_model % config.n_heads:
            found.append(f"d_model={config.d_model} (needs a multiple of n_heads={config.n_heads})")
        return found + self.check(config)

    def settings(self, config: ModelConfig) -> dict[str, Any]:
        """The keys of config.json that describe `config`, as newer and as older transformers spell them."""
        settings = {theirs: getattr(config, ours) for theirs, ours in self.keys.items()}
        settings |= {**self.fixed, self.activation_key: self.activations[config.mlp]}
        for derived in self.derived:
            settings |= derived.write(config)
        return settings

    def read(self, raw: Mapping[str, Any], where: str) -> ModelConfig:
        """The config that a config.json of this class describes, with the class's own defaults for missing keys.
        Raises ModelError for a feature for which Lilliput has no part, and for unknown keys."""
        spelled = {key: raw[other] for other, key in self.spellings.items() if other in raw}
        raw = {**self.absent, **{key: value for key, value in raw.items() if key not in self.spellings}, **spelled}
        raw = {**{key: raw[other] for key, other in self.same.items() if other in raw}, **raw}
        fixed = {**({} if self.parts.get("causal") == (False,) else {"is_causal": True}), **self.fixed}
        known = {*self.keys, *fixed, self.activation_key, *self.unread.split()} | _INERT
        known |= {key for derived in self.derived for key in derived.keys.split()}
        for key in sorted(set(raw) - known):
            silent = raw[key] is None or raw[key] is False or raw[key] in ("", 0, [], {})
            require(silent, where, key, raw[key], "configs without it")
        for key, value in fixed.items():
            require(raw.get(key, value) == value, where, key, raw.get(key), value)
        values: dict[str, Any] = {name: allowed[0] for name, allowed in self.parts.items()}
        values |= {"tied_embeddings": self.tied_by_default, "bias": self.always_biased, "init": "normal"}
        for theirs, ours in self.keys.items():
            if raw.get(theirs) is not None:
                _check_size(ours, raw[theirs], where, theirs)
                values[ours] = raw[theirs]
            elif ours not in _MAY_BE_ABSENT and theirs != "n_inner":
                raise ModelError(f"{where} lacks the key '{theirs}'")
        default = next(iter(self.activations.values()))
        given = raw.get(self.activation_key) or default
        ours_of = {theirs: ours for ours, theirs in self.activations.items()}
        activation = given if given in ours_of else _SAME_ACTIVATION.get(str(given), given)
        require(
            isinstance(given, str) and activation in ours_of, where, self.activation_key, given, " or ".join(ours_of)
        )
        values["mlp"] = ours_of.get(activation)
        for derived in self.derived:
            values |= derived.read(raw, where)
        return validate(ModelConfig, values, where)

    def known_as(self, name: str, beside: Iterable[str]) -> str:
        """The name in `names` for a tensor called `name` in a file, `beside` being all that it holds."""
        name = self.aliases.get(name, name)
        for end, ours in self.aliases_by_end.items():
            name = name.removesuffix(end) + ours if name.endswith(end) else name
        headless = not any(other.startswith(self.base) for other in beside)
        outside = any(name in place.names for place in self.names.values())
        return self.base + name if headless and not outside else name

    def ignorable(self, name: str) -> bool:
        """Whether a tensor holds nothing of the model itself: a buffer, the unembedding of a model whose embeddings are
        tied, or a tensor of a head."""
        unembedding = self.names["unembed.weight"].names
        heads = {*self.classifier_names.values(), *self.tagger_names.values()}
        return name in heads or name.endswith(_BUFFERS) or name in unembedding or name.startswith(self.extra or ("\n",))


def _check_size(ours: str, value: Any, where: str, theirs: str) -> None:
    """Return a size, which has to be a whole number from 1 up to its bound. In our config 0 would mean a derived
    size."""
    whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    if ours in LARGEST and not (whole and 1 <= value <= LARGEST[ours]):
        shown = str(value)[:40]
        raise ModelError(f"{where} has {theirs}={shown}, and has to be a whole number from 1 to {LARGEST[ours]:,}")
