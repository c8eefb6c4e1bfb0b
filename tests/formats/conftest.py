"""Small models of each family, grown for a second on small texts, so that what they tell is worth comparing."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.decode import generate
from lilliput.decoding.sampling import SamplingConfig
from lilliput.formats.source import Source
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model

SIZE: dict[str, Any] = {"d_model": 64, "n_layers": 2, "n_heads": 4, "d_mlp": 96, "context_length": 48}
GPT: dict[str, Any] = {"norm": "layer", "mlp": "gelu", "qk_norm": False}
EXPERTS = {"mlp": "experts", "n_experts": 4, "d_mlp": 64}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3": ("qwen2", {}),
    "llama": ("sentencepiece", {"qk_norm": False, "n_kv_heads": 2}),
    "llama_tied": ("sentencepiece", {"qk_norm": False, "tied_embeddings": True}),
    "llama_biased": ("llama-bpe", {"qk_norm": False, "bias": True, "n_kv_heads": 1}),
    "llama_bpe": ("qwen2", {"qk_norm": False}),
    "mixtral": ("sentencepiece", {**EXPERTS, "qk_norm": False, "n_kv_heads": 2}),
    "qwen3_moe": ("qwen2", EXPERTS),
    "neox": ("gpt-2", {**GPT, "residual": "parallel", "rotary_fraction": 0.5, "bias": True}),
    "neox_unbiased": ("gpt-2", {**GPT, "tied_embeddings": True}),
    "gpt2": ("gpt-2", {**GPT, "position": "learned", "mlp": "gelu_tanh", "bias": True, "tied_embeddings": True}),
}
"""The tokenizer (a pattern, or the SentencePiece-style kind) and the parts of each."""


def tales(count: int, seed: int = 0) -> list[str]:
    """Texts in which the next word often follows, and sometimes not; a few signs that are more than a byte."""
    rng = random.Random(seed)
    names, things, places = ["Tom", "Lily", "Sam", "Zoé"], ["ball", "kite", "cake", "drum"], ["tree", "park", "lake"]
    return [
        f"One day {rng.choice(names)} saw a {rng.choice(things)} near the old {rng.choice(places)}. It was "
        f"{rng.randrange(200)} steps away — “far,” said {rng.choice(names)}.\nThey were happy."
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Tokenizer]:
    texts = tales(200)

    def train(name: str) -> Tokenizer:
        kind = {"kind": name} if name == "sentencepiece" else {"kind": "bpe", "pattern": name}
        return Tokenizer.train(texts, TokenizerConfig.model_validate({**kind, "vocab_size": 330}))

    return {name: train(name) for name in ("qwen2", "llama-bpe", "gpt-2", "sentencepiece")}


def grow(config: ModelConfig, tokenizer: Tokenizer, steps: int = 50) -> Model:
    """A model that has read the tales for a few steps."""
    model = Model(config, seed=1).train()
    ids = [number for text in tales(300) for number in (tokenizer.bos_id, *tokenizer.encode(text), tokenizer.eos_id)]
    width, generator = config.context_length, torch.Generator().manual_seed(0)
    stream, optimizer = torch.tensor(ids), torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(steps):
        starts = torch.randint(0, len(ids) - width - 1, (8,), generator=generator)
        rows = torch.stack([stream[start : start + width + 1] for start in starts])
        loss = model.loss(model(rows[:, :-1]), rows[:, 1:], torch.ones(8, width)) / (8 * width)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def grown(tokenizers: dict[str, Tokenizer]) -> Callable[[str], Source]:
    """`grown("llama")`: the family's model, grown once for all tests, which must not change it."""
    made: dict[str, Source] = {}

    def get(family: str) -> Source:
        if family not in made:
            kind, parts = FAMILIES[family]
            config = ModelConfig(**{**SIZE, "init": "normal", "vocab_size": 330, **parts})
            made[family] = Source(grow(config, tokenizers[kind]), tokenizers[kind], family)
        return made[family]

    return get


PROMPTS = [text[: 6 + 3 * (number % 8)].strip() for number, text in enumerate(tales(50, seed=7))]


def texts(model: Model, tokenizer: Tokenizer, prompts: list[str], count: int = 24) -> list[list[int]]:
    """Greedy ids after each prompt, the end mark and what follows it included."""
    ids = [[tokenizer.bos_id, *tokenizer.encode(prompt)] for prompt in prompts]
    return generate(model, ids, SamplingConfig(temperature=0, max_tokens=count))


def same_weights(one: Model, other: Model) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
