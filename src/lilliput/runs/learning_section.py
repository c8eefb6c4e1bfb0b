"""The section of a run's report on learning from preferences and rewards: figures through time, and rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.base.chart import Chart, Series
from lilliput.base.html import table
from lilliput.runs.record import RunRecord, as_number
from lilliput.runs.run_folder import RunFolder

PANELS: dict[str, tuple[str, ...]] = {
    "Reward": ("reward", "val_reward"),
    "Reward by part": ("rewards/*/mean",),
    "Rewards of pairs": ("rewards/chosen", "rewards/rejected", "rewards/margins"),
    "Pairs ranked right": ("rewards/accuracies", "val_rewards/accuracies"),
    "KL from the reference": ("kl", "objective/kl"),
    "Entropy of a token": ("entropy", "policy/entropy_avg"),
    "Length in tokens": ("completions/mean_length",),
    "Share that was cut off": ("completions/clipped_ratio",),
    "Share of clipped ratios": ("clip_ratio/region_mean", "policy/clipfrac_avg"),
    "Prompts whose rewards all tie": ("frac_reward_zero_std",),
}
"""Charts by title, each with the keys of metrics.jsonl that it shows; a * stands for any name."""
SHOWN = 6
"""Moments of which the report shows rollouts."""


def learning(record: RunRecord) -> str:
    """Return the section as HTML; empty for a run without such figures."""
    charts = [chart for title, keys in PANELS.items() if (chart := _panel(record, title, keys))]
    parts = [f'<div class="trio">{"".join(charts)}</div>'] if charts else []
    parts += [_rollouts(record)]
    body = "".join(filter(None, parts))
    return f"<h2>Preferences and rewards</h2>{body}" if body else ""


def _panel(record: RunRecord, title: str, keys: tuple[str, ...]) -> str:
    names = [name for key in keys for name in _matching(record, key)]
    series = [
        Series(_short(name), points, colour=place, thin=not name.startswith("val_"), dots=name.startswith("val_"))
        for place, name in enumerate(names)
        if len(points := record.points("step", name)) > 1
    ]
    if not series:
        return ""
    return f"<figure>{Chart(title, series, 'step', width=290, height=220).svg()}</figure>"


def _matching(record: RunRecord, key: str) -> list[str]:
    before, star, after = key.partition("*")
    if not star:
        return [key]
    known = dict.fromkeys(name for line in record.metrics for name in line)
    return [name for name in known if name.startswith(before) and name.endswith(after)]


def _short(name: str) -> str:
    """'words' of 'rewards/words/mean'."""
    parts = [part for part in name.split("/") if part not in ("rewards", "mean", "objective", "policy")]
    return "/".join(parts) or name


def _rollouts(record: RunRecord) -> str:
    """The best and the worst completion at some moments."""
    lines = RunFolder(record.path).read_rollouts()
    steps = list(dict.fromkeys(line["step"] for line in lines))
    if not steps:
        return ""
    chosen = {steps[round(place * (len(steps) - 1) / max(1, SHOWN - 1))] for place in range(SHOWN)}
    rows = {
        f"{line['which']} at step {line['step']:,}": {
            "reward": _digits(line.get("reward")),
            **{name: _digits(value) for name, value in (line.get("rewards") or {}).items()},
            "prompt": _cut(line.get("prompt")),
            "completion": _cut(line.get("completion")),
        }
        for line in lines
        if line["step"] in chosen
    }
    return f'<h3>Best and worst completions</h3><div class="wide">{table(rows)}</div>'


def _cut(value: Any, most: int = 400) -> str:
    if isinstance(value, list):  # messages
        turns = [turn for turn in value if isinstance(turn, Mapping)]
        value = "\n".join(f"{turn.get('role')}: {turn.get('content')}" for turn in turns)
    text = str(value or "")
    return text if len(text) <= most else f"{text[:most]} ..."


def _digits(value: Any) -> str:
    number = as_number(value)
    return "-" if number is None else f"{number:.3f}"
