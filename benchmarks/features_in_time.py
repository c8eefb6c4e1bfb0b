r"""Features through training: when a feature is born, how far its direction drifts, and whether it dies.

    lilliput train story --name through \
        train.checkpoint_steps=100 train.keep_checkpoints=30 train.early_checkpoints=true
    python benchmarks/features_in_time.py through

At each chosen checkpoint two autoencoders of other seeds learn the middle of the model on the same rows. A feature goes
on at the next checkpoint where its best match by activation there is mutual and correlates with at least 0.7. It is
born where no feature leads to it, and it has died where no feature of any later checkpoint, of either autoencoder,
correlates with 0.3. Two autoencoders of one checkpoint show how often a feature is found again where nothing changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from rich import box
from rich.table import Table

from lilliput.assembly.recipe import run_of
from lilliput.assembly.subject import look_at
from lilliput.base.console import console, emit, print_line, progress, use_json
from lilliput.base.errors import ConfigError
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.checkpoints import load_steps
from lilliput.lens.evolve import thousands
from lilliput.lens.feature_matching import LIKE, Matching, match_activations
from lilliput.lens.neurons import top_examples
from lilliput.lens.sparse import SparseCoder, SparseConfig, collect, dense, middle
from lilliput.lens.sparse_training import train_autoencoder

GONE = 0.3
"""A feature whose activations correlate with those of no later feature by this has died."""
TRAINED = 0.75
"""The share of the rows that trains the autoencoders; they are matched on the others."""
BEFORE = 7
"""Tokens of an example before the one at which the feature fires."""


@dataclass(frozen=True)
class Moment:
    """A checkpoint: its model, and two autoencoders of its middle that differ in their seed alone."""

    step: int
    generator: TextGenerator
    coders: tuple[SparseCoder, SparseCoder]


def moments(run: Path, steps: Sequence[int], rows: torch.Tensor, config: SparseConfig) -> list[Moment]:
    """Load the checkpoints and train their autoencoders on token rows (N, T)."""
    found = []
    with progress("autoencoders", len(steps), "checkpoints") as bar:
        for step, generator in load_steps(run, list(steps), "cpu", print_line):
            hook = middle(generator.model)
            seen = collect(generator.model, rows, hook)
            configs = (config, config.model_copy(update={"seed": config.seed + 1}))
            first, second = (train_autoencoder(seen, hook, one) for one in configs)
            found.append(Moment(step, generator, (first, second)))
            bar.advance()
    return found


def matched(first: Moment, second: Moment, rows: torch.Tensor, which: int = 0) -> Matching:
    """The features of `first` in the autoencoder `which` of `second`, by their activations on rows (N, T)."""
    models = first.generator.model, second.generator.model
    return match_activations(first.coders[0], models[0], second.coders[which], models[1], rows)


def links(found: Matching) -> dict[int, int]:
    """The features that go on, each with the feature that it goes on as."""
    on = found.mutual.cpu() & (found.similarity.cpu() >= LIKE)
    pairs = zip(found.features[on].tolist(), found.partners[on].tolist(), strict=True)
    return dict(pairs)


def chains(steps: Sequence[dict[int, int]], living: Sequence[set[int]]) -> list[list[tuple[int, int]]]:
    """The lives of features, each a list of (moment, feature). `steps` holds the links from each moment to the next,
    and `living` the features of each moment that fire."""
    found: list[list[tuple[int, int]]] = []
    open_: dict[int, list[tuple[int, int]]] = {}
    for moment, features in enumerate(living):
        going = {} if moment == 0 else {steps[moment - 1][old]: life for old, life in open_.items()}
        open_ = {}
        for feature in sorted(features):
            life = going.get(feature)
            if life is None:
                life = []
                found.append(life)
            life.append((moment, feature))
            if moment < len(steps) and feature in steps[moment]:
                open_[feature] = life
    return found


def drift(life: Sequence[tuple[int, int]], seen: Sequence[Moment]) -> float:
    """The cosine of a feature's direction at its birth and at its last checkpoint. 1: it did not turn."""
    first, last = (seen[moment].coders[0].direction(feature) for moment, feature in (life[0], life[-1]))
    return float(F.cosine_similarity(first, last, dim=0))


def largest_later(life: Sequence[tuple[int, int]], later: Sequence[Sequence[Matching]]) -> float:
    """The largest correlation of a life's last feature with any feature of a later checkpoint. `later` has the
    matchings of that feature's moment with each later moment and autoencoder."""
    feature = life[-1][1]
    values = [
        float(found.similarity[(found.features == feature).nonzero().flatten()].max())
        for one in later
        for found in one
        if (found.features == feature).any()
    ]
    return max(values) if values else 0.0


def words(moment: Moment, feature: int, rows: torch.Tensor, count: int = 4) -> list[str]:
    """The tokens at which a feature fires most, each [marked] after the tokens before it."""
    coder, model = moment.coders[0], moment.generator.model
    values = dense(coder.encode(collect(model, rows, coder.reads)), coder.width)[:, feature]
    padded = F.pad(values.view(len(rows), -1), (1, 0))
    found = top_examples(padded, rows, moment.generator, count)
    return [
        "".join(one.pieces[max(0, one.mark - BEFORE) : one.mark]) + f"[{one.pieces[one.mark]}]"
        for one in found
        if one.value > 0
    ]


