"""Simplification of news: paragraphs for advanced learners are rewritten for beginners (OneStopEnglish).

    python benchmarks/simplify.py --data ../shared/data             # about half an hour of one core
    python benchmarks/simplify.py --data ../shared/data --smoke     # in seconds, to see that all of it works

The paragraphs of two levels of a text are aligned in order, by the words that they share. An encoder-decoder that
learned to fill gaps in news is compared with new weights. The figure is bits for each byte of held-out targets, and a
control is that of the same model where each target stands behind the source of another pair: a model that does not read
its source has no fewer bits with the right one. A run that was finished in --runs is not trained again.
"""

from __future__ import annotations

import gzip
import json as jsons
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich import box
from rich.table import Table

import lilliput
from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import recipe_of
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import ConfigError
from lilliput.base.files import write_text
from lilliput.base.statistics import mean_of
from lilliput.cli.main import one_line_errors
from lilliput.decoding.inference import inference
from lilliput.model.source import Source
from lilliput.runs.run_folder import RunFolder
from teaching import QUICK, write_rows
from whole_runs import train_whole

LEVELS = ("intermediate", "elementary")
"""Levels whose paragraphs are targets. Sources are those of the level advanced."""
ALIKE = 0.3
"""Least share of the shorter paragraph's words that the other paragraph of a pair has."""
MOST_WORDS = 120
"""Words of a paragraph at most; the context of the model holds them."""
ARMS = ("pretrained", "new")
OTHER_PAIR = 10
"""Places between a target and the source of another pair."""
FAST = "{kind: muon, learning_rate: 0.008, embedding_learning_rate: 0.05, muon_learning_rate: 0.014}"
"""The rates of pretraining, for new weights."""
SHAPE = ("model.d_model=32", "model.n_layers=1", "model.encoder_layers=1", "model.n_heads=2")
"""The shape of a model with `--smoke`."""
TEXT = ("train.steps=4", "tokenizer.vocab_size=400", "tokenizer.sample_bytes=200000")


@dataclass(frozen=True)
class Study:
    """The folder of real data, the folder of the runs, the steps of pretraining and of learning, and whether all is
    tiny."""

    data: Path
    runs: Path
    steps: int = 3000
    tuning: int = 400
    smoke: bool = False


def aligned(left: Sequence[str], right: Sequence[str]) -> list[tuple[str, str]]:
    """Pair the paragraphs of two texts in order, so that the shared words of all pairs are the most. A paragraph may
    stay alone; a pair has at least ALIKE of its shorter side's words in common."""
    bags = [[set(re.findall(r"\w+", text.lower())) for text in side] for side in (left, right)]
    best: dict[tuple[int, int], tuple[float, tuple[tuple[int, int], ...]]] = {}

    def until(row: int, column: int) -> tuple[float, tuple[tuple[int, int], ...]]:
        return best.get((row, column), (0.0, ()))

    for row, ours in enumerate(bags[0]):
        for column, theirs in enumerate(bags[1]):
            alike = len(ours & theirs) / max(1, min(len(ours), len(theirs)))
            found = max(until(row - 1, column), until(row, column - 1), key=lambda one: one[0])
            before = until(row - 1, column - 1)
            if alike >= ALIKE and before[0] + alike > found[0]:
                found = (before[0] + alike, (*before[1], (row, column)))
            best[row, column] = found
    return [(left[row], right[column]) for row, column in until(len(left) - 1, len(right) - 1)[1]]


def pairs(study: Study) -> list[dict[str, str]]:
    """Return the rows of `source` and `target`. Raises ConfigError for a folder without the file."""
    path = study.data / "reading" / "onestopenglish.jsonl.gz"
    if not path.is_file():
        raise ConfigError(f"{study.data} has no reading/{path.name}", "give the folder that holds it: --data FOLDER")
    texts: dict[str, dict[str, list[str]]] = defaultdict(dict)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in map(jsons.loads, file):
            title = row["title"].rpartition("-")[0]
            texts[title][row["level"]] = [line.strip() for line in row["text"].splitlines() if line.strip()]
    found = [
        {"source": f"simplify: {long}", "target": short}
        for _, levels in sorted(texts.items())
        for level in LEVELS
        for long, short in aligned(levels.get("advanced", []), levels.get(level, []))
        if long != short and max(len(long.split()), len(short.split())) <= MOST_WORDS
    ]
    return found[:60] if study.smoke else found


