"""Models made by hand, whose parts' effects are known, and text generators around small models."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.split import Split
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.instrument import Instrument, Subject
from lilliput.lens.row_losses import HeldOut
from lilliput.model.config import ModelConfig
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.runs.run_folder import RunFolder

WORDS = 8
TEXT = "One day Tom saw a red ball. He wanted the ball. Lily gave it to him, and Tom was happy."


def successor(writers: tuple[float, ...] = (1.0, 1.0)) -> Model:
    """A model of one layer that predicts (i + 1) mod 8 after token i. Each position sees itself alone. Dimensions 0 to
    7 hold the token, and each head writes its share of the next token, `writers`, to dimensions 8 to 15. The MLP writes
    nothing."""
    shape: dict[str, Any] = {"d_model": 2 * WORDS, "n_layers": 1, "n_heads": len(writers), "d_head": WORDS, "d_mlp": 8}
    model = Model(ModelConfig(**shape, vocab_size=WORDS, context_length=16, qk_norm=False, window=1))
    block: Any = model.blocks[0]
    head: Any = model.unembed
    eye = torch.eye(WORDS)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.zero_()
        model.embed.weight[:, :WORDS] = eye
        values = block.attn.qkv.weight[2 * len(writers) * WORDS :]
        for number, share in enumerate(writers):
            channels = slice(number * WORDS, (number + 1) * WORDS)
            values[channels, :WORDS] = eye
            block.attn.out.weight[WORDS:, channels] = share * eye.roll(1, 0)
        head.weight[:, WORDS:] = 4 * eye
    return model.eval()


def counted(rows: int = 6, length: int = 12) -> HeldOut:
    """Rows that count up from different tokens, each token a byte, all of it scored."""
    tokens = (torch.arange(length + 1) + torch.arange(rows)[:, None]) % WORDS
    scored = torch.ones(rows, length, dtype=torch.bool)
    return HeldOut(tokens[:, :-1], tokens[:, 1:], scored, scored.long())


def spread(model: Model, seed: int = 3) -> Model:
    """Give a model weights that are large enough for it to prefer some tokens to others."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=generator)
    return model.eval()


def small(seed: int = 3, **shape: int) -> TextGenerator:
    """A small model with a tokenizer of `TEXT`."""
    tokenizer = Tokenizer.train([TEXT] * 9, TokenizerConfig(vocab_size=300))
    sizes: dict[str, Any] = {"d_model": 32, "n_layers": 2, "n_heads": 2, "d_mlp": 24, "context_length": 48, **shape}
    model = Model(ModelConfig(**sizes, vocab_size=tokenizer.vocab_size))
    return TextGenerator(spread(model, seed), tokenizer, Causal())


def rows_of(generator: TextGenerator, count: int = 6, length: int = 24) -> torch.Tensor:
    """Rows that begin a text at different words; the last half of the rows end early and are padded."""
    words = TEXT.split(" ")
    ids = []
    for start in range(count):
        row = [generator.tokenizer.bos_id, *generator.tokenizer.encode(" ".join(words[start:] + words[:start]))]
        row = [*row[: length if start < count // 2 else length - 6], generator.tokenizer.eos_id]
        ids.append((row + [generator.tokenizer.pad_id] * length)[:length])
    return torch.tensor(ids)


@cache
def learned(seed: int = 0, steps: int = 60) -> TextGenerator:
    """A small model that learned the rows of `rows_of` by heart. Nobody may change it."""
    made = small(context_length=128)
    model = Model(made.model.config, seed=seed)
    rows = rows_of(made)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.0)
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model.logits(model(rows[:, :-1]))
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), rows[:, 1:])
        loss.backward()
        optimizer.step()
    return made.with_model(model.eval())


class Train:
    """A training split of the documents of `rows_of`."""

    def __init__(self, generator: TextGenerator):
        self.rows = [row[row != generator.tokenizer.pad_id].numpy() for row in rows_of(generator)]
        self.documents, self.tokens = len(self.rows), sum(map(len, self.rows))

    def document(self, place: int) -> np.ndarray:
        return self.rows[place]

    def document_learn(self, place: int) -> None:
        return None


def subject(**fields: Any) -> Subject:
    """The learned model on its own text, beside its training split."""
    generator = learned()
    return Subject(generator, rows_of(generator), train=cast(Split, Train(generator)), **fields)


def run_folder(folder: Path, steps: tuple[int, ...] = (5, 20, 60)) -> Path:
    """A run folder with the learned model at these steps."""
    for step in steps:
        generator = learned(0, step)
        made = RunFolder(folder).checkpoint(step) / "model"
        to_huggingface(generator.model, made, **generator.tokenizer.marks)
        generator.tokenizer.save(made)
    return folder


def seen(instrument: Instrument, given: Subject) -> tuple[dict[str, Any], str]:
    """Measure, send the figures through JSON without NaN, and draw them. The page has no script and closes its tags."""
    found = json.loads(json.dumps(instrument.measure(given), allow_nan=False))
    drawn = instrument.section(found)
    assert "<script" not in drawn
    assert " on" not in "".join(re.findall(r"<[^>]+>", drawn)).replace(" only", "")
    for tag in ("p", "table", "tr", "td", "th", "div", "figure", "svg", "details", "h3"):
        assert len(re.findall(rf"<{tag}[ >]", drawn)) == drawn.count(f"</{tag}>"), tag
    return found, drawn
