"""The instrument "matched": heads and neurons of this model beside those of another seed or of an earlier step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.base.html import table
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.checkpoints import earlier_steps, load_steps
from lilliput.lens.figures import figure_text
from lilliput.lens.findings import beats
from lilliput.lens.instrument import INSTRUMENTS, Instrument, Subject
from lilliput.lens.matching import match_models

ROWS, THOROUGH_ROWS = 8, 48
SHOWN = 12


@INSTRUMENTS.add("matched")
class Matched(Instrument):
    """Heads and neurons matched with another seed, an earlier checkpoint, and untrained weights as the control."""

    title = "The same parts in another model"
    part = "time"
    order = 1
    heads = patterns = True
    neurons = True
    sums = True

    def refuses(self, subject: Subject) -> str:
        if reason := super().refuses(subject):
            return reason
        if subject.sibling is None and not earlier_steps(subject.run, 1):
            return "there is no second model: the run has one checkpoint, and no run with another seed is given"
        return ""

    def measure(self, subject: Subject) -> dict[str, Any]:
        others: dict[str, TextGenerator] = {}
        if subject.sibling is not None:
            others["another seed"] = subject.sibling
        if subject.run is not None:
            device = str(next(subject.generator.model.parameters()).device)
            for step, earlier in load_steps(subject.run, earlier_steps(subject.run, 1), device, subject.notify):
                others[f"step {step:,}"] = earlier
        others["untrained weights"] = subject.untrained
        rows = THOROUGH_ROWS if subject.thorough else ROWS
        return {
            name: match_models(subject.generator, other, subject.rows, rows, subject.seed)
            for name, other in others.items()
        }

    def section(self, found: Mapping[str, Any]) -> str:
        rows = {
            f"{kind}, {name}": {
                "mean of the best correlations": figure_text(one[kind]["best"]),
                "with other texts (control)": figure_text(one[kind]["shuffled"]),
            }
            for kind in ("heads", "neurons")
            for name, one in found.items()
        }
        first = next(iter(found))
        return (
            "<p>Two models read the same text. For each head of this model, the table looks for the head of the other "
            "model that looks at the same earlier words (correlation of the patterns), and for each neuron for the "
            "neuron that is active at the same tokens.</p>"
            + table(rows)
            + '<p class="quiet">Intervals are 95% by bootstrap over the units. In the control the other model reads '
            "other texts, and only the dependence on the position is left. Heads that look at fixed distances keep "
            "their match there.</p>" + _pairs(found[first], first)
        )

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        lines = []
        for kind in ("heads", "neurons"):
            one, untrained = found.get("another seed", {}).get(kind), found["untrained weights"][kind]["best"]
            if one and beats(one["best"], one["shuffled"]) and beats(one["best"], untrained):
                lines.append(
                    f"Another seed learned like {kind}: the mean of the best correlations is "
                    f"{figure_text(one['best'])}, with other texts {figure_text(one['shuffled'])}, and with untrained "
                    f"weights {figure_text(untrained)}."
                )
        return lines


def _pairs(one: Mapping[str, Any], name: str) -> str:
    rows = {
        mine: {f"the match ({name})": other, "correlation": f"{value:.2f}"}
        for kind in ("heads", "neurons")
        for mine, other, value in one[kind]["pairs"][:SHOWN]
    }
    return (
        f"<details><summary>The pairs that are most alike</summary>{table(rows)}"
        '<p class="quiet">One to one, the most alike first (greedy).</p></details>'
    )
