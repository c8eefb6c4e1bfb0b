"""ONNX, the graphs of onnxruntime and of programs that use it. torch.onnx writes every model, for any length."""

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
from lilliput.model.parts import ATTENTIONS
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
    """One graph without a cache: `input_ids` (batch, length) int64 -> `logits` (batch, length, vocab_size) float32.
    Batch and length are free, up to the context. The tokenizer lies beside the graph as NAME-tokenizer.json. Weights
    above 2 GB lie in a separate file beside the graph, because ONNX requires this."""

    what = "ONNX: .onnx for onnxruntime, which is only written"
    suffix = ".onnx"
    types = ("f32",)
    train = "lilliput train story --name NEW"

    def recognises(self, file: Path) -> bool:
        return file.suffix == ".onnx"

    def read(self, file: Path) -> Content:
        raise ExportError(
            f"{file} is an ONNX graph; Lilliput writes this format only", "import the folder that it was exported from"
        )

    def reopened(self, file: Path) -> tuple[Logits, Tokenizer | None]:
        session = _package("onnxruntime").InferenceSession(file, providers=["CPUExecutionProvider"])

        def logits(tokens: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(session.run([OUTPUT], {INPUT: tokens.numpy()})[0])

        return logits, Tokenizer.load(_tokenizer_beside(file))

    def refuses(self, model: Model) -> list[str]:
        # torch traces the graph from the model's own code, for any config and modules. The graph is compared when it is
        # read back. A hook is no part of that code, and it may depend on objects that exist only during tracing.
        config, length = model.config, model.config.context_length
        found = [f"context_length={length} (a length that is free needs 3 at least)"] if length < 3 else []
        if any(ATTENTIONS[kind].state_of(config) for kind in config.attentions):
            found.append(f"attention={config.attention} (its graph would be of one length, and a length is free)")
        if config.encoder_layers:
            found.append(f"encoder_layers={config.encoder_layers} (its graph would read a source as well)")
        return hooked(model) + found

    def write(self, source: Source, file: Path, kind: str) -> list[Path]:
        for name in ("onnx", "onnxscript", "onnxruntime"):
            _package(name)
        model, dim = _Logits(source.model).eval(), torch.export.Dim
        context = source.model.config.context_length
        # The sizes for tracing are neither 0 nor 1, because torch would make such a size a constant.
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
    """Suppress the exporter's warnings about its missing packages and its deprecated functions."""
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
