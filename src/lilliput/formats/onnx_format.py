"""ONNX, the graphs of onnxruntime and what is built on it, written through torch.onnx: every model, for any length."""

from __future__ import annotations

import logging
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lilliput.base.console import python
from lilliput.base.errors import ExportError, MissingExtra
from lilliput.base.files import write_text
from lilliput.data.beginning import marked
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.format import FORMATS, Content, Format, Logits
from lilliput.formats.source import Source
from lilliput.model.plain import hooked

if TYPE_CHECKING:
    from lilliput.model.transformer import Model

INPUT, OUTPUT = "input_ids", "logits"


class _Logits(torch.nn.Module):
    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids (B, T) int64 -> (B, T, vocab_size) float32."""
        return self.model.logits(self.model(ids))


@FORMATS.add("onnx")
class Onnx(Format):
    """One graph: `input_ids` (batch, length) int64 -> `logits` (batch, length, vocab_size) float32, both sizes free up
    to the context, without a cache. The tokenizer lies beside it as NAME-tokenizer.json. Weights above 2 GB are in a
    file of their own beside it, as ONNX has it."""

    what = "ONNX: .onnx for onnxruntime, which is only written"
    suffix = ".onnx"
    types = ("f32",)
    train = "lilliput train story --name NEW"

    def recognises(self, file: Path) -> bool:
        return file.suffix == ".onnx"

    def read(self, file: Path) -> Content:
        raise ExportError(
            f"{file} is an ONNX graph, which is only written here", "import the folder that it was exported from"
        )

    def reopened(self, file: Path) -> tuple[Logits, Tokenizer | None]:
        session = _package("onnxruntime").InferenceSession(file, providers=["CPUExecutionProvider"])

        def logits(tokens: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(session.run([OUTPUT], {INPUT: tokens.numpy()})[0])

        return logits, Tokenizer.load(_tokenizer_beside(file))

    def refuses(self, model: Model) -> list[str]:
        # The graph is traced from the model's own code, whatever its config and modules, and compared when it is read
        # back. A hook is no part of that code: it may also look at what exists only while tracing.
        length = model.config.context_length
        return hooked(model) + (
            [f"context_length={length} (a length that is free needs 3 at least)"] if length < 3 else []
        )

    def write(self, source: Source, file: Path, kind: str) -> list[Path]:
        for name in ("onnx", "onnxscript", "onnxruntime"):
            _package(name)
        model, dim = _Logits(source.model).eval(), torch.export.Dim
        context = source.model.config.context_length
        # Traced at sizes that are neither 0 nor 1, which torch would take for fixed.
        ids = torch.zeros(2, min(context - 1, 8), dtype=torch.int64, device=source.model.embed.weight.device)
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                model,
                (ids,),
                dynamo=True,
                dynamic_shapes=({0: dim("batch"), 1: dim("length", max=context)},),
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
            assert program is not None, "torch.onnx gives the program where no file is named"
            program.save(str(file))
        beside, weights = _tokenizer_beside(file), file.with_name(f"{file.name}.data")
        tokenizer = source.tokenizer
        mark = (tokenizer.token(tokenizer.bos_id), tokenizer.bos_id) if tokenizer.begins else None
        write_text(beside, marked(tokenizer.content, mark))
        return [file, beside, *([weights] if weights.is_file() else [])]

    def notes(self, source: Source) -> list[str]:
        length = source.model.config.context_length
        return [f"at most {length} tokens at once; there is no cache, so each token takes the whole text again"]

    def use(self, files: list[Path], kind: str) -> str:
        program = (
            "import numpy, onnxruntime, tokenizers; "
            f"words = tokenizers.Tokenizer.from_file({str(files[1])!r}); "
            f"run = onnxruntime.InferenceSession({str(files[0])!r}).run; "
            "ids = words.encode('Once').ids; "
            f"[ids.append(int(run(None, {{'{INPUT}': numpy.array([ids])}})[0][0, -1].argmax())) for _ in range(20)]; "
            "print(words.decode(ids))"
        )
        return f"{python()} -c {shlex.quote(program)}"


def _package(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise MissingExtra(name, "onnx", "ONNX") from None


def _tokenizer_beside(file: Path) -> Path:
    return file.with_name(f"{file.name.removesuffix('.onnx')}-tokenizer.json")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's words about packages of its own that are missing and functions of its own that are old."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
