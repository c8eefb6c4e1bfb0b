"""What pretraining gives a model that is fine-tuned: classes of stories and of sentences, questions, entities,
neighbours.

    python benchmarks/encoders.py --data ../shared/data     # all parts: about two hours of one core
    python benchmarks/encoders.py --parts plots,neighbours  # the story world alone, which needs no files
    python benchmarks/encoders.py --parts sentiment,entities --data ../shared/data --from RUN
    python benchmarks/encoders.py --smoke                   # every run in seconds, to see that all of it works

Encoders with ModernBERT's and BERT's parts are pretrained on the story world, and one on news (wikinews in --data).
With --from, sentiment and entities begin with a run of one's own. The questions take a decoder beside an encoder, each
pretrained by its whole recipe. Each part compares a model that begins with these weights, the same model with new
weights, and answers that need no language model. New weights are trained at the rates of pretraining. Pretrained
weights are trained at a quarter of these rates, as the recipes do, at half of them for the questions, and those of
ModernBERT's parts at the full rates too. A run that was finished in --runs is not trained again.
"""

from __future__ import annotations

import gzip
import json as jsons
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.table import Table

import lilliput
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import ConfigError
from lilliput.base.statistics import mean_of, wilson
from lilliput.cli.main import one_line_errors
from lilliput.data.story_labels import StoryLabels
from lilliput.generation.vectors import cosines, means
from lilliput.model.transformer import Model
from lilliput.objectives.bag_of_words import baselines
from whole_runs import train_whole

STYLES = {"modernbert": "modernbert_1.3m", "bert": "bert_1.4m"}
FOLDS = 5
FAST = "{kind: muon, learning_rate: 0.008, embedding_learning_rate: 0.05, muon_learning_rate: 0.014}"
"""The rates of pretraining, for new weights."""
HALF = "{kind: muon, learning_rate: 0.004, embedding_learning_rate: 0.02, muon_learning_rate: 0.007}"
"""Half of these rates, for the questions."""
ARMS = ("pretrained", "pretrained at full rates", "new")
SMALL = ("model.d_model=32", "model.n_layers=1", "model.n_heads=2", "model.d_mlp=64")
Row = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """The folder of the runs, the folder of real data (None: the story world alone), the number of seeds, the steps of
    pretraining, of fine-tuning on plots and on questions, whether all is tiny, and a pretrained run for the parts of
    real text (None: one on news)."""

    runs: Path
    data: Path | None = None
    seeds: int = 2
    steps: int = 600
    tuning: int = 80
    questions: int = 5000
    smoke: bool = False
    source: Path | None = None


def train(study: Study, recipe: str, name: str, overrides: Sequence[str], **given: Any) -> Path:
    """Train a run, or find it finished. Returns its folder. Raises ConfigError for a run that was interrupted."""
    print_line(f"{name}: {recipe} {' '.join(overrides)}")
    return train_whole(recipe, overrides, name=name, runs=study.runs, **given)


def pretrained(study: Study, style: str, text: str = "story") -> Path:
    """An encoder that learned to fill in masks, on the story world or on news."""
    overrides = [f"model.style={STYLES[style]}", f"train.steps={study.steps}", "train.epochs=null"]
    overrides += ["evaluate.steps=100000", "evaluate.final_tokens=20000"]
    if study.smoke:
        overrides += [*SMALL, "train.steps=8", "tokenizer.vocab_size=400", "evaluate.final_tokens=2000"]
    if text == "story":
        overrides += [f"data.sources=[{{kind: story, stories: {300 if study.smoke else 6000}}}]"]
        return train(study, "masked", f"masked-{style}-story", overrides)
    return train(study, "masked", f"masked-{style}-news", [*overrides, *_news(study)])


def source_of(study: Study) -> Path:
    """The run that sentiment and entities begin with."""
    return study.source or pretrained(study, "modernbert", "news")


def _news(study: Study) -> list[str]:
    """Overrides for the first articles of wikinews: text of about as many tokens as are read."""
    assert study.data is not None
    path, out = study.data / "wikinews" / "train.jsonl.gz", study.runs / "news.jsonl"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [next(file) for _ in range(40 if study.smoke else 4000)]
    out.write_text("".join(lines), encoding="utf-8")
    return [f"data.sources=[{{kind: jsonl, paths: ['{out}']}}]", "data.packing=auto"]


