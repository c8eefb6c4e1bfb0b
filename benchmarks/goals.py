"""Time to loss: from the runs' bits per byte to ratios of time, and the tables of both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import mean, stdev
from typing import Any

from rich import box
from rich.table import Table

from lilliput.base.chart import Chart, Series
from lilliput.base.console import duration, number
from pretraining import Outcome

GOAL_TIMES = {"litgpt_shipped": 12.0, "litgpt_tuned": 4.0}
"""The goal: our runs reach the loss of each peer's longest run this many times sooner."""
GOAL_FEWER_BITS = 0.10
"""The goal: our runs save this share of bits per byte in the longest budget that they share with a peer."""


def reach(points: Iterable[tuple[float, float]], goal: float) -> tuple[float | None, str]:
    """(seconds, '') in which runs of growing budgets reach `goal` bits per byte: between the two runs on either side of
    it, linear in the logarithm of time. `points` are (seconds, bits per byte), one a run.

    (shortest, 'at most') where the shortest run is there already; (None, 'not reached') where the longest is not."""
    known = sorted((seconds, bits) for seconds, bits in points if math.isfinite(bits))
    if known and known[0][1] <= goal:
        return known[0][0], "at most"
    for (before, high), (after, low) in pairwise(known):
        if low <= goal < high:
            share = (high - goal) / (high - low)
            return before * (after / before) ** share, ""
    return None, "not reached"


def time_goals(ours: Sequence[Outcome], peers: Sequence[Outcome]) -> list[dict[str, Any]]:
    """For every run of a peer: the time that ours needs for its loss, the ratio, and whether the goal is met (None:
    no goal was set for this run)."""
    points = [(run.seconds, run.bits_per_byte) for run in ours]
    longest = {run.task.arm: max(p.seconds for p in peers if p.task.arm == run.task.arm) for run in peers}
    found = []
    for run in peers:
        seconds, bound = reach(points, run.bits_per_byte)
        ratio = run.seconds / seconds if seconds else None
        goal = GOAL_TIMES.get(run.task.arm) if run.seconds == longest[run.task.arm] else None
        found.append(
            {
                "arm": run.task.arm,
                "peer_seconds": run.seconds,
                "bits_per_byte": run.bits_per_byte,
                "ours_seconds": seconds,
                "bound": bound,
                "ratio": ratio,
                "goal": goal,
                "met": None if goal is None else ratio is not None and ratio >= goal,
            }
        )
    return found


def bits_goals(ours: Sequence[Outcome], peers: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return our saving of bits per byte, as a share, for each peer in the longest budget of both."""
    by_budget = {run.task.seconds: run for run in ours}
    found = []
    for arm in dict.fromkeys(run.task.arm for run in peers):
        shared = [run for run in peers if run.task.arm == arm and run.task.seconds in by_budget]
        if not shared:
            continue
        peer = max(shared, key=lambda run: run.task.seconds or 0.0)
        mine = by_budget[peer.task.seconds]
        fewer = 1 - mine.bits_per_byte / peer.bits_per_byte
        found.append(
            {
                "arm": arm,
                "budget_seconds": peer.task.seconds,
                "ours_bits_per_byte": mine.bits_per_byte,
                "peer_bits_per_byte": peer.bits_per_byte,
                "fewer": fewer,
                "goal": GOAL_FEWER_BITS,
                "met": fewer >= GOAL_FEWER_BITS,
            }
        )
    return found


def equal_tokens(runs: Sequence[Outcome]) -> list[dict[str, Any]]:
    """For each arm the bits per byte over its seeds, at one number of tokens."""
    found = []
    for arm in dict.fromkeys(run.task.arm for run in runs):
        mine = [run for run in runs if run.task.arm == arm]
        bits = [run.bits_per_byte for run in mine]
        found.append(
            {
                "arm": arm,
                "tokens": [run.tokens for run in mine],
                "steps": mine[0].steps,
                "seeds": [run.task.seed for run in mine],
                "bits_per_byte": bits,
                "mean": mean(bits),
                "deviation": stdev(bits) if len(bits) > 1 else None,
            }
        )
    return found


# ---------------------------------------------------------------------------- printing


def tables(figures: dict[str, Any]) -> list[Table]:
    """The figures for people: runs, goals, equal tokens."""
    runs = _table("runs by the clock", "", "budget", "tokens", "steps", "warm-up", "seconds", "compiling", "bits/byte")
    for run in figures["runs"]:
        runs.add_row(
            run["arm"],
            duration(run["budget_seconds"]),
            number(run["tokens"]),
            f"{run['steps']:,}",
            f"{run['warmup_steps']:,}",
            f"{run['seconds']:.1f}",
            "inside" if run["compile_seconds"] is None else f"+{run['compile_seconds']:.0f}",
            f"{run['bits_per_byte']:.4f}",
        )
    goals = _table("the time that ours needs for the same loss", "", "its time", "bits/byte", "ours", "times", "goal")
    for goal in figures["time_goals"]:
        seconds, ratio = goal["ours_seconds"], goal["ratio"]
        at_most = goal["bound"] == "at most"
        goals.add_row(
            goal["arm"],
            duration(goal["peer_seconds"]),
            f"{goal['bits_per_byte']:.4f}",
            goal["bound"] if seconds is None else ("< " if at_most else "") + duration(seconds),
            "" if ratio is None else ("> " if at_most else "") + f"{ratio:.1f}",
            _goal(goal, "{:.0f}"),
        )
    bits = _table("bits per byte in the same time", "", "budget", "ours", "its", "fewer", "goal")
    for goal in figures["bits_goals"]:
        bits.add_row(
            goal["arm"],
            duration(goal["budget_seconds"]),
            f"{goal['ours_bits_per_byte']:.4f}",
            f"{goal['peer_bits_per_byte']:.4f}",
            f"{goal['fewer']:.1%}",
            _goal(goal, "{:.0%}"),
        )
    same = _table("bits per byte after the same tokens", "", "tokens", "steps", "seeds", "bits/byte")
    for row in figures["equal_tokens"]:
        spread = "" if row["deviation"] is None else f" ± {row['deviation']:.4f}"
        seeds = ", ".join(map(str, row["seeds"]))
        same.add_row(row["arm"], number(row["tokens"][0]), f"{row['steps']:,}", seeds, f"{row['mean']:.4f}{spread}")
    return [table for table in (runs, goals, bits, same) if table.row_count]


def _goal(goal: dict[str, Any], form: str) -> str:
    if goal["goal"] is None:
        return ""
    return form.format(goal["goal"]) + (": met" if goal["met"] else ": missed")


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(headings[0], no_wrap=True)
    for heading in headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def chart(figures: dict[str, Any]) -> Chart:
    """Bits per byte against time: a dot is a whole run of that length."""
    arms = dict.fromkeys(run["arm"] for run in figures["runs"])
    series = [
        Series(
            arm,
            sorted((run["seconds"], run["bits_per_byte"]) for run in figures["runs"] if run["arm"] == arm),
            colour=colour,
            dots=True,
        )
        for colour, arm in enumerate(arms)
    ]
    title = "Validation bits per byte after a run of that length (each dot is a run with a schedule of its own)"
    return Chart(title, series, x_label="training time", time_x=True)
