"""When the head that copies forms, beside the loss and the heroes: sizes, texts, rows and contexts, over seeds.

    python benchmarks/forming.py sizes --seeds 3 --news FILE     # three sizes and one layer alone, stories and news
    python benchmarks/forming.py sizes --tokens 24576000 --only "stories, story_1m"     # long enough for the law
    python benchmarks/forming.py shapes --seeds 2                # rows and contexts, with the power that fits
    python benchmarks/forming.py shapes --smoke                  # every run in seconds, to see that all of it works

Every run is the recipe story, with its heads measured as it trains (heads.jsonl). A run that was finished in --runs is
not trained again. Random tokens that come twice are what heads are measured on; the control is the same with the second
block in random order. Tokens per batch are rows x context, and every run reads --tokens tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich import box
from rich.table import Table

from growth import exponent
from lilliput.assembly.subject import look_at
from lilliput.base.console import console, emit, number, print_line, use_json
from lilliput.base.errors import ConfigError
from lilliput.decoding.inference import inference
from lilliput.runs.run_folder import RunFolder
from teaching import TINY
from whole_runs import train_whole

LEAST = 0.1
"""A head copies where its attention to the token after an earlier copy exceeds the control's by this."""
HALF = 0.5
"""Share of the heroes kept at which a model is said to keep its hero."""
TOKENS = 4_096_000
"""Tokens that a run reads unless --tokens says otherwise: those of the recipe story."""
STORIES = 17_500
"""Stories that the recipe reads in so many tokens; of a longer run they are as many times more."""
LAW = 10**5.7
"""arXiv 2511.16893: copying forms after about this times the square root of rows x context tokens."""


@dataclass(frozen=True)
class Arm:
    """One setting: its name, the overrides of the recipe, and whether it reads the news in place of stories."""

    name: str
    overrides: tuple[str, ...]
    rows: int = 8
    context: int = 256
    news: bool = False

    def steps(self, tokens: int) -> int:
        """Steps that read `tokens` tokens."""
        return tokens // (self.rows * self.context)


SIZES = {style: (f"model.style={style}",) for style in ("story_1m", "story_1.8m", "story_3m")}
ONE_LAYER = ("model.style=story_1.8m", "model.n_layers=1")
SHAPES = ((4, 256), (8, 256), (16, 256), (32, 256), (16, 128), (64, 128), (4, 512), (8, 512))


def arms_of_sizes(news: bool) -> list[Arm]:
    """The three sizes, and a model of one layer, on stories and on news."""
    settings = {**SIZES, "one layer": ONE_LAYER}
    texts = (False, True) if news else (False,)
    return [
        Arm(f"{'news' if one else 'stories'}, {name}", given, news=one)
        for one in texts
        for name, given in settings.items()
    ]


def arms_of_shapes() -> list[Arm]:
    """One size, with other rows and contexts."""
    return [Arm(f"{rows} x {context}", (f"model.context_length={context}",), rows, context) for rows, context in SHAPES]


@dataclass(frozen=True)
class Study:
    """What all runs have in common: their folder, a file of news, the tokens that each reads, whether all is tiny."""

    runs: Path
    news: str = ""
    tokens: int = TOKENS
    smoke: bool = False


def trained(arm: Arm, seed: int, study: Study) -> Path:
    """Train a run, or find it finished. Returns its folder."""
    long = "" if study.tokens == TOKENS else f"-{study.tokens}"
    name = f"{arm.name.replace(', ', '-').replace(' ', '-')}{long}-{seed}"
    steps = arm.steps(study.tokens)
    overrides = [f"train.batch_tokens={arm.rows * arm.context}", f"train.steps={steps}", *arm.overrides]
    overrides += [f"evaluate.watch={max(1, steps // 100)}", f"evaluate.steps={max(1, steps // 40)}"]
    overrides += [f"evaluate.heroes={0 if arm.news else 40}", "evaluate.final_heroes=0", "evaluate.samples=0"]
    if study.tokens > TOKENS and not arm.news:  # else train.epochs would end the run before its tokens
        overrides.append(f"data.sources.0.stories={STORIES * -(-study.tokens // TOKENS)}")
    if study.smoke:
        overrides += [text for text in TINY if not (arm.news and text.startswith("data."))]
        overrides += ["evaluate.steps=10", f"train.batch_tokens={2 * arm.context}"]
    print_line(f"{name}: {' '.join(overrides)}")
    given: dict[str, Any] = {"data": study.news} if arm.news else {}
    return train_whole("story", overrides, name=name, runs=study.runs, seed=seed, **given)


