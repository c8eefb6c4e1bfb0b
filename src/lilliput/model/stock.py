"""A stock class of Hugging Face as data: what parts it has, how config.json says them, how tensors are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lilliput.base.config import validate
from lilliput.base.errors import ModelError
from lilliput.model.config import ModelConfig
from lilliput.model.places import Places

_MAY_BE_ABSENT = {"n_kv_heads", "d_head", "dropout", "tied_embeddings", "bias", "window"}
_SAME_ACTIVATION = {"gelu_pytorch_tanh": "gelu_new"}
_BUFFERS = (".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias")
"""Tensors that older versions of transformers saved although they can be computed."""


@dataclass(frozen=True, slots=True)
class Stock:
    """One class.

    architecture, model_type   its names in config.json
    parts                      our fields that it can only have with these values
    activations                our MLPs to its names for them, said under `activation_key`
    names                      its tensors by ours
    keys                       its config keys to our fields
    fixed                      its config keys that have one value for us
    base                       prefix of its tensors, which folders of the class without a head leave out
    always_biased              it has biases whether or not we do: zeros are written
    even                       it needs as many key heads as heads, and heads that fill d_model
    aliases                    other names for its tensors
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

    def misfits(self, config: ModelConfig) -> list[str]:
        """What of `config` this class cannot compute, in words; empty when it computes exactly that."""
        allowed = {**self.parts, "mlp": tuple(self.activations)}
        found = [
            f"{name}={getattr(config, name)} (needs {' or '.join(str(value) for value in values)})"
            for name, values in allowed.items()
            if getattr(config, name) not in values
        ]
        if self.even and config.n_kv_heads != config.n_heads:
            found.append(f"n_kv_heads={config.n_kv_heads} (needs n_heads={config.n_heads})")
        if self.even and config.n_heads * config.d_head != config.d_model:
            found.append(f"n_heads x d_head = {config.n_heads * config.d_head} (needs d_model={config.d_model})")
        if self.model_type == "llama" and config.d_model % config.n_heads:
            found.append(f"d_model={config.d_model} (needs a multiple of n_heads={config.n_heads})")
        return found

    def settings(self, config: ModelConfig) -> dict[str, Any]:
        """The keys of config.json that say what `config` is, in the words of newer and of older transformers."""
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
            settings["max_window_layers"] = 0 if windowed else config.n_layers
            settings["layer_types"] = ["sliding_attention" if windowed else "full_attention"] * config.n_layers
        return settings

    def read(self, raw: Mapping[str, Any], where: str) -> ModelConfig:
        """The config that a config.json of this class describes. Raises ModelError for what we have no part for."""
        for key, value in self.fixed.items():
            _require(raw.get(key, value) == value, where, key, raw.get(key), value)
        values: dict[str, Any] = {name: allowed[0] for name, allowed in self.parts.items()}
        values |= {"tied_embeddings": self.tied_by_default, "bias": self.always_biased, "init": "normal"}
        for theirs, ours in self.keys.items():
            if raw.get(theirs) is not None:
                values[ours] = raw[theirs]
            elif ours not in _MAY_BE_ABSENT and theirs != "n_inner":
                raise ModelError(f"{where} lacks the key '{theirs}'")
        if "mlp_bias" in self.keys:
            attention, mlp = bool(raw.get("attention_bias")), bool(raw.get("mlp_bias"))
            _require(attention == mlp, where, "mlp_bias", mlp, f"attention_bias={attention} in both")
        default = next(iter(self.activations.values()))
        given = raw.get(self.activation_key) or default
        ours_of = {theirs: ours for ours, theirs in self.activations.items()}
        activation = _SAME_ACTIVATION.get(given, given)
        _require(activation in ours_of, where, self.activation_key, given, " or ".join(ours_of))
        values["mlp"] = ours_of.get(activation)
        return validate(ModelConfig, values | self._read_positions(raw, where), where)

    def _read_positions(self, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Rotary settings in the words of any version of transformers, GPT-NeoX's residual and Qwen3's window."""
        values: dict[str, Any] = {}
        rope, scaling = raw.get("rope_parameters") or {}, raw.get("rope_scaling") or {}
        kind = rope.get("rope_type") or scaling.get("rope_type") or scaling.get("type") or "default"
        _require(kind == "default", where, "rope_type", kind, "default")
        values["rope_theta"] = rope.get("rope_theta", raw.get("rope_theta", raw.get("rotary_emb_base", 10_000.0)))
        if self.model_type == "gpt_neox":
            values["rotary_fraction"] = rope.get("partial_rotary_factor", raw.get("rotary_pct", 0.25))
            values["residual"] = "parallel" if raw.get("use_parallel_residual", True) else "sequential"
        if self.model_type == "qwen3" and raw.get("use_sliding_window"):
            kinds = sorted(set(raw.get("layer_types") or ["sliding_attention"]))
            _require(kinds == ["sliding_attention"], where, "layer_types", kinds, "sliding_attention throughout")
            values["window"] = raw.get("sliding_window")
        return values

    def known_as(self, name: str, beside: Iterable[str]) -> str:
        """The name in `names` for a tensor called `name` in a file, `beside` being all that it holds."""
        name = self.aliases.get(name, name)
        headless = not any(other.startswith(self.base) for other in beside)
        return self.base + name if headless and not name.startswith(("lm_head.", "embed_out.")) else name

    def ignorable(self, name: str) -> bool:
        """Whether a tensor says nothing: a buffer, or the head of a model whose embeddings are tied."""
        return name.endswith(_BUFFERS) or name in self.names["unembed.weight"].names


def _require(true: bool, where: str, key: str, given: Any, needed: Any) -> None:
    if not true:
        raise ModelError(f"{where} has {key}={given}, which no part of ours computes; supported: {needed}")
