"""The model that instruments look inside, with held-out rows of its own text, or of text that is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import recipe_of, run_of
from lilliput.base import seeds
from lilliput.base.console import number
from lilliput.base.errors import ConfigError, DataError
from lilliput.base.files import sha256
from lilliput.data.infer import named_texts
from lilliput.data.rows import Encoded
from lilliput.data.split import Split
from lilliput.generation.loading import load, load_folder
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.instrument import Subject
from lilliput.objectives.accepted import encode_to_score
from lilliput.runs.finding import find, model_folder, model_name

ROWS, THOROUGH_ROWS = 64, 256
SHORTEST = 64
"""A row has at least this many tokens, where the context and the text have as many."""
BACKWARDS = "from the end of a text to its beginning: the tokens before a token are the tokens on its right"
WORLD = "story"
"""The text for a model that belongs to no run, where no other text is named."""
READ_DOCUMENTS = 2000
"""Documents that are read of a named text."""

Say = Callable[[str], None]
Document = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Seen:
    """A subject, its name, and its facts by the words for a person. `key` names the weights, the rows and the
    options."""

    subject: Subject
    name: str
    facts: dict[str, Any]
    key: str


def look_at(
    path: str | Path,
    data: Sequence[str] = (),
    *,
    fit: Sequence[str] = (),
    beside: str | Path | None = None,
    thorough: bool = False,
    seed: int = 0,
    device: str = "auto",
    notify: Say,
) -> Seen:
    """Return the subject of a run, a checkpoint or a Hugging Face folder. Its rows are from the run's validation split,
    or from the text `data`, which for a model without a run is by default the story world. `fit` holds overrides of how
    `data` is read. `beside` is a run of the same recipe with another seed. A checkpoint of
    a run is a subject without a run, so that no instrument writes the files of its newest model. Raises ConfigError for
    another kind of model beside it."""
    folder = model_folder(path, notify)
    generator = load_folder(folder, device, notify)
    run, weights = run_of(path), _weights(folder)
    sibling = None if beside is None else _sibling(beside, generator, weights, device, notify)
    count = THOROUGH_ROWS if thorough else ROWS
    made = None if run is None else dataset(recipe_of(path), notify)
    if data or made is None:
        text = ", ".join(data or [WORLD])
        lengths, document = _named(generator, data or [WORLD], fit, str(find(path)))
    else:
        text = "the validation split of its run"
        lengths, document = _held_out(made.split("validation"))
    rows = torch.from_numpy(held_out_rows(lengths, document, generator.model.config.context_length, count))
    rows = rows.to(next(generator.model.parameters()).device)
    subject = Subject(
        generator,
        rows,
        train=None if made is None else made.split("train"),
        run=run.path if run is not None and find(path).resolve() == run.path.resolve() else None,
        sibling=sibling,
        seed=seed,
        thorough=thorough,
        notify=notify,
    )
    name = model_name(path, folder)
    config, size = generator.model.config, sum(parameter.numel() for parameter in generator.model.parameters())
    facts = {
        "model": f"{number(size)} parameters, {config.n_layers} layers of {config.n_heads} heads",
        "text": f"{len(rows)} rows of {rows.shape[1]} tokens from {text}",
        "controls": "untrained weights" + (f", and {beside}, another seed" if beside else ""),
    }
    if not generator.objective.reads_forwards:
        facts["direction"] = BACKWARDS
    parts = [weights, hashlib.sha256(rows.cpu().numpy().tobytes()).hexdigest(), str(beside), str(thorough), str(seed)]
    return Seen(subject, name, facts, hashlib.sha256("\n".join(parts).encode()).hexdigest())


def held_out_rows(lengths: Sequence[int], document: Document, context_length: int, count: int) -> np.ndarray:
    """Return at most `count` rows, (N, T) int64, of documents that are given in order: `lengths` are their tokens, and
    `document(i)` reads the tokens of one.

    T is the median length of a document, but at least 64 and at most the context. A row is the beginning of a document
    of T tokens or more. Where such documents are fewer than `count`, further rows are their later parts, and then short
    documents end to end. Raises DataError for fewer than two tokens.

    >>> held_out_rows([3, 5], lambda i: np.full((3, 5)[i], i), context_length=4, count=2)
    array([[1, 1, 1, 1]])
    """
    if sum(lengths) < 2:
        raise DataError("the text has fewer than two tokens to look at", "name more text: --data FILES")
    length = min(context_length, max(int(np.median(lengths)), SHORTEST), sum(lengths))
    full = [i for i, size in enumerate(lengths) if size >= length]
    short = (document(i) for i, size in enumerate(lengths) if size < length)
    beginnings = (document(i)[:length] for i in full)
    later = (
        document(i)[start : start + length]
        for start in range(length, max((lengths[i] for i in full), default=0), length)
        for i in full
        if start + length <= lengths[i]
    )
    found = list(islice(chain(beginnings, later, _joined(short, length)), count))
    return np.stack(found).astype(np.int64)


def _joined(documents: Iterator[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Yield rows of whole documents end to end, the last of a row cut."""
    held: list[np.ndarray] = []
    for ids in documents:
        held.append(ids)
        if sum(map(len, held)) >= length:
            yield np.concatenate(held)[:length]
            held = []


def _held_out(split: Split) -> tuple[list[int], Document]:
    """The documents of a validation split, in the order in which `lilliput evaluate` takes a part of them."""
    order = sorted(range(split.documents), key=lambda i: seeds.derive(0, split.document_id(i)))
    sizes = split.ends - split.starts
    return sizes[order].tolist(), lambda i: split.document(order[i])


def _named(
    generator: TextGenerator, paths: Sequence[str], fit: Sequence[str], tokenizer: str
) -> tuple[list[int], Document]:
    texts = named_texts(paths, fit, tokenizer)
    documents = [document for found in texts.values() for document in islice(found, READ_DOCUMENTS // len(texts))]
    encoded = encode_to_score(generator.objective, documents, generator.tokenizer)
    rows = [one for each in encoded for one in ([each] if isinstance(each, Encoded) else each)]
    ids = [np.asarray(row.ids, dtype=np.int64) for row in rows]
    return [len(one) for one in ids], ids.__getitem__


def _sibling(beside: str | Path, generator: TextGenerator, weights: str, device: str, notify: Say) -> TextGenerator:
    other = load(beside, device, notify)
    same = other.tokenizer.sha256 == generator.tokenizer.sha256 and other.objective == generator.objective
    if not same or other.model.config != generator.model.config:
        raise ConfigError(
            f"{beside} has another shape, tokenizer or objective, so it is no control for this model",
            "name a run of the same recipe with another seed, or compare the two: lilliput lens compare RUN RUN",
        )
    if _weights(model_folder(beside, notify)) == weights:
        raise ConfigError(f"{beside} has the same weights as this model", "name a run with another seed")
    return other


def _weights(folder: Path) -> str:
    """The SHA-256 of a model folder's weights."""
    files = sorted(folder.glob("*.safetensors"))
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()
