"""What filling in the middle costs and gives: causal and fim runs of the same tokens, over seeds.

    python benchmarks/fim.py --seeds 3                      # the recipe story, six runs
    python benchmarks/fim.py --seeds 3 --data FILE          # text of your own
    python benchmarks/fim.py --tokens 1m --rate 0.9         # shorter runs, and more documents rearranged
    python benchmarks/fim.py model.style=story_1m           # another value of the recipe, for both kinds of run
    python benchmarks/fim.py --smoke                        # every run in seconds, to see that all of it works

Both kinds of run have the same tokenizer, validation text, batches and number of tokens. A rearranged document has
three tokens more, so a fim run reads a little less text. All models predict the same missing spans, words and sentences
of held-out documents: a fim run given both sides, and every run given the text before. A word or a sentence is right
where the likeliest tokens are its own. It is generated where, given both sides, greedy generation gives it and nothing
more: it stops at the end mark, or where the text goes on as the suffix does. A run that was finished in --runs is not
trained again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

import lilliput
from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import recipe_of
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.statistics import mean_of
from lilliput.base.units import whole
from lilliput.cli.main import one_line_errors
from lilliput.generation.text_generator import TextGenerator
from lilliput.objectives.infilling import (
    Kind,
    Parts,
    fitting,
    held_out_texts,
    middles_of,
    score_after,
    score_between,
)
from teaching import TINY
from whole_runs import train_whole

ARMS = ("causal", "fim")
KINDS: tuple[Kind, ...] = ("span", "word", "sentence")
BATCH_TOKENS = 2048
ALL = 10**12
"""More tokens than a validation split has."""


@dataclass(frozen=True)
class Study:
    """What all runs have in common: their folder, a text of one's own, the tokens that each reads, the share of
    rearranged documents, the held-out documents whose middles are predicted, whether all is tiny, and further overrides
    of the recipe."""

    runs: Path
    data: str = ""
    tokens: int = 4_096_000
    rate: float = 0.5
    documents: int = 800
    smoke: bool = False
    overrides: tuple[str, ...] = ()


def trained(arm: str, seed: int, study: Study) -> Path:
    """Train a run, or find it finished. Returns its folder. Raises ConfigError for a run that was interrupted."""
    rate = [f"objective.rate={study.rate}"] if arm == "fim" else []
    overrides = [f"objective.kind={arm}", *rate, f"train.batch_tokens={BATCH_TOKENS}", "train.epochs=null"]
    overrides += [f"train.steps={study.tokens // BATCH_TOKENS}", "evaluate.samples=0"]
    overrides += ["evaluate.heroes=0", "evaluate.final_heroes=0", "evaluate.final_tokens=null"]
    if study.smoke:
        overrides += [text for text in TINY if not (study.data and text.startswith("data."))]
        overrides += ["evaluate.steps=15"]
    overrides += study.overrides
    share = f"-{study.rate:g}" if arm == "fim" else ""
    name = f"{arm}{share}-{study.tokens}-{seed}"
    print_line(f"{name}: {' '.join(overrides)}")
    given: dict[str, Any] = {"data": study.data} if study.data else {}
    return train_whole("story", overrides, name=name, runs=study.runs, seed=seed, **given)


def middles(run: Path, study: Study) -> dict[Kind, list[Parts]]:
    """Missing spans, words and sentences of the run's validation text: the same for all runs of a study."""
    made, length = dataset(recipe_of(run), lambda text: None), recipe_of(run).model.context_length
    texts = held_out_texts(made.split("validation"), made.tokenizer, length, study.documents, ALL)
    return {kind: fitting(middles_of(texts, kind), made.tokenizer, length) for kind in KINDS}


def measured(run: Path, study: Study) -> dict[str, Any]:
    """Bits per byte of the whole validation text from left to right, and of each kind of middle the bits per byte and
    the share that is exact, given both sides (a fim run alone) and given the text before."""
    generator = lilliput.load(run, notify=lambda text: None, compile=False)
    model, tokenizer = generator.model, generator.tokenizer
    found: dict[str, Any] = {"left_to_right": lilliput.Run(run).summary["val_bits_per_byte"]}
    for kind, parts in middles(run, study).items():
        scores = {"before": score_after(model, tokenizer, parts)}
        if order := generator.objective.asked:
            scores["both"] = score_between(model, tokenizer, parts, order)
        found[kind] = {
            given: {
                "bits_per_byte": score.bits_per_byte,
                "right": score.right,
                "exact": score.exact,
                "count": score.count,
            }
            for given, score in scores.items()
            if score is not None
        }
        if generator.objective.fills and kind != "span":
            found[kind]["both"]["generated"] = generated(generator, parts)
    return found


