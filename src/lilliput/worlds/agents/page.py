"""The page of a simulation: how both arms go through the days, and the difference that the policy makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.base.chart import STYLE, Chart, Level, Series, figure
from lilliput.base.html import document, escape, table

NOTE = (
    "The people are made up. Their answer to a policy is the answer of the rules or texts that they learned from, and "
    "says nothing about people who exist."
)


def page(found: Mapping[str, Any]) -> str:
    """Return the page of results (see simulate_town)."""
    given = found["settings"]
    policy = ", ".join(given["policy"]) or "none"
    writer = f"the model {given['run']}" if given["run"] else "rules"
    body = [
        "<h1>A town</h1>",
        f"<p>{given['people']:,} people live {given['days']} days by {escape(writer)}. Policy: {escape(policy)}"
        + (f", from day {given['from_day']} on.</p>" if given["policy"] else ".</p>"),
        "<h2>A person and day</h2>",
        table({name: _row(row) for name, row in found["outcomes"].items()}),
        "<h2>At the end</h2>",
        table({arm: {f"{name}, mean": f"{each[name]:.0f}" for name in each} for arm, each in found["left"].items()}),
        f"<p>{NOTE}</p>",
        "<h2>Day by day</h2>",
    ]
    for name in found["outcomes"]:
        lines = [
            Series(arm, list(enumerate(series[name], start=1)), colour)
            for colour, (arm, series) in enumerate(found["series"].items())
        ]
        starts = [Level("policy", given["from_day"])] if given["policy"] else []
        body.append(figure(Chart(f"{name}, mean over people", lines, "day", verticals=starts, height=220), 220))
    return document("A town", "\n".join(body), STYLE)


def _row(row: Mapping[str, float]) -> dict[str, str]:
    cells = {arm: f"{row[arm]:.3f}" for arm in ("control", "policy") if arm in row}
    if "difference" in row:
        cells["difference"] = f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
    return cells
