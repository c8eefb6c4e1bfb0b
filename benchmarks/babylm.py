"""Grammar from ten million words, after BabyLM: a decoder, an encoder and a hybrid of the same size on the same text.

    python benchmarks/babylm.py --data ../shared/data                 # all three: about five hours of one core
    python benchmarks/babylm.py --data ../shared/data --only decoder
    python benchmarks/babylm.py --data ../shared/data --pairs 6800    # of all sets, where a score by both sides is slow
    python benchmarks/babylm.py --data ../shared/data --smoke         # in seconds, to see that all of it works

The text is 7M words of books for children and 3M words of news, whole documents drawn by a seed. They are cut into
pieces of paragraphs, because a sentence of BLiMP stands at the beginning of a text. Each arm is scored on the sets in
--data: the grammatical sentence of a pair must be the likelier, and a tie counts half. An encoder
and the second row of a hybrid score a sentence by both sides (pseudo-log-likelihood). Each arm is also measured with
untrained weights. A run that was finished in --runs is not trained again.
"""

from __future__ import annotations

import gzip
import json as jsons
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

import lilliput
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import ConfigError
from lilliput.base.files import write_text
from lilliput.cli.main import one_line_errors
from lilliput.evaluation.controls import UNTRAINED
from lilliput.model.counts import parameters
from lilliput.runs.run_folder import RunFolder
from teaching import QUICK
from whole_runs import train_whole

RECIPE = Path(__file__).parents[1] / "configs" / "babylm.yaml"
WORDS = {"gutenberg/children.train.jsonl.gz": 7_000_000, "wikinews/train.jsonl.gz": 3_000_000}
"""Words of each file that are taken."""
ARMS: dict[str, tuple[str, ...]] = {
    "decoder": (),
    "encoder": ("model.causal=false", "objective.kind=masked"),
    "hybrid": ("objective.kind=hybrid",),
}
"""The same blocks in all three; the encoder's attention looks both ways."""
PIECE_WORDS = 80
"""A piece ends with the paragraph that brings it to so many words."""
PUBLISHED = {"GPT-2 small": 67.3, "GPT-BERT": 71.7, "baseline of 2026": 65.1}
"""BLiMP of BabyLM's models of 10M words, in percent, on all of its sets."""
SMALL = ("model.d_model=32", "model.n_layers=1", "model.n_heads=2", "model.d_mlp=64", "tokenizer.vocab_size=400")


@dataclass(frozen=True)
class Study:
    """The folder of real data, the folder of the runs, whether all is tiny, and how many pairs are scored, drawn from
    all sets by a fixed seed (None: all of them)."""

    data: Path
    runs: Path
    smoke: bool = False
    pairs: int | None = None


def corpus(study: Study) -> Path:
    """Write the text as JSONL, pieces of the documents of each file in random order up to its words. Returns the file.
    Raises ConfigError for a folder without the files."""
    out, rng = study.runs / "babylm.jsonl", random.Random(1)
    if out.exists():
        return out
    lines = []
    for name, most in WORDS.items():
        if not (study.data / name).is_file():
            raise ConfigError(f"{study.data} has no {name}", "give the folder that holds it: --data FOLDER")
        with gzip.open(study.data / name, "rt", encoding="utf-8") as file:
            texts = [jsons.loads(line)["text"] for line in file]
        rng.shuffle(texts)
        left = most // 100 if study.smoke else most
        for text in texts:
            if (count := len(text.split())) <= left:
                lines += (jsons.dumps({"text": piece}) + "\n" for piece in pieces(text))
                left -= count
    write_text(out, "".join(lines))
    return out


def pieces(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text, as many together as have PIECE_WORDS words."""
    piece, words = list[str](), 0
    for paragraph in filter(str.strip, text.split("\n")):
        piece.append(paragraph.strip())
        words += len(paragraph.split())
        if words >= PIECE_WORDS:
            yield "\n".join(piece)
            piece, words = [], 0
    if piece:
        yield "\n".join(piece)


def trained(arm: str, study: Study) -> Path:
    """Train an arm, or find it finished. Returns its folder. Raises ConfigError for a run that was interrupted."""
    overrides = [f"data.sources.0.paths=[{jsons.dumps(str(corpus(study)))}]", *ARMS[arm]]
    if study.smoke:
        overrides += [*SMALL, *QUICK, "train.epochs=null", "train.steps=4", "tokenizer.sample_bytes=200000"]
    print_line(f"{arm}: {' '.join(overrides)}")
    return train_whole(RECIPE, overrides, name=arm, runs=study.runs)


def measured(arm: str, study: Study) -> dict[str, Any]:
    """Return the cost of an arm and its BLiMP in percent, each set's and the mean over sets, of the model and of the
    same model with untrained weights."""
    run = trained(arm, study)
    summary = RunFolder(run).read_summary()
    most = 68 if study.smoke else study.pairs
    table = lilliput.benchmark(run, ["blimp"], task_data=study.data / "benchmarks", max_items=most)
    (row,) = [row for row in table if row["metric"] == "acc"]
    keys = ("tokens", "epochs", "training_seconds", "val_bits_per_byte", "val_masked_bits_per_byte")
    cost = {key: summary[key] for key in keys if key in summary}
    found = {name.replace(str(run), arm): each for name, each in row["scores"].items()}
    return {
        "parameters": parameters(lilliput.load(run, notify=lambda text: None).model.config).total,
        **cost,
        "blimp": found,
        "sets": row["parts"],
    }


def print_table(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print BLiMP in percent with its standard error, beside the costs of an arm and beside published figures."""
    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("", "BLiMP, %", "± SE", "parameters", "epochs", "minutes"):
        shown.add_column(title)
    for arm, row in found.items():
        for name, each in row["blimp"].items():
            label = f"{arm}, {name}" if UNTRAINED in name else name
            costs = (f"{row['parameters']:,}", f"{row['epochs']:.1f}", f"{row['training_seconds'] / 60:.0f}")
            shown.add_row(label, f"{100 * each['score']:.1f}", f"{100 * each['stderr']:.1f}", *costs)
    for name, score in PUBLISHED.items():
        shown.add_row(f"{name}, published", f"{score:.1f}", "", "", "", "")
    console.print(shown)
    sets = Table("set", *found, box=box.SIMPLE_HEAD)
    for name in sorted(next(iter(found.values()))["sets"]):
        sets.add_row(name, *(f"{100 * row['sets'][name]['score']:.1f}" for row in found.values()))
    console.print(sets)


app = typer.Typer(add_completion=False)


@app.command(help="A decoder, an encoder and a hybrid of ten million words, judged by BLiMP.")
def main(
    data: Annotated[Path, typer.Option(help="Folder with gutenberg/, wikinews/ and benchmarks/blimp/.")],
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/babylm"),
    only: Annotated[list[str] | None, typer.Option(help="Arms by name. Left out: all of them. Repeatable.")] = None,
    pairs: Annotated[int | None, typer.Option(min=1, help="Pairs drawn from all sets. Left out: all of them.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Every run in seconds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(json)
    if unknown := {*(only or ())} - {*ARMS}:
        raise ConfigError(f"no arm is named {', '.join(unknown)}", f"known: {', '.join(ARMS)}")
    runs.mkdir(parents=True, exist_ok=True)
    found = {arm: measured(arm, Study(data, runs, smoke, pairs)) for arm in only or ARMS}
    if json:
        emit({"arms": found, "published": PUBLISHED})
    else:
        print_table(found)


if __name__ == "__main__":
    with one_line_errors():
        app()