def begun(source: Path, arm: str) -> tuple[list[str], dict[str, Any]]:
    """Overrides and options of a run that begins with the weights of `source`, or with new weights of the same shape
    and with its tokenizer."""
    if arm != "new":
        return [] if arm == "pretrained" else [f"train.optimizer={FAST}"], {"from_": source}
    shape = jsons.loads((newest(source) / "config.json").read_text())["lilliput"]["config"]
    sizes = {"d_model", "n_layers", "n_heads", "d_mlp"}
    own = [f"model.{key}={value}" for key, value in shape.items() if key in sizes]
    return [f"model.style={shape['style']}", *own, f"tokenizer.path={source}", f"train.optimizer={FAST}"], {}


def newest(run: Path) -> Path:
    """The model folder of a run's last checkpoint."""
    return sorted(run.glob("checkpoints/step-*/model"))[-1]


# ---------------------------------------------------------------------------- the story world


def plots(study: Study) -> list[Row]:
    """The plot of a story, one of 18: accuracies on the same held-out stories."""
    stories = 200 if study.smoke else 1600
    usual = [f"data.sources=[{{kind: story_labels, stories: {stories}, field: plot}}]", "data.validation_fraction=0.25"]
    usual += [f"train.steps={2 if study.smoke else study.tuning}", "train.batch_tokens=4096", "train.epochs=null"]
    usual += ["evaluate.steps=100000", "evaluate.final_tokens=1000000"]
    arms: list[tuple[str, str, str, list[str]]] = [
        *((f"modernbert, {arm}", "modernbert", arm, []) for arm in ARMS),
        ("modernbert, pretrained, first position", "modernbert", "pretrained", ["objective.pooling=first"]),
        *((f"bert, {arm}", "bert", arm, []) for arm in ("pretrained", "new")),
    ]
    rows, simple = list[Row](), dict[str, float]()
    items = 0
    for title, style, arm, more in arms:
        source, found = pretrained(study, style), list[float]()
        for seed in range(1, study.seeds + 1):
            overrides, given = begun(source, arm)
            name = f"plots-{title.replace(', ', '-').replace(' ', '-')}-{seed}"
            run = train(study, "classify", name, [*usual, *overrides, *more], seed=seed, **given)
            summary = lilliput.Run(run).summary
            found.append(summary["val_accuracy"])
            items, simple = summary["val_items"], summary["baselines"]
        rows.append(accuracy(title, found, items))
    return [*(accuracy(name, [1 - error], items) for name, error in simple.items()), *rows]


def accuracy(title: str, found: Sequence[float], items: int) -> Row:
    """The mean accuracy over seeds, with Wilson's interval of that mean on `items` rows, and each seed's accuracy."""
    mean = mean_of(found).mean
    low, high = wilson(round(mean * items), items)
    return {"model": title, "accuracy": mean, "low": low, "high": high, "items": items, "seeds": list(found)}


def questions(study: Study) -> list[Row]:
    """Whether an answer about a short story is right, on the same held-out stories: by a decoder and an encoder that
    were pretrained by the recipes `story` and `masked`, and by new weights."""
    usual = [f"data.sources=[{{kind: story_labels, field: answer, stories: {400 if study.smoke else 20_000}}}]"]
    usual += ["objective.labels=[wrong,right]", "train.batch_tokens=4096", "train.epochs=null"]
    usual += [f"train.steps={2 if study.smoke else study.questions}", f"train.optimizer={HALF}"]
    usual += ["evaluate.steps=100000", "evaluate.final_tokens=1000000"]
    rows, simple, items = list[Row](), dict[str, float](), 0
    for title, recipe in (("decoder", "story"), ("encoder", "masked")):
        small = [*SMALL, "train.steps=8", "tokenizer.vocab_size=400", "data.sources=[{kind: story, stories: 300}]"]
        heroes = ["evaluate.heroes=0", "evaluate.final_heroes=0"] if recipe == "story" else []
        source = train(study, recipe, f"whole-{recipe}", [*heroes, *(small if study.smoke else [])])
        for arm in ("pretrained", "new"):
            overrides, given = begun(source, arm)
            run = train(study, "classify", f"questions-{title}-{arm}", [*usual, *overrides], **given)
            summary = lilliput.Run(run).summary
            items, simple = summary["val_items"], summary["baselines"]
            rows.append(accuracy(f"{title}, {arm}", [summary["val_accuracy"]], items))
    return [*(accuracy(name, [1 - error], items) for name, error in simple.items()), *rows]


