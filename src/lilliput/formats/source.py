"""Source: a model as an export takes it: weights, tokenizer, and what its folder says besides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from lilliput.base.reading import inner, read_object, read_text
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.decode import generate
from lilliput.decoding.sampling import SamplingConfig
from lilliput.model.huggingface import OWN, from_huggingface
from lilliput.model.transformer import Model
from lilliput.objectives.known import objective_of


@dataclass(frozen=True, slots=True)
class Source:
    """`direction` is the objective that the model was trained with ("causal" where nothing says so); `chat_template`
    is the Jinja text of a model that chats."""

    model: Model
    tokenizer: Tokenizer
    name: str
    direction: str = "causal"
    chat_template: str | None = None

    @classmethod
    def load(cls, folder: Path, name: str) -> Source:
        """From a stock Hugging Face folder. Raises ModelError or DataError for what cannot be read, and
        ConfigError for a model that generates no text."""
        own = inner(read_object(folder / "config.json"), OWN)
        objective = objective_of(own.get("objective"))
        if objective is not None and not objective.generates:
            raise objective.no_text()
        return cls(
            model=from_huggingface(folder),
            tokenizer=Tokenizer.load(folder),
            name=name,
            direction=str(inner(own, "objective").get("kind", "causal")),
            chat_template=_chat_template(folder),
        )

    def told(self, rows: int = 8, tokens: int = 64) -> torch.Tensor:
        """(rows, T) int64: texts that the model tells from nothing, T at most `tokens` and its context; the same
        every time. What a model says itself is where a difference between two copies of it would matter."""
        length = min(tokens, self.model.config.context_length)
        bos = self.tokenizer.bos_id
        said = generate(self.model, [[bos]], SamplingConfig(n=rows, max_tokens=length))
        return torch.tensor([[bos, *row][:length] for row in said])


def _chat_template(folder: Path) -> str | None:
    """The template beside the tokenizer: a file of its own, or a key of tokenizer_config.json."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return read_text(file)
    settings = folder / "tokenizer_config.json"
    given = read_object(settings).get("chat_template") if settings.is_file() else None
    return given if isinstance(given, str) else None