def news(study: Study) -> Path:
    """The file of news, or its first articles where all is tiny."""
    path, out = study.data / "wikinews" / "train.jsonl.gz", study.runs / "news.jsonl"
    if not study.smoke:
        return path
    with gzip.open(path, "rt", encoding="utf-8") as file:
        write_text(out, "".join(next(file) for _ in range(200)))
    return out


def train(study: Study, recipe: str, name: str, overrides: Sequence[str], **given: Any) -> Path:
    """Train a run, or find it finished. Returns its folder. Raises ConfigError for a run that was interrupted."""
    print_line(f"{name}: {recipe} {' '.join(overrides)}")
    return train_whole(recipe, overrides, name=name, runs=study.runs, **given)


def measured(study: Study, arm: str, seed: int) -> dict[str, float]:
    """Train an arm and return its figures on held-out pairs."""
    begun = [
        f"data.sources=[{{kind: jsonl, paths: ['{news(study)}']}}]",
        f"train.steps={study.steps}",
        "data.packing=auto",
    ]
    begun += [*SHAPE, *QUICK, *TEXT] if study.smoke else []
    source = train(study, "span", "news", begun)
    rows = write_rows(study.runs / "pairs.jsonl", pairs(study))
    overrides = [f"data.sources=[{{kind: jsonl, paths: ['{rows}']}}]"]
    overrides += ["data.validation_fraction=0.15", f"train.steps={study.tuning}", "train.epochs=null"]
    overrides += [*QUICK, "train.steps=2", "objective.exact=2"] if study.smoke else ["evaluate.final_tokens=1000000"]
    given: dict[str, Any] = {"from_": source}
    if arm == "new":
        given = {}
        overrides += [f"tokenizer.path={source}", f"train.optimizer={FAST}", *(SHAPE if study.smoke else ())]
    run = train(study, "text-to-text", f"{arm}-{seed}", overrides, seed=seed, **given)
    summary = RunFolder(run).read_summary()
    found = {key: summary[f"val_{key}"] for key in ("target_bits_per_byte", "target_accuracy", "exact")}
    return {**found, "with_another_source": bits_of(run, OTHER_PAIR)}


def bits_of(run: Path, places: int) -> float:
    """Return the bits for each byte of all held-out targets, each behind the source of the pair so many places on."""
    generator = lilliput.load(run, notify=lambda text: None, compile=False)
    split = dataset(recipe_of(run), lambda text: None).split("validation")
    ids = [torch.from_numpy(split.document(number).astype(np.int64)) for number in range(split.documents)]
    sources, targets = ids[::2], ids[1::2]
    sources = [*sources[places:], *sources[:places]]
    sizes, nats, size = torch.from_numpy(generator.tokenizer.token_bytes()).float(), 0.0, 0.0
    with inference(generator.model):
        for source, target in zip(sources, targets, strict=True):
            read = Source(source[None], torch.tensor([len(source)]))
            logits = generator.model.logits(generator.model(target[None, :-1], source=read))[0]
            losses = torch.nn.functional.cross_entropy(logits.float(), target[1:], reduction="none")
            nats += float(losses[sizes[target[1:]] > 0].sum())
            size += float(sizes[target[1:]].sum())
    return nats / math.log(2) / size


app = typer.Typer(add_completion=False)


@app.command(help="Rewrite news for learners: pretrained and new weights, and a control with other sources.")
def main(
    data: Annotated[Path, typer.Option(help="Folder with reading/ and wikinews/.")],
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/simplify"),
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 1,
    smoke: Annotated[bool, typer.Option("--smoke", help="Every run in seconds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(json)
    runs.mkdir(parents=True, exist_ok=True)
    study = Study(data.absolute(), runs.absolute(), smoke=smoke)
    count = len(pairs(study))
    found = {arm: [measured(study, arm, seed) for seed in range(1, seeds + 1)] for arm in ARMS}
    if json:
        emit({"pairs": count, "arms": found})
        return
    shown = Table("", "bits a target byte", "with another source", "right tokens", box=box.SIMPLE_HEAD)
    for arm, each in found.items():
        keys = ("target_bits_per_byte", "with_another_source", "target_accuracy")
        bits, other, right = (mean_of([one[key] for one in each]).mean for key in keys)
        shown.add_row(arm, f"{bits:.3f}", f"{other:.3f}", f"{100 * right:.1f}%")
    console.print(shown)


if __name__ == "__main__":
    with one_line_errors():
        app()