def neighbours(study: Study) -> list[Row]:
    """How often the story that is nearest to a story has the same plot, among stories that no run has read."""
    source = StoryLabels(stories=60 if study.smoke else 600, seed=7)
    documents = list(source.documents())
    texts = [document.text for document in documents]
    labels = [document.example.row["label"] for document in documents if document.example]
    counts = Counter(labels)
    chance = sum(count * (count - 1) for count in counts.values()) / (len(labels) * (len(labels) - 1))
    rows = [{"model": "chance", "accuracy": chance, "items": len(labels)}]
    rows.append(_nearest("words in common", _bags(texts), labels))
    for style in STYLES:
        run = pretrained(study, style)
        rows.append(_nearest(f"{style}, pretrained", lilliput.embed(run, texts, notify=lambda text: None), labels))
        rows.append(_nearest(f"{style}, new", _untrained(run, texts), labels))
    return rows


def _nearest(title: str, vectors: np.ndarray, labels: Sequence[str]) -> Row:
    likeness = cosines(vectors, vectors)
    np.fill_diagonal(likeness, -np.inf)
    right = sum(labels[int(row.argmax())] == label for row, label in zip(likeness, labels, strict=True))
    return accuracy(title, [right / len(labels)], len(labels))


def _bags(texts: Sequence[str]) -> np.ndarray:
    """(texts, words) float32: the words that a text has, each weighed by the logarithm of its rarity."""
    bags = [set(re.findall(r"\w+", text.lower())) for text in texts]
    counts = Counter(word for bag in bags for word in bag)
    places = {word: place for place, word in enumerate(sorted(counts))}
    found = np.zeros((len(texts), len(places)), np.float32)
    for row, bag in enumerate(bags):
        for word in bag:
            found[row, places[word]] = np.log(len(texts) / counts[word])
    return found


def _untrained(run: Path, texts: Sequence[str]) -> np.ndarray:
    """The vectors by a model of the same shape with new weights."""
    loaded = lilliput.load(run, notify=lambda text: None, compile=False)
    tokenizer, model = loaded.tokenizer, Model(loaded.model.config, seed=1).eval()
    length = model.config.context_length
    rows = [[tokenizer.bos_id, *ids, tokenizer.eos_id][:length] for ids in tokenizer.encode_batch(list(texts))]
    return means(model, [np.array(row, np.int64) for row in rows])


# ---------------------------------------------------------------------------- real text


def sentiment(study: Study) -> list[Row]:
    """Whether a sentence of a film review is positive (SST-2): the 872 published validation sentences in five folds,
    each held out once."""
    assert study.data is not None
    with gzip.open(study.data / "benchmarks" / "raw" / "glue.sst2.validation.jsonl.gz", "rt") as file:
        given = [jsons.loads(line) for line in file][: 60 if study.smoke else None]
    right: Counter[str] = Counter()
    for fold in range(2 if study.smoke else FOLDS):
        held = [row for place, row in enumerate(given) if place % FOLDS == fold]
        rest = [row for place, row in enumerate(given) if place % FOLDS != fold]
        texts, labels = ([[row[key] for row in side] for side in (rest, held)] for key in ("sentence", "label"))
        for name, error in baselines(texts, labels, 2).items():
            right[name] += round((1 - error) * len(held))
        for arm in ARMS:
            run = _sentiment_run(study, arm, fold, rest)
            found = lilliput.score(run, texts[1], notify=lambda text: None)
            right[f"{_title(study)}, {arm}"] += sum(
                one["label"] == ("negative", "positive")[label] for one, label in zip(found, labels[1], strict=True)
            )
    items = sum(place % FOLDS < (2 if study.smoke else FOLDS) for place in range(len(given)))
    return [accuracy(name, [count / items], items) for name, count in right.items()]


def _title(study: Study) -> str:
    return "modernbert" if study.source is None else study.source.name


