"""A PEFT adapter of the LoRA kind, merged into its model: W + scale B A (arXiv:2106.09685), without peft.

The folder is adapter_config.json and adapter_model.safetensors. Lilliput computes a setting of adapter_config.json as
peft does, or refuses the setting by its name. Unknown settings are refused too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lilliput.base.errors import ModelError
from lilliput.model.config import ModelConfig
from lilliput.model.huggingface import stock_of
from lilliput.model.places import Turned, find, to_ours, to_theirs
from lilliput.model.transformer import Model

CONFIG, FILE, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"

_READ = frozenset({"r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules"})
_INERT = frozenset(
    {"base_model_name_or_path", "revision", "inference_mode", "peft_version", "auto_mapping"}
    | {"lora_dropout", "fan_in_fan_out"}
)
"""Settings that do not change a merged model. For `fan_in_fan_out` peft always uses the layer's own value."""
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM", "SEQ_2_SEQ_LM", None),
    "bias": ("none", None),
    "init_lora_weights": (True, False, None, "gaussian"),  # other values change the adapter's base model
    "megatron_core": ("megatron.core", None),
    "qalora_group_size": (16, None),
}
_SILENT = (None, False, 0, "", [], {})
PREFIX = "base_model.model."
_PARTS = {
    "lora_A.weight": ("A", False),
    "lora_B.weight": ("B", False),
    "lora_embedding_A": ("A", True),
    "lora_embedding_B": ("B", True),
}
"""The endings of an adapter's tensors, each with its matrix (A or B) and whether the module is an embedding."""


@dataclass(slots=True)
class _Pair:
    """The two matrices of one module: A (r, inputs), B (outputs, r); of an embedding A (r, rows), B (width, r)."""

    embedding: bool
    matrices: dict[str, torch.Tensor]


def is_adapter(folder: Path) -> bool:
    """Return whether peft wrote the folder."""
    return (folder / CONFIG).is_file()


def base_name(folder: Path) -> str | None:
    """Return the adapter's base model as adapter_config.json names it; None where it names no model."""
    given = _settings(folder).get("base_model_name_or_path")
    return given if isinstance(given, str) and given else None


def merge(folder: Path, model: Model) -> None:
    """Add the adapter in `folder` to the weights of `model`, which is its base in fp32.

    Raises ModelError, and leaves the model unchanged, for a setting that is not plain LoRA, for missing or unknown
    tensors and tensors of a wrong shape, and for a model without a stock class, because an adapter names the modules of
    a stock class.
    """
    settings = _settings(folder)
    _refuse(settings, folder)
    stock = stock_of(model.config)
    if stock is None:
        raise ModelError(f"{folder} cannot be merged: its base has no stock class, whose modules an adapter names")
    state = model.state_dict()
    theirs = to_theirs(state, stock.names, model.config)
    turned = {name for ours in state for name in _turned(ours, stock.names, model.config)}
    pairs = _pairs(folder, {stock.aliases.get(name, name): name for name in (*stock.aliases, *theirs)})
    _same_modules(folder, settings, pairs, theirs)
    with torch.no_grad():
        for name, pair in pairs.items():
            change = _change(folder, name.removesuffix(".weight"), pair, settings)
            change = change.T if pair.embedding or name in turned else change
            if change.shape != theirs[name].shape:
                raise ModelError(
                    f"{folder}: the adapter of {name} is for {list(change.shape)}, but the base has "
                    f"{list(theirs[name].shape)}",
                    "name the adapter's base model: --base RUN",
                )
            theirs[name] = theirs[name] + change
        model.load_state_dict(to_ours(theirs, state, stock.names, model.config))


