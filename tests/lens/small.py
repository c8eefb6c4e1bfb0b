"""A small untrained generator with story text, and activations whose directions are known."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.sparse import SparseCoder
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.storybook.world import story

LENGTH = 64


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.train([story(0, number).text for number in range(40)], TokenizerConfig(vocab_size=600))


def generator(seed: int = 0, objective: ObjectiveConfig | None = None, d_model: int = 32) -> TextGenerator:
    shape: dict[str, Any] = {"d_model": d_model, "n_layers": 2, "n_heads": 2, "d_mlp": 48, "context_length": LENGTH}
    model = Model(ModelConfig(**shape, vocab_size=tokenizer().vocab_size), seed=seed)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2, generator=draw)
    return TextGenerator(model.eval(), tokenizer(), objective or Causal())


@cache
def story_rows(count: int = 16, seed: int = 1) -> torch.Tensor:
    """(count, LENGTH): the beginnings of stories."""
    made = tokenizer()
    ids = [[*made.beginning, *made.encode(story(seed, number).text)][:LENGTH] for number in range(count)]
    return torch.tensor(ids)


def known_directions(count: int, d: int, seed: int = 0) -> torch.Tensor:
    """(count, d) random unit directions."""
    return F.normalize(torch.randn(count, d, generator=torch.Generator().manual_seed(seed)))


def sums_of(directions: torch.Tensor, rows: int, k: int, seed: int = 1, base: float = 3.0) -> torch.Tensor:
    """(rows, d): sums of k random directions times 1 to 2, and a constant of `base` in each number."""
    draw = torch.Generator().manual_seed(seed)
    places = torch.rand(rows, len(directions), generator=draw).topk(k, dim=1).indices
    values = 1 + torch.rand(rows, k, generator=draw)
    return (directions[places] * values[..., None]).sum(1) + base


def exact_coder(d: int, hook: str) -> SparseCoder:
    """A coder that reconstructs every activation: two features, + and -, for each number; half of them fire."""
    both = torch.cat([torch.eye(d), -torch.eye(d)])
    return SparseCoder(hook, hook, both, torch.zeros(2 * d), both, torch.zeros(d), k=d)
