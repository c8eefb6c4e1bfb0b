"""From a source: the base of objectives whose encoder reads a source, and whose decoder generates a text of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch

from lilliput.base.errors import ConfigError
from lilliput.model.source import Source
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.figure import VAL_LOSS
from lilliput.objectives.objective import Family, Objective, ObjectiveConfig, Prompt
from lilliput.objectives.reader import Reader
from lilliput.objectives.workshop import HeldOut, Texts

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


class FromSource(Objective):
    """A batch is sources (R, S) with `source_lengths` (R,), and the decoder's tokens, targets and weights (R, T).
    `sizes` (R, T) are the UTF-8 bytes of text that each target stands for."""

    def loss(self, batch: Batch) -> Loss:
        hidden = self.view(batch.tokens, source=Source(batch.sources, batch.source_lengths))
        return Loss(self.view.loss(hidden, batch.targets, batch.weights))

    def reported(self, loss: float) -> dict[str, float]:
        return {self.config.figure.training: loss / math.log(2) / self.workshop.bytes_per_target}

    def samples(self, prompts: Sequence[str], generate: Texts) -> list[str]:
        return [f"{prompt}\n\n{text}" for prompt, text in zip(prompts, generate(prompts), strict=True)]

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Return nats a target, bits for each byte of the text that the targets stand for, and the share of the targets
        that the model ranks first, given the right ones before them."""
        nats = in_text = size = right = count = 0.0
        for batch in held.batches(self):
            with self.measuring():
                hidden = self.model(batch.tokens, source=Source(batch.sources, batch.source_lengths))
                logits = self.model.logits(hidden)
                losses = torch.nn.functional.cross_entropy(
                    logits.flatten(0, 1), batch.targets.flatten(), reduction="none"
                )
                losses = losses.view(batch.targets.shape) * batch.weights
                nats += float(losses.sum())
                in_text += float((losses * (batch.sizes > 0)).sum())
                right += float(((logits.argmax(-1) == batch.targets) * batch.weights).sum())
            size, count = size + float(batch.sizes.sum()), count + float(batch.weights.sum())
        return {
            VAL_LOSS: nats / max(count, 1.0),
            self.config.figure.validation: in_text / math.log(2) / max(size, 1.0),
            f"{self.config.figure.validation.split('_bits')[0]}_accuracy": right / max(count, 1.0),
        }


class FromSourceConfig(ObjectiveConfig):
    """The base of their configs. A prompt is a source, and the generated text stands alone."""

    generates: ClassVar[bool] = True
    reads_source: ClassVar[bool] = True
    trains: ClassVar[tuple[Family, ...]] = ("encoder-decoder",)

    def source(self, tokenizer: Tokenizer, text: str) -> list[int]:
        """Return the ids that the encoder reads for a text, between the marks of a text's beginning and end."""
        return [*tokenizer.beginning, *tokenizer.encode(text), tokenizer.eos_id]

    def prompt(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Prompt:
        if ending is not None:
            raise ConfigError(
                "this model reads a source and generates a text of its own: it cannot lead to a given ending",
                'give the source as the prompt: lilliput generate RUN "..."',
            )
        return Prompt([tokenizer.pad_id], source=self.source(tokenizer, opening or ""))

    def text_of(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        return tokenizer.decode(ids)

    def reader(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Reader:
        return Reader(tokenizer, continuing=False)