def _settings(folder: Path) -> dict[str, Any]:
    where = folder / CONFIG
    try:
        found = json.loads(where.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{where} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise ModelError(f"{where} holds no settings")
    return found


def _refuse(settings: Mapping[str, Any], folder: Path) -> None:
    """Raise ModelError for the first setting that is not plain LoRA, or has a wrong type."""
    where = folder / CONFIG
    for key in sorted(settings.keys() - _READ - _INERT | {"peft_type"}):
        given = settings.get(key)
        known = given in _ALLOWED[key] if key in _ALLOWED else given in _SILENT
        if not known:
            needed = " or ".join(map(str, _ALLOWED[key])) if key in _ALLOWED else "adapters without it"
            raise ModelError(
                f"{where} has {key}={given}, which is not merged here; supported: {needed}",
                "merge it with peft: AutoPeftModelForCausalLM.from_pretrained"
                f"('{folder}').merge_and_unload().save_pretrained('{folder}-merged')",
            )
    ranks, alphas = (settings.get(key) or {} for key in ("rank_pattern", "alpha_pattern"))
    kinds = [
        ("r", _rank(settings.get("r"))),
        ("lora_alpha", isinstance(settings.get("lora_alpha"), int | float)),
        ("target_modules", _expressions(settings.get("target_modules"))),
        ("rank_pattern", _expressions(ranks) and all(map(_rank, ranks.values()))),
        ("alpha_pattern", _expressions(alphas) and all(isinstance(alpha, int | float) for alpha in alphas.values())),
    ]
    for key, fits in kinds:
        if not fits:
            raise ModelError(f"{where}: {key} is missing or of the wrong kind ({settings.get(key)!r})")


def _rank(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _expressions(value: Any) -> bool:
    """Whether the value is a list of names, a regular expression, or a table with regular expressions as keys."""
    if isinstance(value, list):
        return all(isinstance(name, str) for name in value)
    try:
        return isinstance(value, str | dict) and all(
            re.compile(key) for key in ([value] if isinstance(value, str) else value)
        )
    except re.error:
        return False


def _turned(ours: str, table: Any, config: ModelConfig) -> tuple[str, ...]:
    place, names = find(ours, table, config)
    return names if isinstance(place, Turned) else ()


def _pairs(folder: Path, known: Mapping[str, str]) -> dict[str, _Pair]:
    """The matrices of each module, by the name of its weight in the base."""
    pairs: dict[str, _Pair] = {}
    for name, tensor in _tensors(folder).items():
        module, part = _parted(name)
        weight = known.get(f"{module}.weight")
        if not part or weight is None:
            raise ModelError(
                f"{folder / FILE} holds {name}, which is no LoRA matrix of a module of the base"
                + (" (the base ties its head to the embeddings)" if module == "lm_head" else "")
            )
        matrix, embedding = _PARTS[part]
        pairs.setdefault(weight, _Pair(embedding, {})).matrices[matrix] = tensor.float()
    for name, pair in pairs.items():
        if len(pair.matrices) < 2:
            raise ModelError(f"{folder / FILE} has only matrix {next(iter(pair.matrices))} of {name}")
    return pairs


def _parted(name: str) -> tuple[str, str]:
    """The module and the ending of a tensor's name; the ending is empty where it is not known."""
    part = next((part for part in _PARTS if name.endswith(f".{part}")), "")
    if not part or not name.startswith(PREFIX):
        return name, ""
    return name.removeprefix(PREFIX).removesuffix(f".{part}"), part


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    if not (folder / FILE).is_file():
        pickled = (folder / PICKLE).is_file()
        raise ModelError(
            f"{folder} holds a pickled adapter ({PICKLE}), which is never loaded: a pickle can run code"
            if pickled
            else f"{folder} has no {FILE}",
            "write it again with a newer peft: model.save_pretrained(folder)" if pickled else None,
        )
    try:
        return load_file(folder / FILE)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{folder / FILE} cannot be read ({error})", "take the file from its source again") from None


def _same_modules(
    folder: Path, settings: Mapping[str, Any], pairs: Mapping[str, _Pair], theirs: Mapping[str, torch.Tensor]
) -> None:
    """Raise ModelError unless the modules with matrices are exactly the modules that `target_modules` names, and no
    module is tied."""
    modules = {name for name, tensor in theirs.items() if name.endswith(".weight") and tensor.dim() == 2}
    wanted = {name for name in modules if _targeted(name.removesuffix(".weight"), settings["target_modules"])}
    if wanted != pairs.keys():
        odd = min(wanted ^ pairs.keys())
        has = "has no matrices for" if odd in wanted else "has matrices for"
        raise ModelError(
            f"{folder}: target_modules={settings['target_modules']} names {len(wanted)} modules of the base, but "
            f"{FILE} {has} {odd.removesuffix('.weight')} ({len(pairs)} modules in all)"
        )
    tied = not any(name in theirs for name in ("lm_head.weight", "embed_out.weight"))
    embeddings = [name for name, pair in pairs.items() if pair.embedding and "wpe" not in name]
    if tied and embeddings:
        raise ModelError(f"{folder} adapts {embeddings[0]}, which the base ties to its head: merging would change both")


def _targeted(module: str, targets: str | list[str]) -> bool:
    """Return whether peft adapts a module. A list matches the whole name or its end; a single string is a regular
    expression."""
    if isinstance(targets, str):
        return re.fullmatch(targets, module) is not None
    return any(module == target or module.endswith(f".{target}") for target in targets)


def _change(folder: Path, module: str, pair: _Pair, settings: Mapping[str, Any]) -> torch.Tensor:
    """Return scale B A, (outputs, inputs). The scale is alpha / r, or alpha / sqrt(r) with `use_rslora`
    (arXiv:2312.03732)."""
    rank = _by_pattern(settings.get("rank_pattern") or {}, module, settings["r"])
    alpha = _by_pattern(settings.get("alpha_pattern") or {}, module, settings["lora_alpha"])
    a, b = pair.matrices["A"], pair.matrices["B"]
    if a.dim() != 2 or b.dim() != 2 or a.shape[0] != rank or b.shape[1] != rank:
        raise ModelError(
            f"{folder}: the matrices of {module} are {list(a.shape)} and {list(b.shape)}, but {CONFIG} asks for "
            f"rank {rank}"
        )
    return b @ a * (alpha / math.sqrt(rank) if settings.get("use_rslora") else alpha / rank)


def _by_pattern(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """Return the value of the first pattern that equals the module's name or its end, as in peft."""
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module)), default)
