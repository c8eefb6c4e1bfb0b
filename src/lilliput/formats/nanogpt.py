"""nanoGPT's checkpoints (ckpt.pt), read: GPT-2's parts with exact GELU, biases or none; characters from meta.pkl."""

from __future__ import annotations

import pickle
import pickletools
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from lilliput.base.config import validate
from lilliput.base.errors import ExportError
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.format import FORMATS, Content, Format
from lilliput.formats.weights import filled
from lilliput.model.config import ModelConfig
from lilliput.model.places import places

NAMES = places(
    {
        "embed.weight": "transformer.wte.weight",
        "position.weight": "transformer.wpe.weight",
        "blocks.#.ln1.weight": "transformer.h.#.ln_1.weight",
        "blocks.#.ln1.bias": "transformer.h.#.ln_1.bias",
        "blocks.#.attn.qkv.weight": "transformer.h.#.attn.c_attn.weight",
        "blocks.#.attn.qkv.bias": "transformer.h.#.attn.c_attn.bias",
        "blocks.#.attn.out.weight": "transformer.h.#.attn.c_proj.weight",
        "blocks.#.attn.out.bias": "transformer.h.#.attn.c_proj.bias",
        "blocks.#.ln2.weight": "transformer.h.#.ln_2.weight",
        "blocks.#.ln2.bias": "transformer.h.#.ln_2.bias",
        "blocks.#.mlp.up.weight": "transformer.h.#.mlp.c_fc.weight",
        "blocks.#.mlp.up.bias": "transformer.h.#.mlp.c_fc.bias",
        "blocks.#.mlp.down.weight": "transformer.h.#.mlp.c_proj.weight",
        "blocks.#.mlp.down.bias": "transformer.h.#.mlp.c_proj.bias",
        "ln_final.weight": "transformer.ln_f.weight",
        "ln_final.bias": "transformer.ln_f.bias",
        "unembed.weight": "lm_head.weight",
    }
)
KEYS = {
    "n_layer": "n_layers",
    "n_head": "n_heads",
    "n_embd": "d_model",
    "block_size": "context_length",
    "vocab_size": "vocab_size",
    "bias": "bias",
    "dropout": "dropout",
}
PARTS: dict[str, Any] = {
    "norm": "layer",
    "position": "learned",
    "mlp": "gelu",
    "qk_norm": False,
    "tied_embeddings": True,
    "init": "scaled",
}
"""The config values of GPT-2's parts. The norms' epsilon is Lilliput's default, 1e-5."""


MADE = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|tensor|parameter)|torch (\w+Storage|Size|device|"
    r"bfloat16|float16|float32|float64|int64|int32|uint8|bool)|torch\.storage UntypedStorage"
)
"""The objects that the pickle of a checkpoint may create, as `module name`."""
CALLS = frozenset(["STACK_GLOBAL", "OBJ", "EXT1", "EXT2", "EXT4"])
"""The instructions of a pickle that name objects in other ways. torch.save never writes these instructions."""


