"""A split of token arrays in memory, with the parts of `data.dataset.Split` that evaluation reads."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lilliput.model.styles import resolve
from lilliput.model.transformer import Model


class ArraySplit:
    def __init__(self, documents: list[list[int]], text_bytes: int = 1, names: list[str] | None = None):
        self._documents = [np.array(ids, dtype=np.uint16) for ids in documents]
        self.stream = self
        self._names = names or [f"document {i}" for i in range(len(documents))]
        self.documents = len(documents)
        self.tokens = sum(map(len, documents))
        self.text_bytes = text_bytes

    def document(self, i: int) -> np.ndarray:
        return self._documents[i]

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
