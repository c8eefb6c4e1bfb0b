"""llm.c's GPT-2 checkpoints (.bin), read: a header of 256 int32, then fp32 or bf16 tensors stacked over the layers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lilliput.base.config import validate
from lilliput.base.errors import ExportError
from lilliput.formats.format import FORMATS, Content, Format
from lilliput.formats.nanogpt import NAMES
from lilliput.formats.weights import expected, filled
from lilliput.model.config import ModelConfig

MAGIC, HEADER = 20240326, 256
DTYPES = {3: torch.float32, 5: torch.bfloat16}
"""The dtype of the numbers by the file's version. Both versions pad the vocabulary to a multiple of 128."""

SHAPE = ("context_length", "vocab_size", "n_layers", "n_heads", "d_model")
PARTS: dict[str, Any] = {
    "norm": "layer",
    "position": "learned",
    "mlp": "gelu_tanh",
    "bias": True,
    "qk_norm": False,
    "tied_embeddings": True,
    "init": "scaled",
}
BLOCK = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
"""The parts of a layer in the order of the file. Each part is stored as the weights of all layers, then the biases of
all layers."""


@FORMATS.add("llmc")
class Llmc(Format):
    """The checkpoints of llm.c's train_gpt2: GPT-2 with tanh-GELU and its own vocabulary."""

    what = "llm.c: GPT-2 .bin checkpoints"
    suffix = ".bin"

    def recognises(self, file: Path) -> bool:
        with open(file, "rb") as opened:
            return opened.read(4) == np.int32(MAGIC).tobytes()

    def read(self, file: Path) -> Content:
        header = np.fromfile(file, "<i4", count=HEADER)
        if len(header) < HEADER or int(header[1]) not in DTYPES:
            version = int(header[1]) if len(header) > 1 else None
            raise ExportError(f"{file} is version {version} of llm.c's checkpoints; 3 (fp32) and 5 (bf16) can be read")
        numbers = dict(zip(SHAPE, map(int, header[2:7]), strict=True))
        if min(numbers.values()) < 1:
            raise ExportError(f"{file}: its header has a size of {min(numbers.values())}")
        config = validate(ModelConfig, PARTS | numbers, str(file))
        return Content(filled(config, NAMES, _tensors(file, config, int(header[7]), DTYPES[int(header[1])]), file))


def _tensors(file: Path, config: ModelConfig, padded: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    shapes = expected(config, NAMES, file)
    first, last = (
        ["transformer.wte.weight", "transformer.wpe.weight"],
        ["transformer.ln_f.weight", "transformer.ln_f.bias"],
    )
    stacked = [
        f"transformer.h.{layer}.{part}.{what}"
        for part in BLOCK
        for what in ("weight", "bias")
        for layer in range(config.n_layers)
    ]
    sizes = {name: math.prod(shapes[name]) for name in (*first, *stacked, *last)}
    extra = (padded - config.vocab_size) * config.d_model
    wanted = 4 * HEADER + dtype.itemsize * (sum(sizes.values()) + extra)
    if extra < 0 or file.stat().st_size != wanted:
        raise ExportError(f"{file} has {file.stat().st_size:,} bytes, but its header asks for {wanted:,}")
    raw = np.fromfile(file, "<u2" if dtype == torch.bfloat16 else "<f4", offset=4 * HEADER)
    data, at, tensors = torch.from_numpy(raw).view(dtype), 0, {}
    for name, size in sizes.items():
        tensors[name] = data[at : at + size].view(shapes[name])
        at += size + (extra if name == first[0] else 0)
    return tensors
