"""An adapter that is trained here, as the folder that PEFT writes, and read back; model/adapter.py merges any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lilliput.base.errors import CheckpointError
from lilliput.base.files import write_json
from lilliput.model.adapter import CONFIG, FILE, PREFIX
from lilliput.model.lora import AdapterConfig, LoraLinear, adapted, names_of, pieces_of
from lilliput.model.places import Same, Turned, find
from lilliput.model.transformer import Model


def write_adapter(model: Model, config: AdapterConfig, folder: Path, base: str) -> None:
    """Write adapter_config.json and adapter_model.safetensors (fp32) into `folder`, which is made if need be. `base` is
    the folder of the model that the adapter stands on."""
    folder.mkdir(parents=True, exist_ok=True)
    table, tensors = names_of(model), {}
    for name, module in adapted(model).items():
        place, _ = find(f"{name}.weight", table, model.config)
        for piece, a, b in module.matrices():
            both = {"A": a, "B": _theirs(place, b, model)}
            for matrix, tensor in both.items():
                tensors[_name(piece.theirs, matrix)] = tensor.detach().float().cpu().clone().contiguous()
    save_file(tensors, folder / FILE, metadata={"format": "pt"})
    write_json(folder / CONFIG, _settings(model, config, base))


def read_adapter(model: Model, folder: Path) -> None:
    """Put the matrices of a folder that `write_adapter` wrote into the updates of `model`, bit for bit. Raises
    CheckpointError where the folder cannot be read, or holds matrices of other names or shapes."""
    try:
        tensors = load_file(folder / FILE)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder / FILE} cannot be read: {error}") from None
    table = names_of(model)
    wanted: dict[str, tuple[LoraLinear, torch.Tensor, Same | None]] = {}
    for name, module in adapted(model).items():
        place, _ = find(f"{name}.weight", table, model.config)
        for piece, a, b in module.matrices():
            wanted[_name(piece.theirs, "A")] = (module, a, None)
            wanted[_name(piece.theirs, "B")] = (module, b, place)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes != {name: there.shape for name, (_, there, _) in wanted.items()}:
        raise CheckpointError(f"{folder} holds the matrices of another adapter than this run trains")
    with torch.no_grad():
        for name, (_, there, place) in wanted.items():
            tensor = tensors[name].to(there.device)
            there.copy_(tensor if place is None else _ours(place, tensor, model))


def _theirs(place: Same, b: torch.Tensor, model: Model) -> torch.Tensor:
    """B (rows, rank) with its rows in the stock class's order. A class that stores its matrices transposed keeps the
    orientation of B, and one whose module is a part of our matrix has that part's rows already."""
    return place.out(b, model.config)[0] if len(place.names) == 1 and not isinstance(place, Turned) else b


def _ours(place: Same, b: torch.Tensor, model: Model) -> torch.Tensor:
    return place.back([b], model.config) if len(place.names) == 1 and not isinstance(place, Turned) else b


def _name(module: str, matrix: str) -> str:
    return f"{PREFIX}{module}.lora_{matrix}.weight"


def _settings(model: Model, config: AdapterConfig, base: str) -> dict[str, Any]:
    table = names_of(model)
    turned = any(isinstance(find(f"{name}.weight", table, model.config)[0], Turned) for name in adapted(model))
    whole = config.alpha.is_integer()
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if model.encoder is None else "SEQ_2_SEQ_LM",
        "base_model_name_or_path": base,
        "r": config.rank,
        "lora_alpha": int(config.alpha) if whole else config.alpha,
        "lora_dropout": config.dropout,
        "target_modules": target_modules(model),
        "bias": "none",
        "fan_in_fan_out": turned,
        "inference_mode": True,
        "init_lora_weights": True,
    }


def target_modules(model: Model) -> list[str]:
    """Return the adapted modules as PEFT names them: `q_proj` where every q_proj of the model is adapted, else each
    module by its whole name."""
    every = [piece.theirs for pieces in pieces_of(model).values() for piece in pieces]
    chosen = {piece.theirs for module in adapted(model).values() for piece in module.pieces}
    found = dict.fromkeys(
        leaf if {name for name in every if name.rpartition(".")[2] == leaf} <= chosen else theirs
        for theirs in every
        if theirs in chosen and (leaf := theirs.rpartition(".")[2])
    )
    return list(found)
