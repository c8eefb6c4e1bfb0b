"""evaluate_extractor: how well a run fills templates, beside the same model without the constraint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import FileError
from lilliput.base.reading import from_json
from lilliput.worlds.extraction.extracting import answers_of, extract_each, windows_of
from lilliput.worlds.extraction.making import KINDS, Example, make_examples, makers_of, read_examples
from lilliput.worlds.extraction.scoring import Score, score
from lilliput.worlds.extraction.source_text import SourceText
from lilliput.worlds.extraction.template import Leaf, ListOf, Node, Object, empty, misfits

if TYPE_CHECKING:
    from lilliput.generation.text_generator import TextGenerator

HELD_OUT = 1_000_003
"""The seed of the made examples that are measured with."""
FIGURES = {
    "f1": "F1 of values",
    "precision": "precision",
    "recall": "recall",
    "exact": "texts with all values right",
    "valid": "without the constraint: valid answers",
    "grounded": "without the constraint: verbatim values in the text",
    "f1_unconstrained": "without the constraint: F1 of values",
}
"""The figures. Values agree by tree alignment (scoring.py). A valid answer fills the template; an answer that is not
valid has no values. The share of verbatim values in the text is of the valid answers."""


def evaluate_extractor(
    run: str | Path | TextGenerator,
    files: Sequence[str | Path] = (),
    *,
    kinds: Sequence[str] = (),
    tagged: Sequence[str] = (),
    count: int = 100,
    seed: int = HELD_OUT,
    device: str = "auto",
) -> dict[str, dict[str, float]]:
    """Measure a run on examples that it was not trained on: those of `files`, `count` made ones of `kinds` (left
    out: all built-in kinds) with held-out names, and the held-out sentences of `tagged`. Returns the figures of each
    file or kind (see FIGURES), and the number of `texts`. Raises LilliputError."""
    from lilliput.generation.loading import load

    generator = load(run, device, notify=lambda text: None) if isinstance(run, str | Path) else run
    sets: dict[str, list[Example]] = {str(path): read_examples([path]) for path in files}
    makers = {maker.kind: maker for maker in makers_of(kinds or (() if files or tagged else KINDS), tagged)}
    sets |= {kind: list(make_examples([maker], count, seed, held_out=True)) for kind, maker in makers.items()}
    return {name: measure(generator, examples) for name, examples in sets.items()}


def measure(generator: TextGenerator, examples: Sequence[Example]) -> dict[str, float]:
    """Return the figures of evaluate_extractor on examples."""
    made = extract_each(generator, [(example.text, example.template) for example in examples])
    scores = [score(each.template, one.values, each.values) for each, one in zip(examples, made, strict=True)]
    free = _free(generator, examples)
    total = sum(scores, Score())
    loose = sum(
        (score(each.template, values, each.values) for each, (_, values) in zip(examples, free, strict=True)), Score()
    )
    grounded = [
        any(True for _ in SourceText(each.text).spans(value))
        for each, (valid, values) in zip(examples, free, strict=True)
        if valid
        for value in _verbatim(each.template, values)
    ]
    return {
        "texts": len(examples),
        "f1": total.f1,
        "precision": total.precision,
        "recall": total.recall,
        "exact": sum(_exact(one) for one in scores) / len(examples),
        "valid": sum(valid for valid, _ in free) / len(examples),
        "grounded": sum(grounded) / len(grounded) if grounded else 1.0,
        "f1_unconstrained": loose.f1,
    }


def _exact(one: Score) -> bool:
    return one.found == one.right and one.agree > one.right - 1e-9


def _free(generator: TextGenerator, examples: Sequence[Example]) -> list[tuple[bool, Any]]:
    """Return whether each answer without the constraint, to the first window of a text, is valid, and its values."""
    windows = [windows_of(generator, each.template, SourceText(each.text))[:1] for each in examples]
    every = [(part, each.template) for each, parts in zip(examples, windows, strict=True) for part in parts]
    texts = iter(reply.text for reply in answers_of(generator, every, [None] * len(every)))
    return [
        _read_free(next(texts), each) if parts else (True, empty(each.template))
        for each, parts in zip(examples, windows, strict=True)
    ]


def _read_free(text: str, example: Example) -> tuple[bool, Any]:
    try:
        values = from_json(text)
    except FileError:
        return False, empty(example.template)
    if any(True for _ in misfits(example.template, values)):
        return False, empty(example.template)
    return True, _stripped(values)


def _stripped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _stripped(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_stripped(inner) for inner in value]
    return value.strip() if isinstance(value, str) else value


def _verbatim(node: Node, value: Any) -> Iterator[str]:
    """Yield the verbatim values of a filled template."""
    if isinstance(node, Object):
        for name, inner in node.fields:
            yield from _verbatim(inner, value[name])
    elif isinstance(node, ListOf):
        for each in value:
            yield from _verbatim(node.item, each)
    elif isinstance(node, Leaf) and node.kind == "verbatim-string" and value is not None:
        yield value
