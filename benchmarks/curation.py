"""Curation on one core beside datatrove and rensa: rules and duplicates, in megabytes of text a processor second.

    make curation-check                                       # the peers' environment, equal verdicts, and this
    python benchmarks/curation.py --data ../shared/data       # news, books and raw web pages
    python benchmarks/curation.py --texts FILE.jsonl

Each job reads the same texts, which are in memory. The peers run in .venv-curation, after each other and not beside.
Planted copies measure near duplicates: of each copy a share of the words is replaced, taken out or put in. A missing
peer is named and left out.
"""

from __future__ import annotations

import gzip
import json as jsons
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.table import Table

from lilliput.base.console import console, emit, use_json
from lilliput.base.errors import ConfigError
from lilliput.cli.main import one_line_errors
from lilliput.data.document import Document
from lilliput.data.steps import CorpusStep, Dropped, Step, decided
from lilliput.data.steps.duplicates import ExactDuplicates, NearDuplicates
from lilliput.data.steps.rules import C4, FineWeb, GopherQuality, GopherRepetition

ROOT = Path(__file__).parents[1]
PEERS = os.environ.get("LILLIPUT_CURATION_PEERS", str(ROOT / ".venv-curation" / "bin" / "python"))
WORKER = Path(__file__).with_name("workers") / "curation_peers.py"
RULES: tuple[Step, ...] = (GopherQuality(), GopherRepetition(), C4(), FineWeb())
EDITS = (0.01, 0.02, 0.05, 0.1)
"""Shares of the words of a planted copy that are edited."""
BATCH = 256
PEER_BYTES = 2_000_000
"""Text that a peer reads: datatrove's rules take five seconds for it."""


def news_and_books(data: Path, most: int) -> Iterator[str]:
    """Yield raw web pages, news, and pieces of children's books, a third of the characters each at most. Raises
    ConfigError for a folder without the files."""
    files = ("prose/c4_demo.jsonl", "wikinews/train.jsonl.gz", "gutenberg/children.train.jsonl.gz")
    for name in files:
        if not (data / name).is_file():
            raise ConfigError(f"{data} has no {name}", "give the folder that holds it: --data FOLDER")
        left = most // len(files)
        with (gzip.open if name.endswith(".gz") else open)(data / name, "rt", encoding="utf-8") as file:
            for line in file:
                text = jsons.loads(line)["text"]
                for piece in (text[place : place + 6000] for place in range(0, len(text), 6000)):
                    yield piece
                    left -= len(piece)
                if left <= 0:
                    break


def batches(texts: Sequence[str]) -> list[list[Document]]:
    """The texts as documents, in batches as a run has them."""
    documents = [Document(text, str(number)) for number, text in enumerate(texts)]
    return [documents[place : place + BATCH] for place in range(0, len(documents), BATCH)]


def seconds_of(job: Callable[[], Any]) -> float:
    """The processor seconds of a job."""
    began = time.process_time()
    job()
    return time.process_time() - began


def rules(texts: Sequence[str]) -> int:
    """Apply the four sets of rules in a row, and return the number of texts that are kept."""
    kept = 0
    for batch in batches(texts):
        for step in RULES:
            batch = [each for each in step.apply_all(batch) if not isinstance(each, Dropped)]
        kept += len(batch)
    return kept


def survey(step: CorpusStep, texts: Sequence[str]) -> int:
    """Apply a step that looks at all texts first, and return the number of texts that are dropped."""
    return sum(dropped_by(step, texts))


