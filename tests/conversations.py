"""Conversations for the tests of chat: a source that yields given rows, and a tiny run that learns some by heart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from pydantic import Field

from lilliput import api
from lilliput.data.chat_template import ChatTemplate, chatml
from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.examples import Example, Kind
from lilliput.data.source import SOURCES, Errors, Source, hash_of
from lilliput.data.tokenizer import Tokenizer
from lilliput.training.callbacks import Callback


class Given(Source):
    """Rows as they stand in the recipe."""

    kind: Literal["given"] = "given"
    row_kind: str = Field(default="messages", description="the kind of the rows")
    rows: tuple[dict[str, Any], ...] = Field(description="the rows")

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        for number, row in enumerate(self.rows):
            kind: Kind = self.row_kind  # type: ignore[assignment]
            example = Example(kind, row)
            yield Document(example.text, f"row {number}", example=example)

    def fingerprint(self) -> str:
        return hash_of("given", self.row_kind, self.rows)

    def describe(self) -> str:
        return f"given: {len(self.rows)} rows"


def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have recipes know the source for the rest of a test."""
    _ = list(SOURCES)
    monkeypatch.setitem(SOURCES._entries, "given", Given)


def talk(*texts: str, system: str | None = None) -> list[dict[str, str]]:
    """Messages of a user and the assistant in turn."""
    turns = [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(texts)]
    return [{"role": "system", "content": system}, *turns] if system else turns


SUM = [
    {"role": "user", "content": "What is 3 + 4?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"type": "function", "function": {"name": "calculator", "arguments": {"expression": "3 + 4"}}}],
    },
    {"role": "tool", "content": "7"},
    {"role": "assistant", "content": "It is 7."},
]
TALKS: list[list[dict[str, Any]]] = [
    talk("Who are you?", "I am Lilliput, a small model."),
    talk("Where is Tom?", "Tom is at home.", "And Lily?", "She is in the park."),
]
FILLERS = [{"messages": talk(f"Say {number}.", f"{number}!")} for number in range(16)]
"""Short rows, so that some of all rows are validated on."""


def tokenizer(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The folder of a tokenizer to which every word of the rows is a token or two. It has no template."""
    plain = Tokenizer.train([], TokenizerConfig(vocab_size=264)).with_template(chatml(begins=True))
    template = ChatTemplate(chatml(begins=True))
    texts = [
        plain.decode(template.encode(row["messages"], plain, tools=row.get("tools"))[0])
        for row in (*rows, *FILLERS)
        if "messages" in row
    ]
    Tokenizer.train([*texts, *map(str, rows)] * 9, TokenizerConfig(vocab_size=700)).save(folder)
    return folder


def train(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    *options: str,
    steps: int = 50,
    kind: str = "messages",
    callbacks: Sequence[Callback] = (),
    lines: list[str] | None = None,
) -> Path:
    """The folder of a tiny run on these rows and FILLERS. `known` goes first."""
    values: dict[str, Any] = {
        "data": {
            "sources": [{"kind": "given", "row_kind": kind, "rows": [*rows, *(FILLERS if kind == "messages" else ())]}],
            "validation_fraction": 0.1,
            "steps": [],
        },
        "tokenizer": {"path": str(tokenizer(folder / "tokenizer", rows))},
        "model": {"style": None, "d_model": 48, "n_layers": 2, "n_heads": 4, "context_length": 256},
        "objective": {"kind": "chat"},
        "train": {
            "steps": steps,
            "epochs": None,
            "batch_tokens": 256,
            "compile": False,
            "precision": "fp32",
            "optimizer": {"kind": "muon", "learning_rate": 0.01, "muon_learning_rate": 0.02},
        },
        "evaluate": {"steps": steps, "baselines": [], "sample_tokens": 24},
    }
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(values))
    notify = print if lines is None else lines.append
    run = api.train(recipe, options, name="chatty", runs=folder, callbacks=callbacks, notify=notify, live=False)
    return run.path


def learned_by_heart(folder: Path) -> Path:
    """A run that knows TALKS and, with the calculator, SUM by heart. So small a model does not learn them from every
    seed, and machines round differently, so seeds are tried until one does."""
    from lilliput.generation.tools import CALCULATOR

    rows = [*({"messages": messages} for messages in TALKS), {"messages": SUM, "tools": [CALCULATOR]}]
    with pytest.MonkeyPatch.context() as patch:
        known(patch)
        patch.setenv("LILLIPUT_CACHE", str(folder / "cache"))
        for seed in range(1, 9):
            (place := folder / str(seed)).mkdir()
            run = train(place, rows, f"seed={seed}", steps=110)
            if least_sure(run, rows) > 0.7:
                return run
    raise AssertionError("no seed learned the conversations")


def least_sure(run: Path, rows: Sequence[Mapping[str, Any]]) -> float:
    """The least probability of a token of the assistant's messages."""
    generator, least = api.load(run, "cpu", compile=False), 1.0
    assert generator.chat_template is not None
    for row in rows:
        options = {"tools": row["tools"]} if "tools" in row else {}
        ids, spans = generator.chat_template.encode(row["messages"], generator.tokenizer, **options)
        with torch.inference_mode():
            logits = generator.model.logits(generator.model(torch.tensor([ids])))[0]
        chances = logits.float().softmax(-1)[torch.arange(len(ids) - 1), ids[1:]]
        least = min(least, *(float(chances[start - 1 : stop - 1].min()) for start, stop in spans))
    return least
