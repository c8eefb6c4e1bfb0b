"""Forward beside reversed models: bits per byte of the same text, 100 stories by each from one end, and heroes kept.

Models that read forwards go on from the first sentence of stories that they have not seen, and reversed ones from the
last sentence backwards. A story is scored by the rules of the built-in world (0 to 1, storybook/consistency.py)
beside true stories and the controls; `kept` is the share of texts that hold the given sentence to the letter, and
`heroes` that of as many stories about named children that keep their hero (storybook/hero.py).

    python benchmarks/direction.py runs/story runs/story-reversed
    python benchmarks/direction.py RUN... --prompts 100 --temperature 0.5 --json
"""

from __future__ import annotations

import argparse
from typing import Any

from rich.table import Table

from lilliput import api
from lilliput.base.console import console, emit, number, print_line, use_json
from lilliput.base.statistics import interval
from lilliput.cli.main import one_line_errors
from lilliput.storybook import story
from lilliput.storybook.consistency import consistency, control_scores, mean
from lilliput.storybook.hero import hero_prompts, keeps_hero
from lilliput.storybook.vocabulary import sentences

UNSEEN = 10**9
"""The first number of the stories that give the prompts: no recipe here reads so far."""


def measure(run: str, prompts: int, temperature: float, seed: int) -> dict[str, Any]:
    """Bits per byte of the run's whole validation text, and what its stories are like."""
    model = api.load(run, notify=lambda text: None)
    forwards = model.objective.reads_forwards
    ends = [sentences(story(0, UNSEEN + each).text)[0 if forwards else -1] for each in range(prompts)]
    texts = model.generate_batch(ends, window=True, temperature=temperature, seed=seed, max_tokens=320)
    kept = [text.startswith(end) if forwards else text.endswith(end) for end, text in zip(ends, texts, strict=True)]
    asked = hero_prompts(prompts, forwards)
    about = model.generate_batch([p for p, _ in asked], window=True, temperature=temperature, seed=seed, max_tokens=256)
    heroes = [keeps_hero(text, hero, forwards, p) for text, (p, hero) in zip(about, asked, strict=True)]
    marks = [consistency(text) for text in texts]
    overall = [mark.overall for mark in marks]
    return {
        "run": run,
        "bits_per_byte": api.evaluate(run, notify=lambda text: None).bits_per_byte,
        "kept": sum(kept) / prompts,
        "heroes": sum(heroes) / prompts,
        "consistency": sum(overall) / prompts,
        "interval": interval(overall),
        "scores": mean(marks).as_dict(),
        "example": texts[0],
    }


def table(found: list[dict[str, Any]], prompts: int) -> Table:
    means = {name: sum(one.overall for one in scores) / prompts for name, scores in control_scores(0, prompts).items()}
    ruler = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
    shown = Table(title=f"{prompts} stories each; {ruler}")
    for name in ("run", "bits per byte", "kept", "heroes", "consistency", "95%", *found[0]["scores"]):
        shown.add_column(name)
    for one in found:
        low, high = one["interval"]
        row = (
            f"{one['bits_per_byte']:.4f}",
            f"{one['kept']:.0%}",
            f"{one['heroes']:.1%}",
            f"{one['consistency']:.3f}",
            f"{low:.3f}-{high:.3f}",
        )
        shown.add_row(one["run"], *row, *("-" if value is None else f"{value:.2f}" for value in one["scores"].values()))
    return shown


def main(arguments: list[str] | None = None) -> None:
    """Measure every run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--temperature", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_intermixed_args(arguments)
    use_json(asked.json)
    found = []
    for run in asked.runs:
        found.append(measure(run, asked.prompts, asked.temperature, asked.seed))
        print_line(
            f"{run}: {number(found[-1]['bits_per_byte'])} bits per byte, consistency {found[-1]['consistency']:.3f}"
        )
    if asked.json:
        emit({"prompts": asked.prompts, "runs": found})
    else:
        console.print(table(found, asked.prompts))


if __name__ == "__main__":
    with one_line_errors():
        main()
