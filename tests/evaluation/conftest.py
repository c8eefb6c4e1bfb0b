"""A split of token arrays in memory, with the parts of `data.dataset.Split` that evaluation reads; a tiny model with
its tokenizer, in memory and as a Hugging Face folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.config import resolve
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal


class ArraySplit:
    def __init__(
        self,
        documents: list[list[int]],
        text_bytes: int = 1,
        names: list[str] | None = None,
        learn: list[list[int]] | None = None,
    ):
        self.learn = None if learn is None else [np.array(mask, dtype=bool) for mask in learn]
        self._documents = [np.array(ids, dtype=np.uint16) for ids in documents]
        self.stream = self
        self._names = names or [f"document {i}" for i in range(len(documents))]
        self.documents = len(documents)
        self.tokens = sum(map(len, documents))
        self.text_bytes = text_bytes

    def document(self, i: int) -> np.ndarray:
        return self._documents[i]

    def document_learn(self, i: int) -> np.ndarray | None:
        return None if self.learn is None else self.learn[i]

    def learned_bytes(self, token_bytes: np.ndarray) -> int:
        return self.text_bytes

    def blocks(self) -> list[np.ndarray]:
        return self._documents

    def document_id(self, i: int) -> str:
        return self._names[i]


@pytest.fixture
def split() -> Callable[..., Any]:
    return ArraySplit


@pytest.fixture
def model() -> Model:
    """50 ids, 16 positions, dropout, in training mode; sharp enough to depend on its whole context."""
    shape = {"d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 50, "context_length": 16, "dropout": 0.2}
    built = Model(resolve("story_1m", **shape))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=generator)
    return built.train()


@dataclass
class Tiny:
    model: Model
    tokenizer: Tokenizer
    folder: Path

    @property
    def generator(self) -> TextGenerator:
        return TextGenerator(self.model, self.tokenizer, Causal())


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A model of 96 positions with random weights large enough to have opinions, and a tokenizer of 300 ids."""
    words = "the cat sat on a mat and saw one dog; Question: Answer: yes no true false red blue kite ball"
    tokenizer = Tokenizer.train([words] * 20, TokenizerConfig(vocab_size=300))
    shape = {"d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": tokenizer.vocab_size, "context_length": 96}
    model = Model(resolve("story_1m", **shape))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=generator)
    folder = tmp_path_factory.mktemp("tiny")
    to_huggingface(
        model,
        folder,
        bos_token_id=tokenizer.bos_id,
        eos_token_id=tokenizer.eos_id,
        pad_token_id=tokenizer.pad_id,
    )
    tokenizer.save(folder)
    return Tiny(model.eval(), tokenizer, folder)
