"""Format: one kind of model file, read or written or both; a format is one file of this package."""

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
    """What a file holds; `tokenizer` is None where the file, and what belongs to it, has none."""

    model: Model
    tokenizer: Tokenizer | None = None


class Format:
    """Subclass and register it. A format that is only read keeps `types` empty and leaves out what writing needs.

    what    the format in a few words
    suffix  of its files
    types   how numbers can be stored, the default first
    train   what to type for a model that the format can say
    """

    what: ClassVar[str]
    suffix: ClassVar[str]
    types: ClassVar[tuple[str, ...]] = ()
    train: ClassVar[str] = ""

    def recognises(self, file: Path) -> bool:
        """Whether this is a file of the format, by its first bytes and its size."""
        raise NotImplementedError

    def read(self, file: Path) -> Content:
        """The model, in fp32 and eval mode. Raises ExportError for a file that is damaged or says what we have no
        part for."""
        raise NotImplementedError

    def reopened(self, file: Path) -> tuple[Logits, Tokenizer | None]:
        """What a written file computes, and the tokenizer that its reader has: what is compared with the source."""
        content = self.read(file)
        return logits_of(content.model), content.tokenizer

    def adopted(self, tokenizer: Tokenizer) -> Tokenizer:
        """A tokenizer that was named for a file of another program, as that program's models use it."""
        return tokenizer

    def refuses(self, model: Model) -> list[str]:
        """Why the format does not compute exactly this model, in fp32: config fields, modules and tensors that it does
        not name, and active hooks. Empty when it does."""
        raise NotImplementedError

    def misfits(self, source: Source, kind: str) -> list[str]:
        """What of the source the format cannot hold, stored as `kind`: what `refuses` has of its model, and what is
        wrong with its tokenizer or sizes. Empty when it can hold all of it."""
        return self.refuses(source.model)

    def write(self, source: Source, file: Path, kind: str) -> list[Path]:
        """Write the file, and others that belong to it beside it; all of them are returned, the model first."""
        raise NotImplementedError

    def order(self, source: Source) -> torch.Tensor:
        """(vocab_size,) int64: our id of each row of the file's vocabulary."""
        return torch.arange(source.model.config.vocab_size)

    def notes(self, source: Source) -> list[str]:
        """What will be different there, and is not an error."""
        return []

    def use(self, files: list[Path], kind: str) -> str:
        """What to type to run the files, stored as `kind`."""
        raise NotImplementedError


def logits_of(model: Model) -> Logits:
    """The model as a function from ids to logits."""

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        with inference(model):
            return model.logits(model(tokens))

    return logits


FORMATS: Registry[type[Format]] = Registry("format", "lilliput.formats")
