"""Derived: config fields that no single key of config.json gives, and what the keys that give them look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lilliput.base.errors import ModelError
from lilliput.model.config import ModelConfig
from lilliput.model.fields import Fields, known

FULL, SLIDING = "full_attention", "sliding_attention"
Keys = Mapping[str, Any]
_ROPE = ("rope_type", "type", "rope_theta", "partial_rotary_factor")
_SCALING = {
    "linear": {"factor": "factor"},
    "llama3": {
        "factor": "factor",
        "low_freq_factor": "low",
        "high_freq_factor": "high",
        "original_max_position_embeddings": "original",
    },
}
"""The kinds of rope_scaling that are read, with their keys and our fields."""


@dataclass(frozen=True, slots=True)
class Derived:
    """Some fields of our config and the keys of config.json that they are computed from.

    fields  our fields, with the values that it writes; None stands for every value
    keys    the keys that `read` examines
    write   the keys of config.json for a config
    read    our fields from a config.json; raises ModelError for what no part of Lilliput computes
    """

    fields: Fields
    keys: str
    write: Callable[[ModelConfig], dict[str, Any]]
    read: Callable[[Keys, str], dict[str, Any]]


def require(true: bool, where: str, key: str, given: Any, needed: Any) -> None:
    """Raise ModelError with the key, its value and the values that are supported, unless `true`."""
    if not true:
        shown = str(given) if len(str(given)) <= 200 else f"{str(given)[:200]}..."
        raise ModelError(f"{where} has {key}={shown}, which no part of Lilliput computes; supported: {needed}")


# ------------------------------------------------------------------ rotary angles


def _angles(config: ModelConfig, theta: float, scaled: bool = True) -> dict[str, Any]:
    """Return a mapping `rope_parameters` with this base, and with the config's scaling if `scaled`."""
    scaling = config.rope_scaling if scaled else None
    if scaling is None:
        return {"rope_type": "default", "rope_theta": theta}
    more = {theirs: getattr(scaling, ours) for theirs, ours in _SCALING[scaling.kind].items()}
    return {"rope_type": scaling.kind, "rope_theta": theta, **more}


def _scaling(words: Any, where: str, key: str) -> dict[str, Any]:
    """Return our rope_scaling from a mapping `rope_parameters` or `rope_scaling`; empty where it stretches nothing."""
    require(isinstance(words, Mapping), where, key, words, "a mapping")
    kind = words.get("rope_type") or words.get("type") or "default"
    require(kind == "default" or kind in _SCALING, where, "rope_type", kind, ", ".join(("default", *_SCALING)))
    names = _SCALING.get(kind, {})
    more = {name: words[name] for name in words if name not in (*_ROPE, *names) and words[name] is not None}
    require(not more, where, key, more, ", ".join((*_ROPE, *names)))
    if kind == "default":
        return {}
    for name in names:
        require(type(words.get(name)) in (int, float), where, f"{key}.{name}", words.get(name), "a number")
    return {"kind": kind, **{ours: words[theirs] for theirs, ours in names.items()}}


def _rope(base: str, share: str, default_share: float) -> Derived:
    """The angles of a class that has one base in all layers, under the key `base`. `share` is the key for the share of
    channels that turn; a class whose default is 1.0 turns all of them."""

    def write(config: ModelConfig) -> dict[str, Any]:
        rope = _angles(config, config.rope_theta)
        settings: dict[str, Any] = {"rope_theta": config.rope_theta, "rope_parameters": rope}
        if config.rope_scaling is not None:
            settings["rope_scaling"] = rope
        if default_share != 1.0:
            rope["partial_rotary_factor"] = config.rotary_fraction
            settings |= {share: config.rotary_fraction, base: config.rope_theta}
        return settings

    def read(raw: Keys, where: str) -> dict[str, Any]:
        given = {key: raw.get(key) or {} for key in ("rope_parameters", "rope_scaling")}
        scaled = [_scaling(words, where, key) for key, words in given.items()]
        rope = given["rope_scaling"] or given["rope_parameters"]
        scaling = scaled[1] or scaled[0]
        theta = rope.get("rope_theta", given["rope_parameters"].get("rope_theta", raw.get(base, 10_000.0)))
        values: dict[str, Any] = {"rope_theta": theta} | ({"rope_scaling": scaling} if scaling else {})
        whole = rope.get("partial_rotary_factor", raw.get(share))
        if default_share == 1.0:
            require(whole in (None, 1, 1.0), where, share, whole, "1.0")
            return values
        return values | {"rotary_fraction": default_share if whole is None else whole}

    fraction = "" if default_share == 1.0 else " rotary_fraction"
    return Derived(known(f"rope_theta rope_scaling{fraction}"), f"{base} {share}", write, read)


