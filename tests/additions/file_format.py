"""A file format: NumPy's .npz, with the config as JSON beside the tensors."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import torch

from lilliput.base.config import validate
from lilliput.base.errors import ExportError
from lilliput.formats.format import FORMATS, Content, Format
from lilliput.formats.source import Source
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model


@FORMATS.add("npz")
class Npz(Format):
    """One array a tensor, by our names, and the config as the bytes of JSON. It holds any model, and no tokenizer."""

    what = "NumPy: .npz archives"
    suffix = ".npz"
    types = ("f32",)

    def recognises(self, file: Path) -> bool:
        return file.suffix == ".npz" and zipfile.is_zipfile(file)

    def read(self, file: Path) -> Content:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
            config = json.loads(bytes(state.pop("config").numpy()))
            model = Model(validate(ModelConfig, config, str(file)), seed=None)
            model.load_state_dict(state)
        except (KeyError, ValueError, RuntimeError) as error:
            raise ExportError(f"{file} holds no model: {error}", "export it again") from None
        return Content(model.eval())

    def misfits(self, source: Source, kind: str) -> list[str]:
        return []

    def write(self, source: Source, file: Path, kind: str) -> list[Path]:
        config = np.frombuffer(source.model.config.model_dump_json().encode(), np.uint8)
        np.savez(file, config=config, **{name: tensor.numpy() for name, tensor in source.model.state_dict().items()})
        return [file]

    def use(self, files: list[Path], kind: str) -> str:
        return f"lilliput import {files[0]} --tokenizer RUN"