def formation(run: Path) -> dict[str, Any]:
    """The tokens after which a head copies, the heroes are kept, and the loss fell fastest; None for what never came.

    `best` is the largest excess of a head's attention over its control's, and `head` that head; `untrained` the largest
    excess before the first step."""
    folder = RunFolder(run)
    curve = [(look["tokens"], *strongest(look)) for look in folder.read_heads()]
    lines = folder.read_metrics()
    bits = [(line["tokens"], line["val_bits_per_byte"]) for line in lines if line.get("val_bits_per_byte") is not None]
    heroes = [(line["tokens"], line["val_hero_kept"]) for line in lines if line.get("val_hero_kept") is not None]
    _, best, head = max(curve, key=lambda point: point[1])
    return {
        "copies": reached([(tokens, excess) for tokens, excess, _ in curve], LEAST),
        "heroes": reached(heroes, HALF) if heroes else None,
        "bend": steepest(bits),
        "best": best,
        "head": head,
        "untrained": curve[0][1],
        "bits_per_byte": bits[-1][1],
        "copying": copying(run),
        "curve": [(tokens, excess) for tokens, excess, _ in curve],
        "losses": bits,
    }


def copying(run: Path) -> dict[str, float] | None:
    """Nats a token of held-out texts, `again` right after the same text, and `after` another text. A model that copies
    predicts the second copy far better. None where no held-out text fills half of the context."""
    subject = look_at(run, notify=lambda text: None).subject
    model, length = subject.generator.model, (subject.generator.model.config.context_length - 1) // 2
    rows = subject.rows[(subject.rows[:, : length + 1] != subject.generator.tokenizer.pad_id).all(1)]
    start, texts = rows[:, :1], rows[:, 1 : length + 1]
    if len(texts) < 2:
        return None

    def nats(before: torch.Tensor) -> float:
        read = torch.cat([start, before, texts], 1)
        with inference(model):
            logs = model.logits(model(read[:, :-1])).log_softmax(-1)
        return float(-logs.gather(-1, read[:, 1:, None])[:, length + 1 :].mean())

    return {"again": nats(texts), "after": nats(texts.roll(1, 0))}


def strongest(look: dict[str, Any]) -> tuple[float, str]:
    """The head with the largest excess of induction over the control, and that excess."""
    pairs = zip(look["induction"], look["induction_shuffled"], strict=True)
    found = [
        (score - control, f"{layer}.{head}")
        for layer, (scores, controls) in enumerate(pairs)
        for head, (score, control) in enumerate(zip(scores, controls, strict=True))
    ]
    return max(found)


def reached(curve: Sequence[tuple[float, float]], least: float) -> float | None:
    """Tokens at which a curve first reaches `least`, interpolated; None where it does not. The curve has to stay there
    at the next point too, so that one noisy point does not count."""
    for place, (tokens, value) in enumerate(curve):
        following = curve[min(place + 1, len(curve) - 1)][1]
        if value >= least and following >= least:
            if place == 0:
                return tokens
            before, low = curve[place - 1]
            return before + (tokens - before) * (least - low) / (value - low) if value > low else tokens
    return None


def steepest(losses: Sequence[tuple[float, float]]) -> float | None:
    """Tokens at which the loss falls fastest by the logarithm of tokens, after its first tenth. The first tokens teach
    which words are frequent, which is the steepest fall of every run."""
    later = [point for point in losses if point[0] >= losses[-1][0] / 10]
    slopes = [
        ((high - low) / math.log(there / here), math.sqrt(here * there))
        for (here, high), (there, low) in pairwise(later)
    ]
    return max(slopes)[1] if slopes else None


