"""A tiny model without training that chats: under the constraint, its answers are filled templates all the same."""

from functools import cache
from typing import Any

import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.chat import ChatConfig
from lilliput.worlds.extraction.making import KINDS, make_examples, makers_of, row_of


@cache
def untrained(seed: int = 0, context_length: int = 512) -> TextGenerator:
    """Return a model of random weights with a tokenizer of made examples."""
    texts = [turn["content"] for each in make_examples(makers_of(KINDS), 60) for turn in row_of(each)["messages"]]
    objective = ChatConfig()
    plain = Tokenizer.train(texts, TokenizerConfig(vocab_size=500, sample_bytes=100_000))
    tokenizer = objective.equip(plain)
    shape: dict[str, Any] = {"d_model": 32, "n_layers": 1, "n_heads": 2, "context_length": context_length}
    torch.manual_seed(seed)
    model = Model(ModelConfig(**shape, vocab_size=tokenizer.vocab_size)).eval()
    with torch.no_grad():  # weights at random, large enough that answers differ
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return TextGenerator(model, tokenizer, objective)
