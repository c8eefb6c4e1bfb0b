"""Source: the input of an export, which is a model with its weights, its tokenizer and the other settings in its
folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.loading import load_folder
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.known import objective_of
from lilliput.runs.card import Trained, model_card


@dataclass(frozen=True, slots=True)
class Source:
    """`direction` is the objective that the model was trained with ("causal" where no file names it), `asked` the order
    in which it is asked for a middle (ObjectiveConfig.asked)."""

    model: Model
    tokenizer: Tokenizer
    name: str
    direction: str = "causal"
    asked: Literal["psm", "spm"] | None = None

    @classmethod
    def load(cls, folder: Path, name: str) -> Source:
        """Load a stock Hugging Face folder. Raises ModelError or DataError for a folder that cannot be read, and
        ConfigError for a model that generates no text."""
        generator = load_folder(folder, device="cpu", compile=False)
        if not generator.objective.generates:
            raise generator.objective.no_text()
        return cls(
            model=generator.model,
            tokenizer=generator.tokenizer,
            name=name,
            direction=str(generator.objective.kind),
            asked=generator.objective.asked,
        )

    def card(self, trained: Trained | None, repo: str | None = None, licence: str | None = None) -> str:
        """The model card, as in runs/card.py."""
        forwards = self.direction != "reversed"
        objective = objective_of(self.direction)
        source = None if objective is None else objective.example
        names = self.name, self.model, self.tokenizer.kind
        return model_card(*names, forwards, trained, fills=self.asked, source=source, repo=repo, licence=licence)

    def sample_ids(self) -> torch.Tensor:
        """(8, T) int64: texts that the model generates itself, as in TextGenerator.sample_ids, T at most 64."""
        return torch.tensor(TextGenerator(self.model, self.tokenizer, Causal()).sample_ids())
