"""Tensors on disk: safetensors files, whole or in shards with an index. The same tensors always give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lilliput.base.errors import FileError, ModelError
from lilliput.base.reading import read_object

FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def write_tensors(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write model.safetensors: tensors of any shape. Tensors that share memory are written separately."""
    own = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    save_file(own, folder / FILE, metadata={"format": "pt"})


def tensor_shapes(folder: Path) -> dict[str, tuple[Path, tuple[int, ...]]]:
    """Every tensor's file and shape, from the headers alone. Raises ModelError for files missing or damaged."""
    found = {}
    for file in _files(folder):
        try:
            with safe_open(file, framework="pt") as opened:
                for name in sorted(opened.keys()):
                    found[name] = (file, tuple(opened.get_slice(name).get_shape()))
        except (SafetensorError, OSError, MemoryError) as error:
            raise ModelError(f"{file} cannot be read ({error})", "take the file from its source again") from None
    return found


def stored_bytes(found: Mapping[str, tuple[Path, tuple[int, ...]]]) -> int:
    """Bytes of the files that hold the tensors."""
    return sum(file.stat().st_size for file in {file for file, _ in found.values()})


def read_tensors(places: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the named tensors, one after the other, on the CPU and in the shape and dtype of the file."""
    files: dict[Path, list[str]] = {}
    for name, file in places:
        files.setdefault(file, []).append(name)
    for file, names in files.items():
        with safe_open(file, framework="pt") as opened:
            for name in names:
                yield name, opened.get_tensor(name)


def _files(folder: Path) -> list[Path]:
    if (folder / "adapter_config.json").is_file():
        # An adapter is refused even beside weights, because transformers then loads the adapter with the model that it
        # names.
        raise ModelError(
            f"{folder} holds an adapter (adapter_config.json), which has to be merged first",
            f"lilliput import {folder} NAME",
        )
    if (folder / FILE).is_file():
        return [folder / FILE]
    if (folder / INDEX).is_file():
        shards = _shards(folder / INDEX)
        missing = [name for name in shards if not (folder / name).is_file()]
        if missing:
            raise ModelError(
                f"{folder} lacks {len(missing)} of the {len(shards)} files that {INDEX} names, first {missing[0]}"
            )
        return [folder / name for name in shards]
    if pickled := sorted(path.name for path in folder.glob("*pytorch_model*.bin*")):
        raise ModelError(
            f"{folder} holds pickled weights ({pickled[0]}), which are never loaded: a pickle can run code",
            "write it again as safetensors with transformers: "
            f"AutoModelForCausalLM.from_pretrained('{folder}').save_pretrained('{folder}-safe')",
        )
    raise ModelError(f"{folder} has neither {FILE} nor {INDEX}")


def _shards(index: Path) -> list[str]:
    """The files that an index names: plain names, so that a downloaded folder cannot name a file outside itself."""
    try:
        places = read_object(index).get("weight_map")
    except FileError as error:
        raise ModelError(error.message) from None
    if not isinstance(places, dict):
        raise ModelError(f"{index} is damaged: it has no 'weight_map' of tensors")
    outside = [name for name in places.values() if not isinstance(name, str) or Path(name).name != name or "\0" in name]
    if outside:
        raise ModelError(f"{index} names {outside[0]!r}, which is no plain file name of its own folder")
    return sorted(set(places.values()))
