"""Bits per byte of a model by source and in total, beside controls: untrained weights, other runs, n-gram models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import Recipe, recipe_of, recipe_or_none
from lilliput.base.console import say as print_line
from lilliput.base.damage import set_aside
from lilliput.base.errors import ConfigError
from lilliput.base.files import write_json
from lilliput.base.reading import read_object
from lilliput.data.curation import Curation
from lilliput.data.document import Document
from lilliput.data.infer import named_texts
from lilliput.data.rows import Encoded
from lilliput.evaluation.bits_per_byte import FixedSet, Score
from lilliput.evaluation.ngram import training_ngrams
from lilliput.evaluation.sources import SourceScores, ngram_sources, parts, score_sources
from lilliput.generation.storyteller import Storyteller, load
from lilliput.model.transformer import Model
from lilliput.objectives.objective import BITS
from lilliput.runs.finding import find
from lilliput.runs.run_folder import RunFolder

UNTRAINED = "untrained weights"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TextTable:
    """Scores by source and in total, and the controls' bits per byte: {control: {source: ..., "total": ...}}."""

    sources: dict[str, Score]
    total: Score
    controls: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values: the total's on top, as a single score has them."""
        sources = {name: asdict(score) for name, score in self.sources.items()}
        return {**asdict(self.total), "sources": sources, "controls": self.controls}


def evaluate(
    path: str | Path,
    data: str | Sequence[str] = (),
    *,
    device: str = "auto",
    max_tokens: int | None = None,
    say: Say = print_line,
) -> Score:
    """Bits per byte of the model at `path` (a run, a checkpoint, a Hugging Face folder): on the validation split of the
    run's own data, or on all documents in `data`. Raises ConfigError when a folder of another origin comes without
    data."""
    return score_text(path, data, device=device, max_tokens=max_tokens, controls=False, say=say).total


def score_text(
    path: str | Path,
    data: str | Sequence[str] = (),
    *,
    fit: Sequence[str] = (),
    against: Sequence[str | Path] = (),
    controls: bool = True,
    orders: Sequence[int] | None = None,
    stride: int | None = None,
    device: str = "auto",
    max_tokens: int | None = None,
    say: Say = print_line,
) -> TextTable:
    """`evaluate` with a row a source (each entry of `data`; else each file or source of the run's validation split) and
    controls: the same shape with untrained weights, the models at `against` (a second seed), and n-gram models of
    `orders` (the recipe's, where None) counted on the run's training tokens, where the model belongs to a run. A whole
    run's table is kept in its evaluation.json.

    `fit` holds overrides of how `data` is read, such as `data.sources.0.column=body`. `max_tokens` scores a fixed part
    of the validation split, or the first documents of each text. Raises ConfigError as `evaluate` does, and for a model
    in `against` with another tokenizer or direction when there is no `data` to encode for it."""
    paths = [data] if isinstance(data, str) else list(data)
    teller = load(path, device, say)
    if teller.objective.figure != BITS:
        raise ConfigError(
            f"{path} was trained by the objective '{teller.objective.kind}', which does not predict each token from "
            "those before it: it has no bits per byte of text",
            "its own figures are in the summary.json and report.html of its run",
        )
    sets = _sets(teller, path, paths, fit, str(find(path)), max_tokens, say)
    scores = score_sources(teller.model, sets, stride)
    table = TextTable(scores.by_source, scores.total)
    if controls:
        blank = Model(teller.model.config, seed=0).to(next(teller.model.parameters()).device)
        table.controls[UNTRAINED] = _bits(score_sources(blank, sets, stride))
        table.controls.update(_ngrams(teller, path, sets, orders, say))
    for other in against:
        rival = load(other, device, say)
        same = rival.tokenizer.sha256 == teller.tokenizer.sha256 and rival.objective == teller.objective
        if not same and not paths:
            raise ConfigError(
                f"{other} cuts text into other tokens than {path} does", "name the text to score both on: --data FILES"
            )
        theirs = sets if same else _sets(rival, other, paths, fit, str(find(path)), max_tokens, say)
        table.controls[str(other)] = _bits(score_sources(rival.model, theirs, stride))
    keep(path, "text", table.as_dict())
    return table


def _bits(scores: SourceScores) -> dict[str, float]:
    return {name: score.bits_per_byte for name, score in scores.by_source.items()} | {
        "total": scores.total.bits_per_byte
    }


def _sets(
    teller: Storyteller,
    path: str | Path,
    paths: Sequence[str],
    fit: Sequence[str],
    tokenizer: str,
    max_tokens: int | None,
    say: Say,
) -> dict[str, FixedSet]:
    if paths:
        texts = named_texts(paths, fit, tokenizer)
        return {name: _encoded(teller, list(documents), max_tokens) for name, documents in texts.items()}
    split = dataset(recipe_of(path), say).split("validation")
    return parts(split, teller.tokenizer.token_bytes(), source_of, max_tokens)


def _encoded(teller: Storyteller, documents: Sequence[Document], max_tokens: int | None) -> FixedSet:
    """Documents as the model reads them; with `max_tokens`, whole ones from the first on until that many are
    reached."""
    encoded = [
        [row] if isinstance(row, Encoded) else row for row in teller.objective.encode(documents, teller.tokenizer)
    ]
    if max_tokens is not None:
        seen = np.cumsum([0, *(sum(len(each.ids) for each in rows) for rows in encoded)])
        kept = max(1, int((seen[:-1] < max_tokens).sum()))
        encoded, documents = encoded[:kept], documents[:kept]
    size = sum(document.size for document in documents)
    return FixedSet.of([each for rows in encoded for each in rows], teller.tokenizer.token_bytes(), size)


def source_of(document_id: str) -> str:
    """The file or source that a document came from: its id without its number."""
    return re.sub(r"[#:]\d+$", "", document_id)


def _ngrams(
    teller: Storyteller, path: str | Path, sets: dict[str, FixedSet], orders: Sequence[int] | None, say: Say
) -> dict[str, dict[str, float]]:
    recipe = recipe_or_none(path)
    if recipe is None:
        say(f"{path} belongs to no run: there is no training text to count n-grams on")
        return {}
    chosen = recipe.evaluate.baselines if orders is None else orders
    if not chosen:
        return {}
    train = dataset(recipe, say).split("train")
    size = teller.tokenizer.vocab_size
    return ngram_sources(training_ngrams(train, max(chosen), size), sets, size, chosen)


def texts_of(recipe: Recipe, side: str) -> Iterator[str]:
    """The documents of a run's 'train' or 'validation' side as texts, read again from their sources."""
    return (item.document.text for item in Curation(recipe.data) if item.split == side)


def keep(path: str | Path, key: str, value: Any) -> None:
    """Write `value` under `key` into the evaluation.json of the run at `path`; nothing for other folders. A damaged
    one is moved aside and reported."""
    run = RunFolder(find(path))
    if not run.recipe.is_file():
        return
    try:
        known = read_object(run.evaluation) if run.evaluation.is_file() else {}
    except ValueError as error:
        known = {}
        print_line(f"{run.evaluation} is damaged ({error}); moved aside as {set_aside(run.evaluation).name}")
    plain = json.loads(json.dumps(value), parse_constant=lambda name: None)  # JSON has no NaN
    write_json(run.evaluation, {**known, key: plain})
