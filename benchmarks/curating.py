"""What curation gives a small model: raw against curated text, single steps, and rewriting words against filtering.

    python benchmarks/curating.py corpora --data ../shared/data --seeds 5    # raw and curated: web pages, news, books
    python benchmarks/curating.py steps --data ../shared/data --seeds 5      # each step of the profile web alone
    python benchmarks/curating.py words --data ../shared/data --seeds 5      # plain words, or only easy documents
    python benchmarks/curating.py corpora --data ../shared/data --smoke      # in seconds, to see that all of it works

Every arm trains a new model of the same shape with the tokenizer of the raw text. "Equal tokens": as many steps as the
raw text has. "Equal source text": as many epochs, so that an arm whose text is shorter takes fewer steps. It prints
bits per byte on held-out documents of the same sort that the profile has kept, BLiMP, and differences from the raw text
seed by seed.
"""

from __future__ import annotations

import gzip
import json as jsons
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

import lilliput
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.statistics import mean_of
from lilliput.cli.main import one_line_errors
from lilliput.data.infer import infer_sources
from lilliput.data.profiles import PROFILES
from teaching import QUICK
from whole_runs import train_whole

STEPS, BATCH_TOKENS = 400, 2048
"""Steps of the raw text: 0.8M tokens."""
BYTES = 4_000_000
"""Text of each corpus at most."""
HELD_BYTES = 300_000
FILES = {
    "pages": ("prose/c4_demo.jsonl", None, "web"),
    "news": ("wikinews/train.jsonl.gz", "wikinews/valid.jsonl.gz", "web"),
    "books": ("gutenberg/children.train.jsonl.gz", "gutenberg/children.valid.jsonl.gz", "books"),
}
"""The training file, the held-out file and the profile of each corpus. Of the pages, every fifth is held out."""
EASY = "prose/picture_books.jsonl"
WORDS: dict[str, list[dict[str, Any]]] = {
    "plain words": [{"kind": "substitute", "words": "plain"}],
    "easy documents": [{"kind": "readability", "max_grade": 10.0}],
}


@dataclass(frozen=True)
class Study:
    """The folder of real data, that of the corpora and runs, the number of seeds, and whether all is tiny."""

    data: Path
    runs: Path
    seeds: int
    smoke: bool = False


def texts(path: Path, most: int) -> Iterator[str]:
    """Yield the documents of a file up to so many bytes."""
    (source,) = infer_sources([str(path)])
    size = 0
    for document in source.documents():
        yield document.text
        size += len(document.text.encode())
        if size >= most:
            return


def write(path: Path, rows: Iterator[str] | Sequence[str]) -> Path:
    """Write texts as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(jsons.dumps({"text": text}) + "\n" for text in rows)
    return path


def raw_files(corpus: str, study: Study) -> tuple[Path, Path]:
    """Write the training text and the held-out text of a corpus. The held-out text is curated by its profile."""
    train, held, profile = FILES[corpus]
    most = 40_000 if study.smoke else BYTES
    folder = study.runs / "corpora" / corpus
    if held is None:
        pages = list(texts(study.data / train, most))
        parts = [text for number, text in enumerate(pages) if number % 5], pages[::5]
    else:
        parts = list(texts(study.data / train, most)), list(texts(study.data / held, min(most, HELD_BYTES)))
    paths = [write(folder / name / "raw.jsonl.gz", part) for name, part in zip(("train", "held"), parts, strict=True)]
    return paths[0], curated(paths[1], [], profile, folder / "held" / profile)


def curated(path: Path, steps: Sequence[Mapping[str, Any]], profile: str, out: Path) -> Path:
    """Return the folder of a file's documents behind steps."""
    source = {"kind": "jsonl", "paths": [str(path)], "profile": profile}
    config = lilliput.CorpusConfig.model_validate({"sources": [source], "steps": [*steps]})
    lilliput.prepare(config, out)
    return out / "documents"


def size_of(folder: Path) -> int:
    """Return the UTF-8 bytes of the documents in a folder or a file."""
    return sum(len(text.encode()) for text in texts(folder, 2**40))


def trained(name: str, path: Path, steps: int, seed: int, tokenizer: Path | None, study: Study) -> Path:
    """Train a run on a file or folder, or find it finished. Return its folder."""
    source = {"kind": "jsonl", "paths": [str(path)]}
    made = [f"data.sources={jsons.dumps([source])}", f"train.steps={steps}", "train.epochs=null", "data.packing=auto"]
    made += ["evaluate.samples=0", "evaluate.heroes=0", "evaluate.final_heroes=0", "evaluate.baselines=[]"]
    made += [f"evaluate.steps={steps}", f"train.batch_tokens={BATCH_TOKENS}", "data.steps=[]"]
    made += [f"tokenizer.path={tokenizer}"] if tokenizer else ["tokenizer.vocab_size=4096"]
    if study.smoke:
        made += ["model.d_model=32", "model.n_layers=1", "model.n_heads=2", "train.batch_tokens=256", *QUICK]
        made += [] if tokenizer else ["tokenizer.vocab_size=400"]
    return train_whole("story", made, name=f"{name}-{seed}", runs=study.runs, seed=seed)


def measured(run: Path, held: Mapping[str, Path], study: Study) -> dict[str, float]:
    """Return bits per byte of each held-out text, and BLiMP where the data folder has it."""
    quiet = {"controls": False, "notify": lambda text: None}
    found: dict[str, float] = {}
    for name, path in held.items():
        table = lilliput.score_text(run, str(path), orders=(), **quiet).as_dict()
        found[name] = table["bits_per_byte"]
    rows = lilliput.benchmark(
        run, ["blimp"], task_data=study.data / "benchmarks", max_items=68 if study.smoke else 1700, **quiet
    )
    (row,) = (row for row in rows if row["metric"] == "acc")
    found["BLiMP"] = next(iter(row["scores"].values()))["score"]
    return found


