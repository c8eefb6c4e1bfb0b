"""A tiny model that knows one text by heart, and fills in each of its words: for tests of generation."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.rows import Encoded
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.config import resolve
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.fim import Fim
from lilliput.objectives.infilling import Pieces, arranged, parts_of

TEXT = "Once upon a time, Tom saw a red ball. It was his. Tom was happy and went home."
PLACES = [found.start() for found in re.finditer(" ", TEXT)]
WORDS = [Pieces.of(TEXT, *pair) for pair in pairwise(PLACES)]
"""The text with each word but the first and the last as the middle."""
CONTEXT, STEPS = 96, 120


def learned_by_heart() -> TextGenerator:
    """Train for two seconds on the text from left to right and on each of its middles."""
    tokenizer = Tokenizer.train([TEXT, "Lily ran. "] * 9, TokenizerConfig(vocab_size=320))
    rows = [arranged(parts, "spm", tokenizer) for parts in parts_of(WORDS, tokenizer)]
    (plain,) = Causal().encode([Document(TEXT, "text")], tokenizer)
    ids, weights = padded([Encoded(row) for row in rows] + [plain] * 4)
    shape = {"d_model": 64, "n_layers": 2, "n_heads": 4, "context_length": CONTEXT}
    model = Model(resolve("story_1m", **shape, vocab_size=tokenizer.vocab_size), seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (model.loss(model(ids[:, :-1]), ids[:, 1:], weights) / weights.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return TextGenerator(model.eval(), tokenizer, Fim())


def padded(rows: list[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
    """(R, T) ids and (R, T - 1) weights of their targets."""
    width = max(len(row.ids) for row in rows)
    ids, weights = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width - 1), np.float32)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = row.ids
        weights[place, : len(row.ids) - 1] = 1
    return torch.from_numpy(ids), torch.from_numpy(weights)


def write(generator: TextGenerator, folder: Path) -> Path:
    """Write the model as a folder, as a run's checkpoint holds it."""
    kept = {"objective": generator.objective.model_dump(mode="json")}
    to_huggingface(generator.model, folder, **generator.tokenizer.marks, extra=kept)
    generator.tokenizer.save(folder)
    return folder
