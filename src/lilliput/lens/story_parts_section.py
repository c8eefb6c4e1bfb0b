"""Stories without a part of the model: the table of the page, and its findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.base.html import table
from lilliput.lens.figures import figure_text

LOST = {
    "name": "the hero's name is lost",
    "pronoun": "the hero's pronoun changes",
    "want": "the wish is forgotten",
    "ending": "the ending fails",
}
"""What happens to a story whose part has a low score."""


def lost_in_stories(stories: Mapping[str, Any] | None) -> list[str]:
    """Return a sentence for each part of a story that falls by more without one component than without random
    units."""
    if stories is None:
        return []
    lines = []
    for part, text in LOST.items():
        changes = {name: change[part] for name, change in stories["without"].items() if change[part]["count"]}
        name = min(changes, key=lambda one: changes[one]["mean"], default=None)
        control = stories["random"][part]
        if name is not None and control["count"] and changes[name]["high"] < control["low"]:
            lines.append(
                f"Without {name}, {text}: the score changes by {figure_text(changes[name])}, and without random units "
                f"by {figure_text(control)}."
            )
    return lines


def without_parts(stories: Mapping[str, Any] | None) -> str:
    """Return the table of stories without a part as HTML; nothing for a model that generates no such stories."""
    if stories is None:
        return ""
    rows = {
        "with all parts": {name: "-" if mean is None else f"{mean:.2f}" for name, mean in stories["before"].items()}
    }
    changed = {f"without {name}": one for name, one in stories["without"].items()}
    changed |= {"without random units": stories["random"], "with all parts, other random numbers": stories["again"]}
    for name, change in changed.items():
        rows[name] = {part: figure_text(one) for part, one in change.items()}
    return (
        f"<h3>Stories without a part</h3><p>{stories['count']} stories from the same openings: is the hero still named "
        "(name), with the right word, she or he (pronoun), is the wish remembered (want), does the story close "
        "(ending)? The first row is the score from 0 to 1. The other rows are changes of the score, story by story, "
        "with 95% intervals.</p>" + table(rows)
    )