def measured(arms: Sequence[Arm], seeds: Sequence[int], study: Study) -> dict[str, Any]:
    """Train and measure every arm for every seed."""
    return {
        arm.name: {
            "rows": arm.rows,
            "context": arm.context,
            "seeds": [formation(trained(arm, seed, study)) for seed in seeds],
        }
        for arm in arms
    }


def print_table(found: dict[str, Any]) -> None:
    """Print the arms: of each measure the seeds' values."""
    shown = Table(box=box.SIMPLE_HEAD)
    for title in (
        "",
        "a head copies",
        "half the heroes",
        "loss falls fastest",
        "largest excess",
        "head",
        "bits a byte",
        "nats of a second copy, and after another text",
    ):
        shown.add_column(title)
    for name, row in found.items():
        seeds = row["seeds"]
        cells = [", ".join(_tokens(one[key]) for one in seeds) for key in ("copies", "heroes", "bend")]
        cells += [", ".join(f"{one['best']:.2f}" for one in seeds), ", ".join(one["head"] for one in seeds)]
        cells.append(", ".join(f"{one['bits_per_byte']:.3f}" for one in seeds))
        shown.add_row(name, *cells, ", ".join(_copies(one["copying"]) for one in seeds))
    console.print(shown)


def _copies(found: dict[str, float] | None) -> str:
    return "-" if found is None else f"{found['again']:.2f}/{found['after']:.2f}"


def _tokens(value: float | None) -> str:
    return "never" if value is None else number(round(value))


def power(found: dict[str, Any], key: str) -> dict[str, Any]:
    """The power of rows x context that the tokens of `key` grow by, and how many runs formed."""
    points = [(row["rows"] * row["context"], one[key]) for row in found.values() for one in row["seeds"] if one[key]]
    runs = sum(len(row["seeds"]) for row in found.values())
    several = len({x for x, _ in points}) > 1
    return {"runs": runs, "formed": len(points), "power": exponent(points) if several else None}


app = typer.Typer(add_completion=False, no_args_is_help=True)
Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds.")]
Runs = Annotated[Path, typer.Option(help="Folder of the runs.")]
Tokens = Annotated[int, typer.Option(min=1, help="Tokens that every run reads.")]
Smoke = Annotated[bool, typer.Option("--smoke", help="Every run in seconds.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Only = Annotated[list[str] | None, typer.Option(help="Arms by name. Left out: all of them. Repeatable.")]


def _command(arms: Sequence[Arm], seeds: int, study: Study, only: Sequence[str] | None, json: bool) -> None:
    use_json(json)
    study.runs.mkdir(parents=True, exist_ok=True)
    if only:
        unknown = set(only) - {arm.name for arm in arms}
        if unknown:
            raise ConfigError(f"no arm is named {', '.join(unknown)}", "; ".join(arm.name for arm in arms))
        arms = [arm for arm in arms if arm.name in only]
    found = measured(arms, range(1, seeds + 1), study)
    print_table(found)
    powers = {key: power(found, key) for key in ("copies", "heroes")}
    for key, row in powers.items():
        if row["power"] is not None:
            print_line(f"{key}: (rows x context)^{row['power']:.2f}, of {row['formed']} runs in {row['runs']}")
    print_line(f"published law at 8 x 256: {number(round(LAW * math.sqrt(8 * 256)))} tokens, with the power 0.5")
    if json:
        emit({"arms": found, "powers": powers})


@app.command(help="Three sizes and one layer alone, on stories and on news.")
def sizes(
    seeds: Seeds = 1,
    runs: Runs = Path("runs/forming"),
    news: Annotated[str, typer.Option(help="A file of news; left out: stories alone.")] = "",
    tokens: Tokens = TOKENS,
    only: Only = None,
    smoke: Smoke = False,
    json: Json = False,
) -> None:
    _command(arms_of_sizes(bool(news)), seeds, Study(runs, news, tokens, smoke), only, json)


@app.command(help="Rows and contexts of a batch at one size.")
def shapes(
    seeds: Seeds = 1,
    runs: Runs = Path("runs/forming"),
    tokens: Tokens = TOKENS,
    only: Only = None,
    smoke: Smoke = False,
    json: Json = False,
) -> None:
    _command(arms_of_shapes(), seeds, Study(runs, "", tokens, smoke), only, json)


if __name__ == "__main__":
    app()