def _sentiment_run(study: Study, arm: str, fold: int, rows: Sequence[Row]) -> Path:
    path = study.runs / f"sst2-{fold}.jsonl"
    path.write_text("".join(jsons.dumps({"sentence": row["sentence"], "label": row["label"]}) + "\n" for row in rows))
    overrides, options = begun(source_of(study), arm)
    usual = [f"data.sources=[{{kind: jsonl, paths: ['{path}']}}]", "objective.labels=[negative,positive]"]
    usual += ["model.context_length=64", "train.batch_tokens=2048", f"train.epochs={1 if study.smoke else 6}"]
    usual += ["train.steps=200", "train.least_steps=null", "evaluate.steps=100000"]
    name = f"{source_of(study).name}-{arm.replace(' ', '-')}"
    return train(study, "classify", f"sst2-{name}-{fold}", [*overrides, *usual], **options)


def entities(study: Study) -> list[Row]:
    """F1 of the entities of WNUT-17's training file, of which 15% of the sentences are held out."""
    assert study.data is not None
    path = study.data / "tables" / "wnut17.train.conll.gz"
    kinds = "[corporation,creative-work,group,location,person,product]"
    usual = [f"data.sources=[{{kind: conll, paths: ['{path}']}}]", f"objective.labels={kinds}"]
    usual += ["data.validation_fraction=0.15", "model.context_length=128", "train.batch_tokens=4096"]
    usual += [f"train.epochs={0.1 if study.smoke else 5}", "train.steps=100000", "train.least_steps=null"]
    usual += ["evaluate.steps=100000", "evaluate.final_tokens=1000000"]
    source, rows, simple = source_of(study), list[Row](), dict[str, float]()
    for arm in ARMS:
        overrides, options = begun(source, arm)
        name = f"{source.name}-{arm.replace(' ', '-')}"
        run = train(study, "tag", f"wnut-{name}", [*overrides, *usual], **options)
        summary = lilliput.Run(run).summary
        keys = {"f1": "val_f1", "precision": "val_precision", "recall": "val_recall", "items": "val_entities"}
        rows.append({"model": f"{_title(study)}, {arm}", **{ours: summary[key] for ours, key in keys.items()}})
        simple = summary["baselines"]
    return [*({"model": name, "f1": 1 - error} for name, error in simple.items()), *rows]


PARTS: dict[str, tuple[Callable[[Study], list[Row]], bool]] = {
    "plots": (plots, False),
    "questions": (questions, False),
    "neighbours": (neighbours, False),
    "sentiment": (sentiment, True),
    "entities": (entities, True),
}
"""The parts of the study, and whether each needs --data."""


def print_rows(part: str, rows: Sequence[Row]) -> None:
    """Print a table of one part."""
    shown = Table(box=box.SIMPLE_HEAD)
    keys = [
        key for key in ("accuracy", "low", "high", "f1", "precision", "recall", "items") if any(key in r for r in rows)
    ]
    for title in (part, *keys):
        shown.add_column(title, justify="left" if title == part else "right")
    for row in rows:
        cells = (row.get(key, "") for key in keys)
        shown.add_row(row["model"], *(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells))
    console.print(shown)


app = typer.Typer(add_completion=False)


@app.command(help="Pretrain encoders, fine-tune them, and compare them with new weights and simple answers.")
def main(
    parts: Annotated[str, typer.Option(help=f"Which of {', '.join(PARTS)}; left out: all that have data.")] = "",
    data: Annotated[Path | None, typer.Option(help="The folder with wikinews/, benchmarks/raw/ and tables/.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/encoders"),
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds of the runs on plots.")] = 2,
    source: Annotated[Path | None, typer.Option("--from", help="A pretrained run for the parts of real text.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Every run in seconds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(json)
    names = [name for name in parts.split(",") if name] or [name for name in PARTS if data or not PARTS[name][1]]
    if odd := [name for name in names if name not in PARTS]:
        raise ConfigError(f"{', '.join(odd)} is no part of the study", f"choose among {', '.join(PARTS)}")
    if lacking := [name for name in names if PARTS[name][1] and data is None]:
        raise ConfigError(f"{', '.join(lacking)} needs files of real data", "name their folder: --data FOLDER")
    runs.mkdir(parents=True, exist_ok=True)
    study = Study(runs.absolute(), None if data is None else data.absolute(), seeds, smoke=smoke, source=source)
    found = {name: PARTS[name][0](study) for name in names}
    if json:
        emit({"seeds": seeds, **found})
        return
    for name, rows in found.items():
        print_rows(name, rows)


if __name__ == "__main__":
    with one_line_errors():
        app()
