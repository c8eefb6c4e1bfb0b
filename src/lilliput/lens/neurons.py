"""Neurons: the tokens that make one fire most, and the neuron that marks each concept of the story world best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from lilliput.decoding.inference import inference
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.capture import capture
from lilliput.lens.concepts import concept_labels, pieces_of
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.neurons_section import place, section
from lilliput.lens.selectivity import Selective, best_units
from lilliput.lens.texts import reading_texts
from lilliput.model.transformer import Model

NEURONS = "blocks.*.mlp.hook_post"
BEFORE, AFTER = 12, 4
"""Tokens around the marked token of an example, in the order in which the model reads."""
TOKENS = 4096
"""By default selectivity is measured on this many tokens, because ranks of every neuron are sorted."""


@dataclass(frozen=True, slots=True)
class Example:
    """A token that makes a unit fire: `pieces` are the texts of the tokens around it in the reading order of a person,
    `values` the unit's value at each, `mark` the place of the token among them; `row`, `position` its place in the
    rows."""

    row: int
    position: int
    mark: int
    pieces: list[str]
    values: list[float]

    @property
    def value(self) -> float:
        """The value at the marked token."""
        return self.values[self.mark]


def unit_values(model: Model, rows: torch.Tensor, hook: str, unit: int | torch.Tensor) -> torch.Tensor:
    """Return (N, T): the value of a neuron (a number), or of a direction (a vector (d,)), at a hook point on token rows
    (N, T). The value of a direction is the product with the activation. Heads are joined to one vector."""
    found = []
    with inference(model):
        for part in rows.split(16):
            with capture(model, hook) as seen:
                model(part)
            flat = seen[hook].flatten(2).float()
            found.append(flat @ unit.float() if isinstance(unit, torch.Tensor) else flat[..., unit])
    return torch.cat(found)


def top_examples(values: torch.Tensor, rows: torch.Tensor, generator: TextGenerator, count: int = 8) -> list[Example]:
    """Return the tokens with the largest of `values` (N, T) on token rows (N, T), largest first: one of each row at
    most, and no text twice. The first position, the beginning mark, is left out."""
    best, places = values[:, 1:].max(dim=1)
    found: list[Example] = []
    seen: set[tuple[int, ...]] = set()
    for row in best.argsort(descending=True, stable=True).tolist():
        position = int(places[row]) + 1
        read = tuple(rows[row, max(0, position - BEFORE) : position + 1].tolist())
        if read not in seen:
            seen.add(read)
            found.append(_example(values, rows, generator, row, position))
        if len(found) == count:
            break
    return found


def _example(values: torch.Tensor, rows: torch.Tensor, generator: TextGenerator, row: int, position: int) -> Example:
    start, stop = max(0, position - BEFORE), min(rows.shape[1], position + AFTER + 1)
    ids = rows[row, start:stop].tolist()
    pieces = reading_texts(generator, ids, pieces_of(ids, generator))
    shown = [round(value, 3) for value in values[row, start:stop].tolist()]
    return Example(
        row, position, list(pieces).index(position - start), [*pieces.values()], [shown[at] for at in pieces]
    )


def neuron_values(model: Model, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the values (N * (T - 1), d_mlp) of the neurons of each layer, without the first position."""
    with inference(model), capture(model, NEURONS, positions=slice(1, None)) as seen:
        for part in rows.split(16):
            model(part)
    return {name: torch.cat([one.flatten(0, 1) for one in seen.each(name)]).float() for name in seen}


def best_neurons(generator: TextGenerator, rows: torch.Tensor, seed: int = 0) -> list[Selective]:
    """Return the best neuron of the model for each concept that the rows hold."""
    return best_units(neuron_values(generator.model, rows), *labels_of(generator, rows), seed)


def labels_of(generator: TextGenerator, rows: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return the labels (M,) of each concept, and the row of each token, without the first position of rows."""
    labels = {name: marked[:, 1:].flatten() for name, marked in concept_labels(rows, generator).items()}
    return labels, torch.arange(len(rows)).repeat_interleave(rows.shape[1] - 1)


def some_rows(rows: torch.Tensor, tokens: int) -> torch.Tensor:
    """The first rows that hold about `tokens` tokens, an even number of them."""
    return rows[: max(2, tokens // rows.shape[1] // 2 * 2)]


@INSTRUMENTS.add("neurons")
class Neurons(Instrument):
    title = "Neurons that mark a kind of word"
    part = "features"
    neurons = True

    def refuses(self, subject: Subject) -> str:
        return super().refuses(subject) or (
            "" if len(subject.rows) > 1 else "one row of text is too little to choose a neuron and to measure it"
        )

    def measure(self, subject: Subject) -> dict[str, Any]:
        rows = subject.rows if subject.thorough else some_rows(subject.rows, TOKENS)
        chosen = best_neurons(subject.generator, rows, subject.seed)
        models: dict[str, Sequence[Selective]] = {
            "untrained weights": best_neurons(subject.untrained, rows, subject.seed)
        }
        if subject.sibling is not None:
            models["another seed"] = best_neurons(subject.sibling, rows, subject.seed)
        return {
            "tokens": rows.numel(),
            "neurons": [self._page(one, subject, rows) for one in chosen],
            "others": {name: {one.concept: as_json(one) for one in found} for name, found in models.items()},
        }

    def _page(self, one: Selective, subject: Subject, rows: torch.Tensor) -> dict[str, Any]:
        values = one.sign * unit_values(subject.generator.model, rows, one.hook, one.unit)
        examples = top_examples(values, rows, subject.generator, 5)
        return {**as_json(one), "examples": [asdict(example) for example in examples]}

    def section(self, found: Mapping[str, Any]) -> str:
        return section(found)

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        controls = found["others"]["untrained weights"]
        known = [one for one in found["neurons"] if one["low"] > max(one["shuffled"], _high(controls, one))]
        best = max(known, key=lambda one: one["auc"], default=None)
        if best is None:
            return []
        return [
            f"One neuron marks words of a kind ({best['concept']}): {place(best)} tells them from other tokens in "
            f"{best['auc']:.0%} of pairs ({best['low']:.0%} to {best['high']:.0%}), more than any untrained neuron."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        controls = found["others"]["untrained weights"]
        return {
            f"best neuron for {one['concept']} (AUC)": Compared(
                one["auc"], controls.get(one["concept"], {}).get("auc"), one["low"], one["high"]
            )
            for one in found["neurons"]
        }


def _high(controls: Mapping[str, Mapping[str, Any]], one: Mapping[str, Any]) -> float:
    """The upper end of the control's interval for the same concept; 1 without a control, which nothing is above."""
    return controls.get(one["concept"], {}).get("high", 1.0)


def as_json(one: Selective) -> dict[str, Any]:
    """The figures of a unit as JSON values, rounded."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(one).items()}
