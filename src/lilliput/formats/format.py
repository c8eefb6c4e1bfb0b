"""Format: one kind of model file, read or written or both. Each format is one file of this package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from lilliput.base.registry import Registry
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.inference import inference
from lilliput.formats.source import Source
from lilliput.model.transformer import Model

Logits = Callable[[torch.Tensor], torch.Tensor]
"""ids (B, T) int64 -> (B, T, vocab_size) float32."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file. `tokenizer` is None where neither the file nor the files beside it hold a tokenizer."""

    model: Model
    tokenizer: Tokenizer | None = None


class Format:
    """The base class of a format. A subclass is registered under the format's name. A format that is only read keeps
    `types` empty and leaves out the methods for writing.

    what    the format in a few words
    suffix  of its files
    types   how numbers can be stored, the default first
    train   the command that trains a model that the format can store
    """

    what: ClassVar[str]
    suffix: ClassVar[str]
    types: ClassVar[tuple[str, ...]] = ()
    train: ClassVar[str] = ""

    def recognises(self, file: Path) -> bool:
        """Whether this is a file of the format, by its first bytes and its size."""
        raise NotImplementedError

    def read(self, file: Path) -> Content:
        """Return the model, in fp32 and eval mode. Raises ExportError for a file that is damaged or needs a part that
        Lilliput lacks."""
        raise NotImplementedError

    def reopened(self, file: Path) -> tuple[Logits, Tokenizer | None]:
        """Return the model that the written file describes, and the tokenizer of the file's reader. The caller compares
        both with the source."""
        content = self.read(file)
        return logits_of(content.model), content.tokenizer

    def adopted(self, tokenizer: Tokenizer) -> Tokenizer:
        """Return the tokenizer in `path`, in the form in which the models of the other program use it."""
        return tokenizer

    def refuses(self, model: Model) -> list[str]:
        """Return the reasons why the format does not compute exactly this model in fp32: config fields, modules and
        tensors that it does not name, and active hooks. Empty when it does."""
        raise NotImplementedError

    def misfits(self, source: Source, kind: str) -> list[str]:
        """Return the parts of the source that the format cannot hold, stored as `kind`: the reasons of `refuses` for
        its model, and misfits of its tokenizer or sizes. Empty when the format can hold the whole source."""
        return self.refuses(source.model)

    def write(self, source: Source, file: Path, kind: str) -> list[Path]:
        """Write the file, and the files that belong to it, in one folder. Returns all of them, the model first."""
        raise NotImplementedError

    def order(self, source: Source) -> torch.Tensor:
        """(vocab_size,) int64: our id of each row of the file's vocabulary."""
        return torch.arange(source.model.config.vocab_size)

    def notes(self, source: Source) -> list[str]:
        """Return the differences in the other program that are not errors."""
        return []

    def use(self, files: list[Path], kind: str) -> str:
        """Return the command that runs the files, stored as `kind`."""
        raise NotImplementedError


def logits_of(model: Model) -> Logits:
    """The model as a function from ids to logits."""

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        with inference(model):
            return model.logits(model(tokens))

    return logits


FORMATS: Registry[type[Format]] = Registry("format", "lilliput.formats")