ROPE = _rope("rope_theta", "partial_rotary_factor", 1.0)
ROPE_NEOX = _rope("rotary_emb_base", "rotary_pct", 0.25)
ROPE_PHI = _rope("rope_theta", "partial_rotary_factor", 0.5)


def _rope_by_kind(base: str, base_window: str, default: float, scaled: bool) -> Derived:
    """The angles of a class whose layers with a window have a base of their own, under the key `base_window`."""

    def write(config: ModelConfig) -> dict[str, Any]:
        within = config.rope_theta_window or config.rope_theta
        kinds = {FULL: _angles(config, config.rope_theta), SLIDING: _angles(config, within, scaled=False)}
        return {base: config.rope_theta, base_window: within, "rope_parameters": kinds}

    def read(raw: Keys, where: str) -> dict[str, Any]:
        given = raw.get("rope_parameters") or {}
        require(isinstance(given, Mapping), where, "rope_parameters", given, "a mapping")
        require(not set(given) - {FULL, SLIDING}, where, "rope_parameters", sorted(given), f"{FULL} and {SLIDING}")
        full, sliding = (given.get(kind) or {} for kind in (FULL, SLIDING))
        stretched = raw.get("rope_scaling") or {}
        scaling = _scaling(stretched, where, "rope_scaling") or _scaling(full, where, FULL)
        require(not _scaling(sliding, where, SLIDING), where, SLIDING, sliding, "rope_type=default")
        require(scaled or not scaling, where, "rope_scaling", scaling, "none")
        theta = full.get("rope_theta", raw.get(base, default))
        within = sliding.get("rope_theta", raw.get(base_window, 10_000.0))
        values = {"rope_theta": theta} | ({"rope_scaling": scaling} if scaling else {})
        # A base of the window would do nothing in a model without windows.
        return values | ({"rope_theta_window": within} if SLIDING in _kinds(raw) and within != theta else {})

    return Derived(
        known("rope_theta rope_theta_window" + " rope_scaling" * scaled), f"{base} {base_window}", write, read
    )


ROPE_MODERNBERT = _rope_by_kind("global_rope_theta", "local_rope_theta", 160_000.0, scaled=False)
ROPE_GEMMA3 = _rope_by_kind("rope_theta", "rope_local_base_freq", 1_000_000.0, scaled=True)


# ------------------------------------------------------------------ windows


def _kinds(raw: Keys) -> list[str]:
    """Return the kinds of the layers, by `layer_types` or by the older keys of ModernBERT and Gemma 3."""
    kinds, layers = raw.get("layer_types"), int(raw["num_hidden_layers"])
    if kinds is not None:
        return list(kinds)
    if raw.get("model_type") == "modernbert":
        every = int(raw.get("global_attn_every_n_layers", 3))
        return [SLIDING if layer % every else FULL for layer in range(layers)]
    every = int(raw.get("sliding_window_pattern", 6))
    return [SLIDING if (layer + 1) % every else FULL for layer in range(layers)]


def _windowed(kinds: Any, width: int | None, raw: Keys, where: str) -> dict[str, Any]:
    """Return our window and window_layers for layers of these kinds."""
    layers = int(raw["num_hidden_layers"])
    known = isinstance(kinds, list) and all(kind in (FULL, SLIDING) for kind in kinds)
    require(known, where, "layer_types", kinds, f"{FULL} or {SLIDING} for each layer")
    require(len(kinds) == layers, where, "layer_types", kinds, f"one for each of {layers} layers")
    windowed = tuple(layer for layer, kind in enumerate(kinds) if kind == SLIDING)
    require(not windowed or width is not None, where, "layer_types", SLIDING, "use_sliding_window with sliding_window")
    if not windowed:
        return {"window": None}
    return {"window": width, "window_layers": windowed if len(windowed) < layers else None}


