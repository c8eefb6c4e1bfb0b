"""Tiny Shakespeare by characters, on nanoGPT's split: nats a character against minutes, on this machine.

    python benchmarks/shakespeare.py tinyshakespeare.txt --minutes 40
    python benchmarks/shakespeare.py tinyshakespeare.txt --minutes 3 --json train.threads=1 model.n_layers=3

The last tenth of the text is for validation, as in nanoGPT (https://github.com/karpathy/nanoGPT, README: 1.88 nats a
character in about 3 minutes on a laptop's CPU, 1.4697 after 3 minutes on an A100). A byte is a character of this text,
so a vocabulary of bytes is one of characters. Further arguments are overrides of the recipe.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lilliput import api
from lilliput.base.console import emit, print_line, use_json
from lilliput.cli.main import one_line_errors

BYTES_AND_SPECIALS = 264
PUBLISHED = {"nanoGPT, laptop CPU, 3 minutes": 1.88, "nanoGPT, A100, 3 minutes": 1.4697}
RECIPE = {
    "data": {"packing": "contiguous", "validation_fraction": 0.02},
    "tokenizer": {"vocab_size": BYTES_AND_SPECIALS},
    "model": {"d_model": 256, "n_layers": 5, "context_length": 256, "dropout": 0.1, "vocab_size": BYTES_AND_SPECIALS},
    "train": {
        "batch_tokens": 4096,
        "optimizer": {
            "kind": "muon",
            "learning_rate": 0.003,
            "embedding_learning_rate": 0.01,
            "muon_learning_rate": 0.02,
        },
        "schedule": {"kind": "linear", "warmup_steps": 20},
    },
    "evaluate": {"tokens": 8192, "baselines": []},
}


def split(text: str, folder: Path, pieces: int = 200) -> tuple[Path, Path]:
    """Write the first nine tenths as `pieces` documents (so that a few can be held out for the run's own curve) and the
    last tenth as one document; returns both files."""
    cut = int(0.9 * len(text))
    size = -(-cut // pieces)
    train, validation = folder / "train.jsonl", folder / "validation.jsonl"
    parts = [text[start : min(start + size, cut)] for start in range(0, cut, size)]
    train.write_text("".join(json.dumps({"text": part}) + "\n" for part in parts), encoding="utf-8")
    validation.write_text(json.dumps({"text": text[cut:]}) + "\n", encoding="utf-8")
    return train, validation


def score(run: Path, validation: Path) -> dict[str, float]:
    """Nats a character of the run's last checkpoint. `own_windows`: windows side by side, each character with what
    stands before it in its window, 128 characters on average, as nanoGPT estimates it; `sliding`: at least 128."""
    from lilliput.evaluation.bits_per_byte import FixedSet, bits_per_byte  # PyTorch: not before training begins

    teller = api.load(run, notify=print_line)
    ids = teller.tokenizer.encode(json.loads(validation.read_text(encoding="utf-8"))["text"])
    held_out = FixedSet([np.array([teller.tokenizer.bos_id, *ids], dtype=np.int64)], len(ids))
    context = teller.model.config.context_length
    strides = {"own_windows": context, "sliding": context // 2}
    scores = {name: bits_per_byte(teller.model, held_out, stride=stride) for name, stride in strides.items()}
    return {name: found.bits_per_byte * math.log(2) for name, found in scores.items()}


def main(arguments: list[str] | None = None) -> None:
    """Train for the given minutes, score the model, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="Tiny Shakespeare, one file")
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_intermixed_args(arguments)
    use_json(asked.json)
    text = asked.text.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["LILLIPUT_CACHE"] = str(folder / "cache")
        train, validation = split(text, folder)
        recipe = folder / "shakespeare.yaml"
        recipe.write_text(json.dumps(RECIPE), encoding="utf-8")
        budget = {"seconds": 60 * asked.minutes}
        run = api.train(
            recipe, asked.overrides, data=str(train), name="shakespeare", runs=folder, **budget, notify=print_line
        )
        nats = score(run.path, validation)
        summary = run.summary
    result: dict[str, Any] = {
        "nats_per_character": nats,
        "minutes": summary["seconds"] / 60,
        "parameters": summary["parameters"],
        "characters_seen": summary["tokens"],
        "tokens_per_second": summary["tokens_per_second"],
        "machine": summary["device"],
        "threads": summary["threads"],
        "published": PUBLISHED,
    }
    if asked.json:
        emit(result)
        return
    print_line(
        f"{nats['own_windows']:.4f} nats a character in windows side by side, {nats['sliding']:.4f} in sliding windows"
    )
    print_line(
        f"{result['minutes']:.1f} minutes, {result['parameters']:,} parameters, "
        f"{result['characters_seen']:,} characters at {result['tokens_per_second']:,.0f} a second, {result['machine']}"
    )
    print_line("; ".join(f"{name}: {value}" for name, value in PUBLISHED.items()))


if __name__ == "__main__":
    with one_line_errors():
        main()