def generated(filler: TextGenerator, middles: Sequence[Parts]) -> float:
    """The share of middles that greedy generation gives to the letter, as `lilliput generate` does."""
    right = 0
    for parts in middles:
        prefix, middle, suffix = (
            filler.tokenizer.decode(ids.tolist(), continuing=place > 0)
            for place, ids in enumerate((parts.prefix, parts.middle, parts.suffix))
        )
        found = filler.generate_detailed(prefix, suffix, temperature=0, max_tokens=2 * len(parts.middle) + 16)
        right += found[0].text == middle
    return right / len(middles)


def compared(seeds: Sequence[int], study: Study) -> dict[str, Any]:
    """Train and measure both kinds of run for every seed. `cost` is the mean difference of the left-to-right bits per
    byte, fim less causal of the same seed, with half its 95% interval (Student's t)."""
    found: dict[str, Any] = {arm: [measured(trained(arm, seed, study), study) for seed in seeds] for arm in ARMS}
    pairs = zip(found["fim"], found["causal"], strict=True)
    cost = mean_of([fim["left_to_right"] - causal["left_to_right"] for fim, causal in pairs])
    return {**found, "cost": {"mean": cost.mean, "margin": cost.margin}}


def print_table(found: dict[str, Any]) -> None:
    """Print a row for each arm and what it was given: the means over the seeds."""
    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("", "given", "left to right", "span", "word right", "generated", "sentence right", "generated"):
        shown.add_column(title)
    for arm, given in (("causal", "before"), ("fim", "before"), ("fim", "both")):
        rows = found[arm]
        whole_text = f"{mean_of([row['left_to_right'] for row in rows]).mean:.4f}" if given == "before" else ""
        cells = [_mean(rows, "span", given, "bits_per_byte", ".3f")]
        cells += [
            _mean(rows, kind, given, key, ".1%") for kind in ("word", "sentence") for key in ("right", "generated")
        ]
        sides = {"before": "the text before", "both": "both sides"}
        shown.add_row(arm, sides[given], whole_text, *cells)
    console.print(shown)
    cost, margin = found["cost"]["mean"], found["cost"]["margin"]
    sure = "" if margin is None else f" ± {margin:.4f}"
    print_line(f"cost of fim from left to right: {cost:+.4f}{sure} bits per byte; spans in bits per byte")


def _mean(rows: Sequence[dict[str, Any]], kind: str, given: str, key: str, form: str) -> str:
    values = [row[kind][given][key] for row in rows if key in row[kind].get(given, {})]
    return format(mean_of(values).mean, form) if values else ""


app = typer.Typer(add_completion=False)


@app.command(help="Train causal and fim runs of the same tokens, and compare them.")
def main(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value of the recipe, for all runs.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/fim"),
    data: Annotated[str, typer.Option(help="A text; left out: the story world.")] = "",
    tokens: Annotated[str, typer.Option(help="Tokens that every run reads, such as 1m.")] = "4096k",
    rate: Annotated[float, typer.Option(help="Share of rearranged documents.")] = 0.5,
    documents: Annotated[int, typer.Option(min=1, help="Held-out documents whose middles are predicted.")] = 800,
    smoke: Annotated[bool, typer.Option("--smoke", help="Every run in seconds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(json)
    runs.mkdir(parents=True, exist_ok=True)
    study = Study(
        runs, data, whole(tokens, least=BATCH_TOKENS), rate, 40 if smoke else documents, smoke, tuple(overrides or ())
    )
    found = compared(range(1, seeds + 1), study)
    if json:
        emit({"seeds": seeds, "tokens": study.tokens, "rate": rate, **found})
    else:
        print_table(found)


if __name__ == "__main__":
    with one_line_errors():
        app()