def _kinds_of(config: ModelConfig) -> list[str]:
    return [FULL if window is None else SLIDING for window in config.windows]


def _write_window(config: ModelConfig) -> dict[str, Any]:
    kinds, windowed = _kinds_of(config), config.window is not None
    return {
        "use_sliding_window": windowed,
        "sliding_window": config.window,
        "max_window_layers": kinds.index(SLIDING) if windowed else config.n_layers,
        "layer_types": kinds,
    }


def _read_window(raw: Keys, where: str) -> dict[str, Any]:
    """Without `layer_types` the window is that of the layers from `max_window_layers` up. It counts only with
    `use_sliding_window`."""
    layers, width = int(raw["num_hidden_layers"]), raw.get("sliding_window") if raw.get("use_sliding_window") else None
    first = raw.get("max_window_layers", 28) if width is not None else layers
    require(type(first) is int, where, "max_window_layers", first, "a whole number")
    kinds = raw.get("layer_types")
    if kinds is None:
        kinds = [FULL] * min(first, layers) + [SLIDING] * max(0, layers - first)
    return _windowed(kinds, width, raw, where)


WINDOW_QWEN = Derived(
    known("window window_layers"), "use_sliding_window max_window_layers layer_types", _write_window, _read_window
)
WINDOW_GEMMA3 = Derived(
    known("window window_layers"),
    "sliding_window sliding_window_pattern _sliding_window_pattern layer_types",
    lambda config: {"sliding_window": config.window or config.context_length, "layer_types": _kinds_of(config)},
    lambda raw, where: _windowed(_kinds(raw), raw.get("sliding_window", 4096), raw, where),
)
# ModernBERT's layers see local_attention // 2 positions on each side; our window counts the position itself too.
WINDOW_MODERNBERT = Derived(
    known("window window_layers"),
    "local_attention global_attn_every_n_layers layer_types",
    lambda config: {
        "layer_types": _kinds_of(config),
        **({} if config.window is None else {"local_attention": 2 * (config.window - 1)}),
    },
    lambda raw, where: _windowed(_kinds(raw), int(raw.get("local_attention", 128)) // 2 + 1, raw, where),
)


# ------------------------------------------------------------------ others


def _scalar(config: ModelConfig) -> int | float:
    """The number whose root divides the scores."""
    found = config.d_head if config.attention_scale is None else config.attention_scale**-2
    return round(found) if abs(found - round(found)) < 1e-9 * found else found


def _read_scale(raw: Keys, where: str) -> dict[str, Any]:
    scalar = raw.get("query_pre_attn_scalar", 256)
    require(type(scalar) in (int, float) and scalar > 0, where, "query_pre_attn_scalar", scalar, "a number above 0")
    return {"attention_scale": None if scalar == raw.get("head_dim", 256) else scalar**-0.5}


SCALE_GEMMA3 = Derived(
    known("attention_scale"),
    "query_pre_attn_scalar",
    lambda config: {"query_pre_attn_scalar": _scalar(config)},
    _read_scale,
)
RESIDUAL_NEOX = Derived(
    known("", residual=("sequential", "parallel")),
    "use_parallel_residual",
    lambda config: {"use_parallel_residual": config.residual == "parallel"},
    lambda raw, where: {"residual": "parallel" if raw.get("use_parallel_residual", True) else "sequential"},
)
NORM_MODERNBERT = Derived(
    known("", norm=("layer", "layer_unbiased")),
    "norm_bias",
    lambda config: {"norm_bias": config.norm == "layer"},
    lambda raw, where: {"norm": "layer" if raw.get("norm_bias") else "layer_unbiased"},
)


def _biases(attention: str, mlp: str, *others: str) -> Derived:
    """Biases that a class has under several keys, and that have to be there in all or in none."""

    def read(raw: Keys, where: str) -> dict[str, Any]:
        given = bool(raw.get(attention))
        for key in (mlp, *others):
            require(bool(raw.get(key)) == given, where, key, raw.get(key), f"{attention}={given} in all")
        return {"bias": given}

    keys = (attention, mlp, *others)
    return Derived(known("bias"), " ".join(keys), lambda config: dict.fromkeys(keys, config.bias), read)


BIAS_LLAMA = _biases("attention_bias", "mlp_bias")
BIAS_MODERNBERT = _biases("attention_bias", "mlp_bias", "classifier_bias")
