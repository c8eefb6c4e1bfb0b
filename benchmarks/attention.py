"""Kinds of attention at equal training FLOPs: full with rotary positions, a window, ALiBi, no positions, linear, and a
hybrid of linear and full; loss, recall and speed.

    python benchmarks/attention.py quality --seeds 3 [--news FILE]   # trains every arm on stories, or on news
    python benchmarks/attention.py recall --seeds 3                  # trains two small layers of each on `belongings`
    python benchmarks/attention.py speed                             # training and decoding at contexts 256 and 1,024
    python benchmarks/attention.py quality --smoke                   # every run in seconds, to see that all of it works

`quality` trains the recipe story, and prints bits per byte. `recall` trains a model of two layers on texts that say who
has what, and prints the benchmark `recall_plain` by number of people: a model without recall is at chance. Every arm
has as many training FLOPs (model/counts.py) as --steps steps of full attention, so an arm whose tokens cost less reads
more of them. `speed` times one thread in processor seconds, in interleaved rounds, with random weights: a training
step, and decoding after a prompt of nearly the whole context. Steps are PyTorch's for all arms; native steps in C++
stand beside them where an arm has them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any

import torch
import typer
from rich import box
from rich.table import Table

import lilliput
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import ConfigError
from lilliput.base.statistics import mean_of
from lilliput.data.infer import infer_sources
from lilliput.decoding.cache import KVCache
from lilliput.decoding.native import native, why_not
from lilliput.model.attention_layers import UNREAD_POSITION
from lilliput.model.config import ModelConfig, resolve
from lilliput.model.counts import flops_per_token
from lilliput.model.transformer import Model
from lilliput.runs.run_folder import RunFolder
from teaching import QUICK
from whole_runs import train_whole

STYLE = "story_1.8m"
"""The model of every arm but for its attention: 4 layers of 128, context 256."""
ARMS: dict[str, dict[str, Any]] = {
    "full": {},
    "window": {"window": 64, "window_layers": [0, 2]},
    "alibi": {"position": "alibi"},
    "no position": {"position": "none"},
    "gated_delta": {"attention": "gated_delta", "position": UNREAD_POSITION},
    "hybrid": {"attention": "gated_delta", "attention_layers": [0, 1, 2]},
}
STEPS, ROWS = 2000, 8
"""Steps of full attention, of rows of 256 tokens."""
RECALL_SHAPE = {"d_model": 64, "n_layers": 2, "n_heads": 2, "context_length": 128, "vocab_size": 1024}
RECALL_ARMS: dict[str, dict[str, Any]] = {
    "full": {},
    "window": {"window": 16, "window_layers": [0]},
    "alibi": {"position": "alibi"},
    "no position": {"position": "none"},
    "gated_delta": {"attention": "gated_delta", "position": UNREAD_POSITION},
    "hybrid": {"attention": "gated_delta", "attention_layers": [0]},
}
RECALL_STEPS, RECALL_TOKENS = 1500, 4096
"""Steps of full attention of `recall`, and tokens of a step."""
SHAPES = ((8, 256), (2, 1024))
"""Rows and contexts whose speed is measured."""
DECODED = 32
"""Tokens that are decoded, up to the end of the context."""


@dataclass(frozen=True)
class Study:
    """What all runs of `quality` have in common."""

    runs: Path
    steps: int = STEPS
    news: str = ""
    smoke: bool = False


def config_of(arm: str, **changes: Any) -> ModelConfig:
    """Return the model of an arm of `quality`."""
    return resolve(STYLE, **ARMS[arm], **changes)


def recall_config_of(arm: str) -> ModelConfig:
    """Return the model of an arm of `recall`."""
    return resolve(STYLE, **RECALL_SHAPE, **RECALL_ARMS[arm])


def steps_of(arm: str, steps: int, config: Callable[[str], ModelConfig] = config_of) -> int:
    """Return the steps of an arm that cost as many training FLOPs as `steps` steps of full attention."""
    return round(steps * flops_per_token(config("full")).training / flops_per_token(config(arm)).training)


QUIET_RUN = ("evaluate.heroes=0", "evaluate.final_heroes=0", "evaluate.samples=0", "evaluate.baselines=[]")


def overrides_of(arm: str, study: Study) -> list[str]:
    """Return the overrides of the recipe story for an arm of `quality`, with enough documents for the longest arm."""
    steps = steps_of(arm, study.steps)
    sources: list[dict[str, Any]] = [{"kind": "story", "stories": 400 if study.smoke else 9 * study.steps}]
    if study.news:
        sources = [source.model_dump(mode="json") for source in infer_sources([study.news])]
    made = [f"data.sources={json.dumps(sources)}", f"train.steps={steps}", f"evaluate.steps={max(1, steps)}"]
    made += [f"model.{key}={json.dumps(value)}" for key, value in ARMS[arm].items()]
    made += QUIET_RUN
    if study.smoke:
        made += ["model.d_model=64", "model.n_heads=2", f"train.batch_tokens={2 * 256}", *QUICK]
    return made


def recall_overrides_of(arm: str, study: Study) -> list[str]:
    """Return the overrides of the recipe story for an arm of `recall`: texts with 2 to 4 people, asked about twice."""
    steps = steps_of(arm, study.steps, recall_config_of)
    settings = {"count": 300 if study.smoke else 60_000, "distance": 0, "rounds": 2, "plain": True}
    sources = [{"kind": "belongings", "pairs": pairs, **settings} for pairs in (2, 3, 4)]
    made = [f"data.sources={json.dumps(sources)}", "data.packing=best_fit", "train.epochs=null"]
    made += [f"train.steps={steps}", f"train.batch_tokens={RECALL_TOKENS}", f"evaluate.steps={max(1, steps)}"]
    shape = {key: value for key, value in RECALL_SHAPE.items() if key != "vocab_size"}
    made += [f"model.{key}={json.dumps(value)}" for key, value in {**shape, **RECALL_ARMS[arm]}.items()]
    made += [f"tokenizer.vocab_size={RECALL_SHAPE['vocab_size']}", *QUIET_RUN]
    return [*made, f"train.batch_tokens={2 * 128}", *QUICK] if study.smoke else made


def trained(arm: str, seed: int, study: Study, task: str = "") -> Path:
    """Train a run, or find it finished. Return its folder."""
    text = task or ("news" if study.news else "stories")
    name = f"{text}-{arm.replace(' ', '-')}-{study.steps}-{seed}"
    overrides = recall_overrides_of(arm, study) if task else overrides_of(arm, study)
    print_line(f"{name}: {' '.join(overrides)}")
    return train_whole("story", overrides, name=name, runs=study.runs, seed=seed)


def quality_of(run: Path) -> dict[str, Any]:
    """Return a run's bits per byte and its cost."""
    summary = RunFolder(run).read_summary()
    return {"bits": summary["val_bits_per_byte"], **_cost(summary)}