def compared(
    corpus: str, arms: Mapping[str, tuple[Path, int]], held: Mapping[str, Path], study: Study
) -> dict[str, Any]:
    """Train and measure every arm for every seed. The first arm is the raw text, whose tokenizer all use."""
    found: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms}
    tokenizer: Path | None = None
    for seed in range(1, study.seeds + 1):
        for arm, (path, steps) in arms.items():
            name = f"{corpus}-{arm}".replace(", ", "-").replace(" ", "-")
            print_line(f"{name}-{seed}: {steps} steps")
            run = trained(name, path, steps, seed, tokenizer, study)
            tokenizer = tokenizer or run
            found[arm].append(measured(run, held, study))
    return {
        arm: {"steps": arms[arm][1], "bytes": size_of(arms[arm][0]), "seeds": rows, **differences(rows, found)}
        for arm, rows in found.items()
    }


def differences(
    rows: Sequence[Mapping[str, float]], found: Mapping[str, Sequence[Mapping[str, float]]]
) -> dict[str, Any]:
    """Return the mean difference from the raw text of each figure, with its 95% interval over seeds."""
    raw = next(iter(found.values()))
    if rows is raw or len(rows) < 2:
        return {}
    pairs = {key: mean_of([one[key] - other[key] for one, other in zip(rows, raw, strict=True)]) for key in rows[0]}
    return {"less_raw": {key: {"mean": each.mean, "margin": each.margin} for key, each in pairs.items()}}


def print_table(title: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the arms of a study: their text, figures over seeds, and differences from the raw text."""
    keys = list(next(iter(found.values()))["seeds"][0])
    shown = Table(title=title, box=box.SIMPLE_HEAD)
    for name in ("", "MB", "steps", *keys, *(f"{key} less raw" for key in keys)):
        shown.add_column(name)
    for arm, row in found.items():
        cells = [f"{row['bytes'] / 1e6:.2f}", f"{row['steps']:,}"]
        for key in keys:
            values = [one[key] for one in row["seeds"]]
            cells.append(f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else ""))
        for key in keys:
            less = row.get("less_raw", {}).get(key)
            cells.append(f"{less['mean']:+.4f} ± {less['margin']:.4f}" if less else "")
        shown.add_row(arm, *cells)
    console.print(shown)


def steps_in(study: Study) -> int:
    return 12 if study.smoke else STEPS


def corpora(study: Study) -> dict[str, Any]:
    """Compare raw and curated text of each corpus."""
    found = {}
    for corpus, (_, _, profile) in FILES.items():
        train, held = raw_files(corpus, study)
        clean = curated(train, [], profile, study.runs / "corpora" / corpus / profile)
        steps = steps_in(study)
        fewer = max(1, round(steps * size_of(clean) / size_of(train)))
        arms = {
            "raw": (train, steps),
            "curated, equal tokens": (clean, steps),
            "curated, equal source text": (clean, fewer),
        }
        if profile != "web":
            arms["by the profile web"] = (curated(train, [], "web", study.runs / "corpora" / corpus / "web"), steps)
        found[corpus] = compared(corpus, arms, {"held out": held}, study)
    return found


def single_steps(study: Study) -> dict[str, Any]:
    """Compare the raw pages with pages behind each step of the profile web alone, at equal tokens."""
    train, held = raw_files("pages", study)
    arms = {"raw": (train, steps_in(study))}
    for step in PROFILES["web"]:
        folder = study.runs / "corpora" / "pages" / f"only-{step['kind']}"
        out = curated(train, [step], "none", folder)
        changed = list(texts(out, 2**40)) != list(texts(train, 2**40))
        if changed:
            arms[step["kind"]] = (out, steps_in(study))
    return {"pages": compared("pages", arms, {"held out": held}, study)}


def words(study: Study) -> dict[str, Any]:
    """Compare raw news with news in plain words, and with the easy documents alone, at equal tokens."""
    train, held = raw_files("news", study)
    easy = write(study.runs / "corpora" / "easy.jsonl.gz", texts(study.data / EASY, HELD_BYTES))
    arms = {"raw": (train, steps_in(study))}
    for name, steps in WORDS.items():
        folder = study.runs / "corpora" / "news" / name.replace(" ", "-")
        arms[name] = (curated(train, steps, "none", folder), steps_in(study))
    return {"news": compared("news", arms, {"held out": held, "picture books": easy}, study)}


STUDIES = {"corpora": corpora, "steps": single_steps, "words": words}
app = typer.Typer(add_completion=False)


@app.command(help="Raw against curated text, over seeds.")
def main(
    study: Annotated[str, typer.Argument(help="corpora, steps or words.")],
    data: Annotated[Path, typer.Option(help="Folder with prose/, wikinews/, gutenberg/ and benchmarks/blimp/.")],
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 5,
    runs: Annotated[Path, typer.Option(help="Folder of the corpora and runs.")] = Path("runs/curating"),
    smoke: Annotated[bool, typer.Option("--smoke", help="Every run in seconds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(json)
    if study not in STUDIES:
        raise typer.BadParameter(f"one of {', '.join(STUDIES)}", param_hint="study")
    runs.mkdir(parents=True, exist_ok=True)
    found = STUDIES[study](Study(data, runs, seeds, smoke))
    for title, table in found.items():
        print_table(title, table)
    if json:
        emit(found)


if __name__ == "__main__":
    with one_line_errors():
        app()
