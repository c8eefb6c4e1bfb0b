"""An instrument: how far back each head looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lilliput.base.html import table
from lilliput.base.statistics import interval
from lilliput.lens.capture import capture
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.model.transformer import Model


def distances(model: Model, rows: torch.Tensor) -> torch.Tensor:
    """Return the mean distance in tokens, (N,), from a token of each row to the tokens that the heads look at."""
    with torch.no_grad(), capture(model, "blocks.*.attn.hook_pattern") as seen:
        model(rows)
    places = torch.arange(rows.shape[1], dtype=torch.float32)
    back = (places[:, None] - places).clamp_min(0)
    return torch.stack([(seen[name] * back).sum(-1).mean((1, 2)) for name in seen]).mean(0)


@INSTRUMENTS.add("distance")
class Distance(Instrument):
    title = "How far back the heads look"
    part = "attention"

    def measure(self, subject: Subject) -> dict[str, Any]:
        found = {}
        for name, one in (("model", subject.generator), ("untrained weights", subject.untrained)):
            values = distances(one.model, subject.rows).tolist()
            low, high = interval(values, subject.seed)
            found[name] = {"tokens": sum(values) / len(values), "low": low, "high": high}
        return found

    def section(self, found: Mapping[str, Any]) -> str:
        return f"<p>Mean distance in tokens, with its 95% interval.</p>{table(found)}"

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        model, control = found["model"], found["untrained weights"]
        if model["high"] >= control["low"]:
            return []
        return [
            f"The heads look {model['tokens']:.1f} tokens back, and with untrained weights {control['tokens']:.1f}."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        model, control = found["model"], found["untrained weights"]
        return {"distance in tokens": Compared(model["tokens"], control["tokens"], model["low"], model["high"])}
