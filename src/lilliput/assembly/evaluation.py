"""Bits per byte of a model by source and in total, beside controls: untrained weights, other runs, n-gram models."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import recipe_of, recipe_or_none
from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError
from lilliput.data.document import Document
from lilliput.data.infer import named_texts
from lilliput.data.rows import Encoded, text_bytes
from lilliput.evaluation.bits_per_byte import FixedSet, Score
from lilliput.evaluation.controls import UNTRAINED, untrained
from lilliput.evaluation.ngram import training_ngrams
from lilliput.evaluation.sources import SourceScores, ngram_sources, parts, score_sources
from lilliput.generation.loading import load
from lilliput.generation.text_generator import TextGenerator
from lilliput.objectives.accepted import encode_to_score
from lilliput.objectives.figure import BITS
from lilliput.runs.evaluation_file import keep_evaluation
from lilliput.runs.finding import find
from lilliput.runs.names import REPORT, SUMMARY

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TextTable:
    """Scores by source and in total, and the controls' bits per byte: {control: {source: ..., "total": ...}}."""

    sources: dict[str, Score]
    total: Score
    controls: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values. The total's values are on top, as in a single score."""
        sources = {name: asdict(score) for name, score in self.sources.items()}
        return {**asdict(self.total), "sources": sources, "controls": self.controls}


def evaluate(
    path: str | Path,
    data: str | Sequence[str] = (),
    *,
    device: str = "auto",
    max_tokens: int | None = None,
    notify: Say = print_line,
) -> Score:
    """Return the bits per byte of the model at `path` (a run, a checkpoint, a Hugging Face folder), on the validation
    split of the run's own data, or on all documents in `data`. Raises ConfigError for a folder that belongs to no run
    when `data` is missing."""
    return score_text(path, data, device=device, max_tokens=max_tokens, controls=False, notify=notify).total


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
    notify: Say = print_line,
) -> TextTable:
    """Score like `evaluate`, with a row for each source, beside controls. A source is an entry of `data`, or without
    `data` a file or source of the run's validation split. The controls are the same shape with untrained weights, the
    models at `against` (such as a second seed), and n-gram models of `orders` (None: the recipe's). The n-gram models
    are counted on the run's training tokens, where the model belongs to a run. A whole run's table is kept in its
    evaluation.json.

    `fit` holds overrides of how `data` is read, such as `data.sources.0.column=body`. `max_tokens` scores a fixed part
    of the validation split, or the first documents of each text. Raises ConfigError as `evaluate` does, and for a model
    in `against` with another tokenizer or direction when there is no `data` to encode for it."""
    paths = [data] if isinstance(data, str) else list(data)
    generator = load(path, device, notify)
    if generator.objective.figure != BITS:
        raise ConfigError(
            f"{path} was trained by the objective '{generator.objective.kind}', which does not predict each token from "
            "those before it: it has no bits per byte of text",
            f"its own figures are in the {SUMMARY} and {REPORT} of its run",
        )
    sets = _sets(generator, path, paths, fit, str(find(path)), max_tokens, notify)
    scores = score_sources(generator.model, sets, stride)
    table = TextTable(scores.by_source, scores.total)
    if controls:
        table.controls[UNTRAINED] = _bits(score_sources(untrained(generator).model, sets, stride))
        table.controls.update(_ngrams(generator, path, sets, orders, notify))
    for other in against:
        rival = load(other, device, notify)
        same = rival.tokenizer.sha256 == generator.tokenizer.sha256 and rival.objective == generator.objective
        if not same and not paths:
            raise ConfigError(
                f"{other} cuts text into other tokens than {path} does", "name the text to score both on: --data FILES"
            )
        theirs = sets if same else _sets(rival, other, paths, fit, str(find(path)), max_tokens, notify)
        table.controls[str(other)] = _bits(score_sources(rival.model, theirs, stride))
    keep_evaluation(path, "text", table.as_dict())
    return table


def _bits(scores: SourceScores) -> dict[str, float]:
    return {name: score.bits_per_byte for name, score in scores.by_source.items()} | {
        "total": scores.total.bits_per_byte
    }


def _sets(
    generator: TextGenerator,
    path: str | Path,
    paths: Sequence[str],
    fit: Sequence[str],
    tokenizer: str,
    max_tokens: int | None,
    notify: Say,
) -> dict[str, FixedSet]:
    if paths:
        texts = named_texts(paths, fit, tokenizer)
        return {name: _encoded(generator, list(documents), max_tokens) for name, documents in texts.items()}
    split = dataset(recipe_of(path), notify).split("validation")
    return parts(split, generator.tokenizer.token_bytes(), source_of, max_tokens)


def _encoded(generator: TextGenerator, documents: Sequence[Document], max_tokens: int | None) -> FixedSet:
    """Return documents as the model reads them. With `max_tokens`, whole documents are taken from the first on until
    this many tokens are reached."""
    found = encode_to_score(generator.objective, documents, generator.tokenizer)
    encoded = [[row] if isinstance(row, Encoded) else row for row in found]
    if max_tokens is not None:
        seen = np.cumsum([0, *(sum(len(each.ids) for each in rows) for rows in encoded)])
        kept = max(1, int((seen[:-1] < max_tokens).sum()))
        encoded, documents = encoded[:kept], documents[:kept]
    sizes = generator.tokenizer.token_bytes()
    size = sum(
        document.size if document.example is None else text_bytes(rows, sizes)
        for document, rows in zip(documents, encoded, strict=True)
    )
    return FixedSet.of([each for rows in encoded for each in rows], sizes, size)


def source_of(document_id: str) -> str:
    """Return the file or source that a document came from: the document's id without its number."""
    return re.sub(r"[#:]\d+$", "", document_id)


def _ngrams(
    generator: TextGenerator, path: str | Path, sets: dict[str, FixedSet], orders: Sequence[int] | None, notify: Say
) -> dict[str, dict[str, float]]:
    recipe = recipe_or_none(path)
    if recipe is None:
        notify(f"{path} belongs to no run: there is no training text to count n-grams on")
        return {}
    chosen = recipe.evaluate.baselines if orders is None else orders
    if not chosen:
        return {}
    train = dataset(recipe, notify).split("train")
    size = generator.tokenizer.vocab_size
    return ngram_sources(training_ngrams(train, max(chosen), size), sets, size, chosen)