def study(run: Path, steps: Sequence[int], rows: torch.Tensor, config: SparseConfig) -> dict[str, Any]:
    """Follow the features of a run's middle through the checkpoints `steps`."""
    cut = int(TRAINED * len(rows))
    seen, held = moments(run, steps, rows[:cut], config), rows[cut:]
    if len(seen) < 3:
        raise ConfigError(f"{run} has {len(seen)} of the checkpoints", "a life needs 3; give others with --steps")
    later = [
        [[matched(seen[i], seen[j], held, which) for which in (0, 1)] for j in range(i + 1, len(seen))]
        for i in range(len(seen))
    ]
    again = [matched(one, one, held, 1) for one in seen]
    steps_ = [links(after[0][0]) for after in later[:-1]]
    living = [set(found.features.tolist()) for found in again]
    lives = chains(steps_, living)
    ended = [life for life in lives if life[-1][0] < len(seen) - 1]
    gone = [life for life in ended if largest_later(life, later[life[-1][0]]) < GONE]
    tokens = thousands(run, [one.step for one in seen])
    table = [
        {
            "step": one.step,
            "thousand_tokens": tokens.get(one.step),
            "living": len(living[place]),
            "go_on": len(steps_[place]) / len(living[place]) if place < len(steps_) else None,
            "again": again[place].figures()["found_again"],
            "again_shuffled": again[place].figures()["found_again_shuffled"],
            "born": sum(life[0][0] == place for life in lives),
            "died": sum(life[-1][0] == place for life in gone),
        }
        for place, one in enumerate(seen)
    ]
    long = [life for life in lives if len(life) >= 3 and life[0][0] > 0]
    drifted = sorted((life for life in long if life[-1][0] == len(seen) - 1), key=lambda life: drift(life, seen))
    died = sorted((life for life in gone if len(life) >= 2), key=len, reverse=True)
    return {
        "moments": table,
        "lives": {"all": len(lives), "of_three_or_more": len(long), "died": len(gone)},
        "drift": [drift(life, seen) for life in drifted],
        "drifted": [story(life, seen, held) for life in drifted[:3]],
        "died": [{**story(life, seen, held), "later": largest_later(life, later[life[-1][0]])} for life in died[:3]],
    }


def story(life: Sequence[tuple[int, int]], seen: Sequence[Moment], rows: torch.Tensor) -> dict[str, Any]:
    """A life as JSON values: its steps, its drift, and where it fires at birth and at the end."""
    (first, born), (last, end) = life[0], life[-1]
    return {
        "steps": [seen[moment].step for moment, _ in life],
        "cosine": drift(life, seen),
        "at_birth": words(seen[first], born, rows),
        "at_the_end": words(seen[last], end, rows),
    }


def print_found(found: dict[str, Any]) -> None:
    """Print the checkpoints as a table, and the lives that are shown."""
    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("step", "living", "go on", "two autoencoders agree", "shuffled", "born", "died here"):
        shown.add_column(title, justify="right")
    for row in found["moments"]:
        shares = [f"{row[key]:.0%}" if row[key] is not None else "" for key in ("go_on", "again", "again_shuffled")]
        shown.add_row(f"{row['step']:,}", str(row["living"]), *shares, str(row["born"]), str(row["died"]))
    console.print(shown)
    for kind in ("drifted", "died"):
        for life in found[kind]:
            print_line(f"{kind}: steps {life['steps']}, cosine {life['cosine']:.2f}")
            print_line(f"  at birth    {' | '.join(life['at_birth'])}")
            print_line(f"  at the end  {' | '.join(life['at_the_end'])}")


def main(
    run: Annotated[str, typer.Argument(help="A run with early checkpoints.")],
    steps: Annotated[str, typer.Option(help="Checkpoints, such as 64,256,1000. Left out: at most 9, evenly.")] = "",
    width: Annotated[int, typer.Option(min=8, help="Features of an autoencoder.")] = 512,
    updates: Annotated[int, typer.Option(min=1, help="Updates that train an autoencoder.")] = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Follow the features of a run through its checkpoints."""
    use_json(json)
    folder = run_of(run)
    if folder is None:
        raise ConfigError(f"{run} belongs to no run", "name a run that was trained with train.early_checkpoints=true")
    subject = look_at(run, [], thorough=True, notify=print_line).subject
    kept = folder.steps()
    every = [kept[round(place * (len(kept) - 1) / 8)] for place in range(9)]
    chosen = [int(text) for text in steps.split(",")] if steps else sorted(set(every))
    config = SparseConfig(width=width, k=min(16, width // 4), steps=updates, batch=1024)
    found = study(folder.path, chosen, subject.rows, config)
    print_found(found)
    if json:
        emit(found)


if __name__ == "__main__":
    typer.run(main)