@FORMATS.add("nanogpt")
class NanoGpt(Format):
    """A dictionary with `model_args` and `model` that torch.save wrote. Such a file is a pickle. Lilliput reads it with
    `weights_only`, which builds tensors, numbers and strings and runs no code. A model of characters has its vocabulary
    in meta.pkl."""

    what = "nanoGPT: .pt checkpoints"
    suffix = ".pt"

    def recognises(self, file: Path) -> bool:
        return file.suffix in (".pt", ".pth") and zipfile.is_zipfile(file)

    def read(self, file: Path) -> Content:
        _check_archive(file)
        try:
            saved = torch.load(file, map_location="cpu", weights_only=True)
        # The reader runs the pickle's instructions. Some of them may request an operation that their values do not
        # support.
        except (
            pickle.UnpicklingError,
            RuntimeError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            EOFError,
            AttributeError,
            OSError,
        ) as error:
            first = (str(error) or type(error).__name__).splitlines()[0][:150]
            raise ExportError(
                f"{file} cannot be read without running code in it, which is never done: {first}",
                "save tensors and numbers only: torch.save({'model': ..., 'model_args': ...}, 'ckpt.pt')",
            ) from None
        if not isinstance(saved, dict) or not {"model", "model_args"} <= saved.keys():
            raise ExportError(f"{file} is not a checkpoint of nanoGPT: it has no 'model' and 'model_args'")
        given, weights = saved["model_args"], saved["model"]
        if not isinstance(given, dict) or not _are_tensors(weights):
            raise ExportError(
                f"{file} is not a checkpoint of nanoGPT: its 'model_args' and 'model' are no dictionaries"
            )
        lacking = [key for key in KEYS if key not in given and key != "dropout"]
        if lacking:
            raise ExportError(f"{file}: its model_args lack {', '.join(lacking)}")
        values = PARTS | {ours: given[theirs] for theirs, ours in KEYS.items() if theirs in given}
        config = validate(ModelConfig, values, str(file))
        tensors = {name.removeprefix("_orig_mod."): tensor for name, tensor in weights.items()}
        tensors.pop("lm_head.weight", None)  # the embeddings again
        tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith(".attn.bias")}  # a mask
        if not config.bias:
            # In a nanoGPT model without biases the norms have no biases. Lilliput's norms always have biases.
            norms = [name for name in tensors if name.rpartition(".")[0].endswith(("ln_1", "ln_2", "ln_f"))]
            tensors |= {name.replace("weight", "bias"): torch.zeros_like(tensors[name]) for name in norms}
        return Content(filled(config, NAMES, tensors, file), _vocabulary(file, saved.get("config"), config.vocab_size))


def _check_archive(file: Path) -> None:
    """Raise ExportError, before any object is created, for an archive that unpacks to more bytes than the file holds,
    and for a pickle that would create other objects than dictionaries, numbers, text and plain tensors."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
            if packed or sum(entry.file_size for entry in entries) > file.stat().st_size:
                raise ExportError(f"{file} is compressed, and may unpack to any size; torch.save never compresses")
            pickled = [entry for entry in entries if entry.filename.endswith("data.pkl")]
            if len(pickled) != 1:
                raise ExportError(f"{file} is no checkpoint of PyTorch: it holds {len(pickled)} files data.pkl")
            instructions = archive.read(pickled[0])
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ExportError(f"{file} is not a whole archive: {error}", "copy or download it again") from None
    try:
        made = [
            value for operation, value, _ in pickletools.genops(instructions) if operation.name in ("GLOBAL", "INST")
        ]
        other = [operation.name for operation, _, _ in pickletools.genops(instructions) if operation.name in CALLS]
    except (ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError) as error:
        raise ExportError(f"{file} holds a damaged pickle: {error}") from None
    unknown = sorted({str(name) for name in made if not MADE.fullmatch(str(name))} | set(other))
    if unknown:
        raise ExportError(
            f"{file} cannot be read without running code in it, which is never done: it names {unknown[0][:100]}",
            "save tensors and numbers only: torch.save({'model': ..., 'model_args': ...}, 'ckpt.pt')",
        )


def _are_tensors(weights: Any) -> bool:
    """Whether this is a dictionary of plain tensors by name."""
    return isinstance(weights, dict) and all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided
        for name, tensor in weights.items()
    )


def _vocabulary(file: Path, settings: Any, vocab_size: int) -> Tokenizer | None:
    """Return the characters in a meta.pkl with `vocab_size` characters. The file lies beside the checkpoint, else in
    nanoGPT's folder of data."""
    places = [file.with_name("meta.pkl")]
    data = settings.get("dataset") if isinstance(settings, dict) else None
    if isinstance(data, str) and re.fullmatch(r"\w[\w.-]*", data):
        places.append(file.absolute().parent.parent / "data" / data / "meta.pkl")
    for place in places:
        if place.is_file() and (found := Tokenizer.load(place)).vocab_size == vocab_size:
            return found
    return None