def recall_of(run: Path, smoke: bool) -> dict[str, Any]:
    """Return a run's recall by number of people with the chance, and its cost."""
    most = 16 if smoke else None
    acc, greedy = lilliput.benchmark(run, ["recall_plain"], max_items=most, controls=False, notify=lambda text: None)
    parts = {name: {"acc": part["score"], "chance": part["chance"]} for name, part in acc["parts"].items()}
    for name, part in greedy["parts"].items():
        parts[name]["greedy"] = part["score"]
    return {"recall": parts, **_cost(RunFolder(run).read_summary())}


def _cost(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {key: summary[key] for key in ("tokens", "flops", "training_seconds") if key in summary}


def quality_rows(arms: Sequence[str], seeds: Sequence[int], study: Study) -> dict[str, list[dict[str, Any]]]:
    """Train and measure every arm of `quality` for every seed."""
    return {arm: [quality_of(trained(arm, seed, study)) for seed in seeds] for arm in arms}


def recall_rows(arms: Sequence[str], seeds: Sequence[int], study: Study) -> dict[str, list[dict[str, Any]]]:
    """Train and measure every arm of `recall` for every seed."""
    return {arm: [recall_of(trained(arm, seed, study, "recall"), study.smoke) for seed in seeds] for arm in arms}


def print_quality(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Print bits per byte over seeds, and differences from full attention seed by seed."""
    shown = Table("", "tokens", "minutes", "bits a byte", "less full", box=box.SIMPLE_HEAD)
    full = next(iter(found.values()))
    for arm, seeds in found.items():
        bits = [one["bits"] for one in seeds]
        less = mean_of([one - other["bits"] for one, other in zip(bits, full, strict=True)])
        margin = "" if less.margin is None else f" ± {less.margin:.4f}"
        minutes = mean(one["training_seconds"] for one in seeds) / 60
        cells = (f"{seeds[0]['tokens']:,}", f"{minutes:.1f}", ", ".join(f"{one:.4f}" for one in bits))
        shown.add_row(arm, *cells, "" if seeds is full else f"{less.mean:+.4f}{margin}")
    console.print(shown)


def print_recall(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Print recall over seeds, by likelihood and by generation, beside chance."""
    parts = next(iter(found.values()))[0]["recall"]
    shown = Table("", "tokens", "minutes", box=box.SIMPLE_HEAD)
    for name, part in parts.items():
        shown.add_column(f"{name.lstrip('0')} (chance {part['chance']:.2f})")
    for arm, seeds in found.items():
        minutes = mean(one["training_seconds"] for one in seeds) / 60
        recall = [
            ", ".join(f"{one['recall'][name]['acc']:.2f}/{one['recall'][name]['greedy']:.2f}" for one in seeds)
            for name in parts
        ]
        shown.add_row(arm, f"{seeds[0]['tokens']:,}", f"{minutes:.1f}", *recall)
    console.print(shown)


# ---------------------------------------------------------------------------- speed


@dataclass
class Timed:
    """An arm of `speed` at one shape, and the processor seconds of its rounds."""

    model: Model
    ids: torch.Tensor
    train: list[float] = field(default_factory=list)
    decode: dict[str, list[float]] = field(default_factory=dict)

    def train_once(self) -> None:
        """Time one forward and backward pass."""
        model, ids = self.model.train(), self.ids
        began = time.process_time()
        model.loss(model(ids), ids, torch.ones(ids.shape)).backward()
        self.train.append(time.process_time() - began)
        model.zero_grad()

    def decode_once(self, how: str, model: Model) -> None:
        """Time DECODED steps of one text, after a prompt that fills the rest of the context."""
        context = self.ids.shape[1]
        cache, prompt = KVCache(self.model.config, 1, context), context - DECODED
        with torch.inference_mode():
            model(self.ids[:1, :prompt], cache=cache)
            cache.advance(prompt)
            began = time.process_time()
            for place in range(prompt, context):
                model.logits(model(self.ids[:1, place : place + 1], cache=cache))
                cache.advance(1)
        self.decode.setdefault(how, []).append((time.process_time() - began) / DECODED)


def speed_rows(arms: Sequence[str], shapes: Sequence[tuple[int, int]], rounds: int) -> list[dict[str, Any]]:
    """Return tokens/s of training and decoding of every arm at every shape: the median of interleaved rounds."""
    torch.set_num_threads(1)
    found = []
    for rows, context in shapes:
        source = torch.Generator().manual_seed(0)
        ids = torch.randint(0, 4096, (rows, context), generator=source)
        timed = {arm: Timed(Model(config_of(arm, context_length=context, init="normal")), ids) for arm in arms}
        for _ in range(rounds):
            for one in timed.values():
                one.train_once()
                one.model.eval()
                one.decode_once("pytorch", one.model)
                if why_not(one.model) is None:
                    one.decode_once("native", native(one.model))
        for arm, one in timed.items():
            decode = {how: 1 / median(seconds) for how, seconds in one.decode.items()}
            row = {"arm": arm, "rows": rows, "context": context, "decode": decode}
            found.append({**row, "train": rows * context / median(one.train)})
    return found


def print_speed(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print tokens a processor second, and each beside full attention at the same context."""
    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("context", "", "training", "beside full", "decoding", "beside full", "native steps"):
        shown.add_column(title)
    for row in rows:
        full = next(one for one in rows if one["context"] == row["context"])
        steps, base = row["decode"]["pytorch"], full["decode"]["pytorch"]
        quick = f"{row['decode']['native']:,.0f}" if "native" in row["decode"] else "none"
        cells = (f"{row['train']:,.0f}", f"{row['train'] / full['train']:.2f}", f"{steps:,.0f}", f"{steps / base:.2f}")
        shown.add_row(f"{row['rows']} x {row['context']}", row["arm"], *cells, quick)
    console.print(shown)


app = typer.Typer(add_completion=False, no_args_is_help=True)
Only = Annotated[list[str] | None, typer.Option(help=f"Arms: {', '.join(ARMS)}. Left out: all. Repeatable.")]
Smoke = Annotated[bool, typer.Option("--smoke", help="At the smallest size, to see that all of it works.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def chosen(only: Sequence[str] | None) -> list[str]:
    """Return the arms in their order. Raises ConfigError for an unknown arm."""
    if unknown := set(only or ()) - ARMS.keys():
        raise ConfigError(f"no arm is named {', '.join(sorted(unknown))}", ", ".join(ARMS))
    return [arm for arm in ARMS if not only or arm in only]


Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds.")]
Runs = Annotated[Path, typer.Option(help="Folder of the runs.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of full attention.")]


@app.command(help="Bits per byte of every arm, at equal training FLOPs.")
def quality(
    seeds: Seeds = 1,
    runs: Runs = Path("runs/attention"),
    news: Annotated[str, typer.Option(help="A file of news in place of stories.")] = "",
    steps: Steps = STEPS,
    only: Only = None,
    smoke: Smoke = False,
    json: Json = False,
) -> None:
    use_json(json)
    runs.mkdir(parents=True, exist_ok=True)
    found = quality_rows(chosen(only), range(1, seeds + 1), Study(runs, 20 if smoke else steps, news, smoke))
    print_quality(found)
    if json:
        emit({"arms": found})


@app.command(help="Recall of two layers of every arm, at equal training FLOPs.")
def recall(
    seeds: Seeds = 1,
    runs: Runs = Path("runs/attention"),
    steps: Steps = RECALL_STEPS,
    only: Only = None,
    smoke: Smoke = False,
    json: Json = False,
) -> None:
    use_json(json)
    runs.mkdir(parents=True, exist_ok=True)
    found = recall_rows(chosen(only), range(1, seeds + 1), Study(runs, 20 if smoke else steps, smoke=smoke))
    print_recall(found)
    if json:
        emit({"arms": found})


@app.command(help="Tokens a processor second of training and of decoding, on one thread.")
def speed(
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 10,
    only: Only = None,
    smoke: Smoke = False,
    json: Json = False,
) -> None:
    use_json(json)
    rows = speed_rows(chosen(only), ((2, 64),) if smoke else SHAPES, 1 if smoke else rounds)
    print_speed(rows)
    if json:
        emit({"rows": rows})


if __name__ == "__main__":
    app()
