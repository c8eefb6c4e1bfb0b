"""Tiny untrained models with a tokenizer, sharp enough to prefer some tokens to others."""

import pytest
import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation import loading
from lilliput.model.config import resolve
from lilliput.model.transformer import Model

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(autouse=True)
def plain_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's steps: these tests need no compiler, and do not wait for one."""
    monkeypatch.setattr(loading, "why_not", lambda model: "it is left out in tests")


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["One day Tom saw a ball. hello there, Tell tales."] * 9, TokenizerConfig(vocab_size=300))


@pytest.fixture(scope="session")
def model(tokenizer: Tokenizer) -> Model:
    shape = {"d_model": 32, "n_layers": 2, "n_heads": 4, "context_length": 96}
    built = Model(resolve("story_1m", **shape, vocab_size=tokenizer.vocab_size))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=generator)
    return built.eval()
