"""A run folder as training leaves it, made up from a formula, for tests of what reads it and for looking at pages."""

import json
import math
import random
from pathlib import Path

from lilliput.objectives.causal import Causal
from lilliput.objectives.known import facts
from lilliput.objectives.masked import Masked
from lilliput.runs.samples_file import Section, format_samples

STAGES = (
    " ee tdh ao,s nite.h  wr lan ot",
    " the was a the and. She to said was the, it was a was little the play.",
    " there was a little girl named Lily. She was a big and the dog was very happy. The ball said, "
    '"I want to the park."',
    " there was a little girl named Lily. She loved to play outside with her ball. One day, the ball rolled into "
    'the river and Lily was sad. She said, "I can help the ball." The ball was happy.',
    " there was a little girl named Lily. She loved to play outside with her red ball. One day, the ball rolled "
    'down the hill and into the river.\n\n"Oh no!" said Lily. A kind duck swam over and pushed the ball back to '
    "her. Lily gave the duck some bread, and they were friends from that day on.",
)


def validation(fraction: float) -> float:
    return 0.79 + 2.5 * math.exp(-14 * fraction) + 0.55 * math.exp(-3 * fraction)


def make_masked(folder: Path, ended: bool = True, steps: int = 600, seed: int = 0) -> Path:
    """The same with objective.kind=masked: its own figures in place of bits per byte, and no samples."""
    run = make_run(folder, steps, seed)
    own = {"bits_per_byte": Masked.figure.training, "val_bits_per_byte": Masked.figure.validation}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    renamed = [{own.get(key, key): value for key, value in line.items()} for line in lines]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in renamed))
    (run / "recipe.yaml").write_text(RECIPE + "objective: {kind: masked}\n")
    (run / "samples.md").unlink()
    values = {own.get(key, key): value for key, value in summary(steps).items() if key not in ("baselines", "story")}
    (run / "summary.json").write_text(json.dumps(values | facts(Masked())))
    if not ended:
        (run / "summary.json").unlink()
    return run


def make_run(folder: Path, steps: int = 600, seed: int = 0) -> Path:
    """Write recipe.yaml, metrics.jsonl, summary.json and samples.md into `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = random.Random(seed)
    metrics, sections = [], []
    for step in range(0, steps + 1, 5):
        fraction, tokens, seconds = step / steps, step * 8192, step * 0.24
        line = {"step": step, "tokens": tokens, "seconds": round(seconds, 3)}
        if step:
            bits = validation(fraction) + noise.gauss(0, 0.035) - 0.02 * fraction
            line |= {"loss": bits * 2.4, "bits_per_byte": bits, "grad_norm": 0.4 + 3 * math.exp(-20 * fraction)}
            line |= {
                "learning_rate": 2e-3 * min(step / 30, 1) * (1 - fraction),
                "tokens_per_second": noise.gauss(34e3, 900),
            }
        if step % (steps // 12) == 0:
            line |= {"val_bits_per_byte": validation(fraction), "val_loss": 2.4 * validation(fraction)}
            stage = STAGES[min(int(len(STAGES) * fraction**0.5), len(STAGES) - 1)]
            texts = [("Once upon a time,", stage), ("The dog was sad because", stage.replace("Lily", "Max"))]
            sections.append(Section(step, tokens, seconds, texts))
        metrics.append(json.dumps(line))
    (folder / "metrics.jsonl").write_text("\n".join(metrics) + "\n")
    (folder / "samples.md").write_text("".join(map(format_samples, sections)))
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "summary.json").write_text(json.dumps(summary(steps), indent=2))
    return folder


def summary(steps: int) -> dict:
    return {
        "val_bits_per_byte": validation(1.0),
        "baselines": {"unigram": 2.412, "bigram": 1.731, "trigram": 1.318},
        "val_perplexity": 2 ** (validation(1.0) * 3.9),
        "steps": steps,
        "tokens": steps * 8192,
        "seconds": steps * 0.24,
        "tokens_per_second": 34133.0,
        "parameters": 1_594_624,
        "parameters_embedding": 262_144,
        "flops": 4.9e13,
        "utilisation": 0.41,
        "matmul_peak_flops": 1.62e11,
        "kwh": 0.00096,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "model": "story_1m",
        **facts(Causal()),
        "stopped": "finished",
        "data": {
            "sources": ["story world: 20,000 stories, seed 1, 4be1c09a77d2"],
            "train": {"documents": 19_004, "tokens": 3_210_441, "bytes": 12_502_988},
            "validation": {"documents": 996, "tokens": 168_020, "bytes": 655_278},
            "tokenizer": "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
        },
        "device": "AMD EPYC",
        "threads": 2,
        "precision": "fp32",
        "compiled": False,
        "story": {"prompt": "Once upon a time,", "text": STAGES[-1]},
        "cost": {
            "kwh": 0.00096,
            "co2_grams": 0.46,
            "dollars": None,
            "basis": "2 cores x 12 W (Green Algorithms; estimate); 480 g CO2 a kWh (world average 2023; estimate)",
        },
        "verdict": "Still improving when it ended: validation and training fall together, so more steps would help.",
    }


RECIPE = """\
name: story
seed: 42
data:
  sources:
  - kind: story
    stories: 20000
    seed: 1
tokenizer:
  vocab_size: 2048
model:
  style: story_1m
  d_model: 128
  n_layers: 6
train:
  steps: 600
  batch_tokens: 8192
"""