def peer(job: str, texts: Sequence[str]) -> dict[str, Any] | None:
    """Run a peer on texts, or return None where its environment is missing."""
    if not Path(PEERS).is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        path.write_text("".join(jsons.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([PEERS, str(WORKER), str(path), job], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise ConfigError(f"the peer failed: {done.stderr.strip().splitlines()[-1]}", "make curation-check")
    return jsons.loads(done.stdout.splitlines()[-1])


def edited(text: str, rate: float, rng: random.Random, words: Sequence[str]) -> str:
    """The text with this share of its words replaced, taken out or followed by another, a third each."""
    found: list[str] = []
    for word in text.split():
        kind = rng.random() / rate * 3 if rate else 3.0
        found += [word] if kind >= 3 else [[rng.choice(words)], [], [word, rng.choice(words)]][int(kind)]
    return " ".join(found)


def planted(texts: Sequence[str]) -> list[dict[str, float]]:
    """Recall and precision of near duplicates by the share of edited words, on copies of texts that are alike to none
    before."""
    rng = random.Random(1)
    long = [text for text in texts if len(text.split()) >= 60][:1000]
    step = NearDuplicates()
    unique = [text for text, dropped in zip(long, dropped_by(step, long), strict=True) if not dropped]
    words = [word for text in unique[:200] for word in text.split()]
    rows = []
    for rate in EDITS:
        dropped = dropped_by(step, [*unique, *(edited(text, rate, rng, words) for text in unique)])
        right, wrong = sum(dropped[len(unique) :]), sum(dropped[: len(unique)])
        precision = right / (right + wrong) if right + wrong else float("nan")
        rows.append({"edited": rate, "copies": len(unique), "recall": right / len(unique), "precision": precision})
    return rows


def dropped_by(step: CorpusStep, texts: Sequence[str]) -> list[bool]:
    """Which texts a step drops."""
    return [isinstance(each, Dropped) for batch in decided(step, batches(texts)) for each in batch]


def measured(texts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Return megabytes a processor second of each job (the median of rounds), ours and the peers', and recall."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    jobs: dict[str, Callable[[], Any]] = {
        "rules": lambda: rules(texts),
        "near duplicates": lambda: survey(NearDuplicates(), texts),
        "exact documents": lambda: survey(ExactDuplicates(), texts),
        "exact paragraphs": lambda: survey(ExactDuplicates(of="paragraphs"), texts),
    }
    few, left = list[str](), PEER_BYTES
    for text in texts:
        if left > 0:
            few.append(text)
            left -= len(text.encode())
    part = sum(len(text.encode()) for text in few) / 1e6
    rules(texts[:20])  # the table of characters is made
    ours: dict[str, list[float]] = {name: [] for name in jobs}
    theirs: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, job in jobs.items():
            ours[name].append(size / seconds_of(job))
        for name in ("rules", "minhash", "rensa"):
            if (found := peer(name, few)) is not None:
                theirs.setdefault(f"{'datatrove' if name != 'rensa' else 'rensa'}, {name}", []).append(
                    part / found["seconds"]
                )
    middle = {name: float(np.median(each)) for name, each in {**ours, **theirs}.items()}
    return {"megabytes": size, "speed": middle, "near_duplicates": planted(texts)}


app = typer.Typer(add_completion=False)


@app.command(help="Rules and duplicates beside datatrove and rensa, in megabytes a processor second.")
def main(
    data: Annotated[Path | None, typer.Option(help="Folder with prose/, wikinews/ and gutenberg/.")] = None,
    texts: Annotated[Path | None, typer.Option(help="JSON lines with a field `text`, in their place.")] = None,
    megabytes: Annotated[float, typer.Option(min=0.01, help="Text that is read.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the median is taken.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(json)
    if (data is None) == (texts is None):
        raise ConfigError("give one of --data and --texts", "python benchmarks/curation.py --data ../shared/data")
    if texts is not None:
        with texts.open(encoding="utf-8") as file:
            read = [jsons.loads(line)["text"] for line in file]
    else:
        assert data is not None
        read = list(news_and_books(data, int(megabytes * 1e6)))
    random.Random(1).shuffle(read)
    found = measured(read, rounds)
    if json:
        emit(found)
        return
    shown = Table("one core", "MB of text a processor second", box=box.SIMPLE_HEAD)
    for name, speed in found["speed"].items():
        shown.add_row(name, f"{speed:,.2f}" if speed < 10 else f"{speed:,.0f}")
    console.print(shown)
    copies = Table("words edited", "recall", "precision", "copies", box=box.SIMPLE_HEAD)
    for row in found["near_duplicates"]:
        copies.add_row(f"{row['edited']:.0%}", f"{row['recall']:.3f}", f"{row['precision']:.3f}", str(row["copies"]))
    console.print(copies)
    if not Path(PEERS).is_file():
        console.print("datatrove and rensa are not installed: make curation-check")


if __name__ == "__main__":
    with one_line_errors():
        app()
