"""Evolve: head scores through a run, from its heads.jsonl or from its checkpoints, beside the loss: when heads form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.base.chart import Chart, Level, Series, figure
from lilliput.base.html import table
from lilliput.generation.loading import load_folder
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.heads import KINDS
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.watching import SCORES, look, watched_tokens
from lilliput.runs.names import HEADS, VAL_BITS_PER_BYTE, VAL_LOSS
from lilliput.runs.run_folder import RunFolder

Point = dict[str, Any]
MOST, THOROUGH_MOST = 6, 24
"""The most checkpoints that are loaded."""
LINES = 8
"""The most heads that a chart draws, those with the largest last values."""


def evolve(checkpoints: Iterable[tuple[int, TextGenerator]], seed: int = 0) -> list[Point]:
    """Return the head scores of each (step, generator), in rising order of steps: {"step": ..., "previous": [layer:
    [head]], ...} (see `watching.look`). All of them see the same random tokens."""
    found = []
    for step, generator in checkpoints:
        made = watched_tokens(generator.tokenizer, generator.model.config.context_length, seed)
        found.append({"step": step, **look(generator.model, made)})
    return sorted(found, key=lambda point: point["step"])


def evolve_run(run: str | Path, most: int = MOST, seed: int = 0) -> list[Point]:
    """Return `evolve` of at most `most` checkpoints of a run: powers of two and the last first of all."""
    folder = RunFolder(Path(run))
    steps = chosen_steps(folder.steps(), most)
    return evolve(
        ((step, load_folder(folder.checkpoint(step) / "model", "cpu", compile=False)) for step in steps), seed
    )


def chosen_steps(steps: Sequence[int], most: int) -> list[int]:
    """Return at most `most` of the steps: the last, then powers of two from the largest, then others from the latest.

    >>> chosen_steps([1, 2, 3, 4, 100, 120], 4)
    [1, 2, 4, 120]
    """
    powers = [step for step in steps[:-1] if step & (step - 1) == 0]
    others = [step for step in steps[:-1] if step & (step - 1)]
    ranked = [*steps[-1:], *reversed(powers), *reversed(others)]
    return sorted(ranked[:most])


def losses(run: str | Path) -> list[tuple[int, float]]:
    """Return the validation figures of a run by step: bits per byte, or the loss in nats where there are none."""
    metrics = RunFolder(Path(run)).read_metrics()
    key = next((key for key in (VAL_BITS_PER_BYTE, VAL_LOSS) if any(key in line for line in metrics)), None)
    return [] if key is None else [(line["step"], line[key]) for line in metrics if key in line]


def thousands(run: str | Path, steps: Iterable[int]) -> dict[int, float]:
    """Return the thousands of tokens that a run had read at these steps, between the steps of its metrics by
    interpolation; nothing for a run without metrics."""
    known = {line["step"]: line["tokens"] for line in RunFolder(Path(run)).read_metrics() if "tokens" in line}
    if not known:
        return {}
    at, tokens = sorted(known), [known[step] for step in sorted(known)]
    return {step: round(float(np.interp(step, at, tokens)) / 1000, 3) for step in steps}


def formed(points: Sequence[Point], score: str) -> tuple[int, str, int] | None:
    """Return the first step at which a head has half of the largest last score, that head ("1.0": layer 1, head 0), and
    the step of the look before, so that the head formed between the two. None where no head ends above twice the
    largest score at the beginning and above 0.2."""
    last = points[-1][score]
    best, layer, head = max((value, i, j) for i, row in enumerate(last) for j, value in enumerate(row))
    start = max(value for row in points[0][score] for value in row)
    if best < 0.2 or best < 2 * start:
        return None
    place = next(place for place, point in enumerate(points) if point[score][layer][head] >= best / 2)
    return points[place]["step"], f"{layer}.{head}", points[max(0, place - 1)]["step"]


@INSTRUMENTS.add("forming")
class Forming(Instrument):
    """Head scores through the run, beside the validation loss, the untrained weights and shuffled tokens."""

    title = "When its heads formed"
    part = "time"
    order = 1
    heads = patterns = True

    def refuses(self, subject: Subject) -> str:
        if reason := super().refuses(subject):
            return reason
        if subject.run is None:
            return "this model belongs to no run"
        run = RunFolder(subject.run)
        if len(run.read_heads()) > 1 or len(run.steps()) > 1:
            return ""
        return (
            "the run has a single checkpoint and no heads.jsonl; a run with evaluate.watch=null or "
            "train.early_checkpoints=true keeps more"
        )

    def measure(self, subject: Subject) -> dict[str, Any]:
        assert subject.run is not None
        points = RunFolder(subject.run).read_heads()
        watched = len(points) > 1
        if not watched:
            points = evolve_run(subject.run, THOROUGH_MOST if subject.thorough else MOST, subject.seed)
        untrained = evolve([(0, subject.untrained)], subject.seed)[0]
        kept = [{key: point[key] for key in ("step", *SCORES, "induction_shuffled")} for point in points]
        return {
            "source": HEADS if watched else "checkpoints",
            "points": kept,
            "untrained": {score: untrained[score] for score in SCORES},
            "loss": losses(subject.run),
            "formed": {score: formed(kept, score) for score in SCORES},
            "thousands": thousands(subject.run, (point["step"] for point in kept)),
        }

    def section(self, found: Mapping[str, Any]) -> str:
        points, loss = found["points"], found["loss"]
        reach = [max(1, point["step"]) for point in points]
        parts = [
            "<p>The same random tokens, which come twice, were shown to the model at several steps of its training. "
            "Each line is a head. A head has formed at the step at which it reaches half of its last value.</p>",
            table(_formed_rows(found["formed"])),
        ]
        for score in ("previous", "induction"):
            parts.append(figure(_chart(points, score, found["untrained"][score], reach)))
        if loss:
            bits = Series("validation", [(max(1, step), value) for step, value in loss], dots=True)
            parts.append(figure(Chart("Loss on held-out text", [bits], "steps", log_x=True, reach=reach), 240))
        return "\n".join(parts)

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        return [
            f"A head that {KINDS[score].words} ({KINDS[score].name}) formed between step {before:,} and step {step:,}: "
            f"head {head} ends with a share of {last:.0%}, and the strongest head of the control has {control:.0%}."
            for score, (step, head, before), last, control in _above_control(found)
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        # Tokens are comparable between runs, and steps of other batch sizes are not. JSON made texts of the steps.
        read = {int(step): tokens for step, tokens in found["thousands"].items()}
        return {
            f"thousand tokens until a head {KINDS[score].words}": Compared(read[step], None, read[before], read[step])
            for score, (step, _, before), _, _ in _above_control(found)
            if read
        }


def _above_control(found: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, str, int], float, float]]:
    """Yield each score with the head that formed, its last share, and the largest share of the control (of untrained
    weights, and for induction also on shuffled tokens), where the last share is above it."""
    for score, at in found["formed"].items():
        if at is None:
            continue
        layer, head = map(int, at[1].split("."))
        controls = [*found["untrained"][score]]
        controls += found["points"][-1]["induction_shuffled"] if score == "induction" else []
        last, control = found["points"][-1][score][layer][head], max(value for row in controls for value in row)
        if last > control:
            yield score, tuple(at), last, control


def _formed_rows(found: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    rows = {}
    for score, at in found.items():
        where = f"head {at[1]}" if at else "no head formed"
        rows[f"{KINDS[score].words} ({KINDS[score].name})"] = {"head": where, "at step": f"{at[0]:,}" if at else ""}
    return rows


def _chart(points: Sequence[Point], score: str, untrained: list[list[float]], reach: list[int]) -> Chart:
    heads = [(i, j) for i, row in enumerate(points[-1][score]) for j, _ in enumerate(row)]
    heads.sort(key=lambda head: -points[-1][score][head[0]][head[1]])
    series = [
        Series(
            f"head {i}.{j}",
            [(max(1, point["step"]), point[score][i][j]) for point in points],
            colour=number,
            dots=True,
        )
        for number, (i, j) in enumerate(heads[:LINES])
    ]
    levels = [Level("largest of untrained weights", max(value for row in untrained for value in row))]
    if score == "induction":
        shuffled = max(value for row in points[-1]["induction_shuffled"] for value in row)
        levels.append(Level("largest on shuffled tokens", shuffled))
    title = f"{KINDS[score].words[0].upper()}{KINDS[score].words[1:]} ({KINDS[score].name}): share of attention"
    return Chart(title, series, "steps", levels=levels, log_x=True, reach=reach)
