"""The effect of padding on a mean loss: one story a row, padded to the context, scored with and without padding during
training.

The training minimises and shows the mean over every position, padding included. A data collator that leaves padding
among the targets gives this loss. The benchmark also shows the mean over the text alone, from the same logits.

    python benchmarks/padding.py                         # stories of the built-in world; about five minutes
    python benchmarks/padding.py --data FILE --context 1024 --json
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from rich.table import Table

from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import load
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.runtime.threads import configure_threads
from lilliput.cli.main import one_line_errors
from lilliput.data.dataset import Dataset
from lilliput.data.split import Split
from lilliput.model.config import resolve
from lilliput.model.transformer import Model

GPT = {"d_model": 128, "n_layers": 4, "n_heads": 4, "d_mlp": 512}
"""gpt_51m's parts (learned positions, biases, LayerNorm, GELU), small."""


def padded(split: Split, numbers: np.ndarray, context: int, pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, context + 1) ids, each row a document, cut or padded; and where the targets are text, (rows, context)."""
    ids = np.full((len(numbers), context + 1), pad_id, dtype=np.int64)
    for row, number in enumerate(numbers):
        document = split.document(int(number))[: context + 1]
        ids[row, : len(document)] = document
    return torch.from_numpy(ids), torch.from_numpy(ids[:, 1:] != pad_id).float()


def rows_of(made: Dataset, context: int, rows: int, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    split, rng = made.split("train"), np.random.default_rng(0)
    for _ in range(steps):
        yield padded(split, rng.integers(split.documents, size=rows), context, made.tokenizer.pad_id)


@torch.no_grad()
def score(model: Model, ids: torch.Tensor, text: torch.Tensor, text_bytes: int) -> dict[str, float]:
    """Both means of the same logits (nats a token), their perplexities, and the text's bits per byte."""
    everywhere = real = 0.0
    for row, mask in zip(ids.split(8), text.split(8), strict=True):
        hidden = model(row[:, :-1])
        everywhere += model.loss(hidden, row[:, 1:], torch.ones_like(mask)).item()
        real += model.loss(hidden, row[:, 1:], mask).item()
    shown, right = everywhere / text.numel(), real / text.sum().item()
    return {
        "shown_loss": shown, "shown_perplexity": math.exp(shown),
        "text_loss": right, "text_perplexity": math.exp(right), "bits_per_byte": real / math.log(2) / text_bytes,
    }  # fmt: skip


def train(made: Dataset, context: int, rows: int, steps: int, validation_rows: int) -> dict[str, Any]:
    """The measures at ten moments of the training, and the share of positions that are padding."""
    tokenizer, split = made.tokenizer, made.split("validation")
    whole = [n for n in range(split.documents) if len(split.document(n)) <= context + 1][:validation_rows]
    ids, text = padded(split, np.array(whole), context, tokenizer.pad_id)
    text_bytes = sum(len(tokenizer.decode(split.document(n).tolist()).encode()) for n in whole)
    model = Model(resolve("gpt_51m", **GPT, vocab_size=tokenizer.vocab_size, context_length=context), seed=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    found = []
    for step, (row, mask) in enumerate(rows_of(made, context, rows, steps), 1):
        loss = model.loss(model(row[:, :-1]), row[:, 1:], torch.ones_like(mask)) / mask.numel()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % max(1, steps // 10) == 0:
            found.append({"step": step, **score(model, ids, text, text_bytes)})
            print_line(f"step {step}: {found[-1]}")
    return {"context": context, "rows": len(whole), "padding": 1 - text.mean().item(), "measures": found}


def table(result: dict[str, Any]) -> Table:
    shown = Table(title=f"context {result['context']}: {result['padding']:.0%} of {result['rows']} rows is padding")
    for name in ("step", "mean over all", "its exp", "mean over text", "perplexity", "bits per byte"):
        shown.add_column(name, justify="right")
    for one in result["measures"]:
        values = list(one.values())
        shown.add_row(str(values[0]), *(f"{value:.3f}" for value in values[1:]))
    return shown


def main(arguments: list[str] | None = None) -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=[], help="text of your own; else built-in stories")
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--rows", type=int, default=4, help="stories a step")
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--validation-rows", type=int, default=48)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args(arguments)
    use_json(asked.json)
    configure_threads(asked.threads)
    made = dataset(load("story", data=asked.data), print_line)
    result = train(made, asked.context, asked.rows, asked.steps, asked.validation_rows)
    if asked.json:
        emit(result)
    else:
        console.print(table(result))


if __name__ == "__main__":
    with one_line_errors():
        main()
