"""The instrument "time": how the layers became what they are, over the checkpoints of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lilliput.base.chart import Chart, Series, figure
from lilliput.base.html import table
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.checkpoints import earlier_steps, load_steps, newest_step
from lilliput.lens.dynamics import Activations, activations, layer_figures, layer_likeness, likeness, permuted
from lilliput.lens.figures import figure_text, mean_figure
from lilliput.lens.heat import heat_table
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.matching import check_same_text
from lilliput.lens.row_losses import HeldOut, held_out

ROWS, THOROUGH_ROWS = 12, 64
STEPS, THOROUGH_STEPS = 8, 100
SETTLED = 0.9
"""The least likeness (CKA) of a layer that has its present form."""
FIGURES = {
    "effective_rank": "directions in use (effective rank)",
    "participation_ratio": "directions with most of the variance (participation ratio)",
    "norm": "length of the residual stream (norm)",
    "hoyer": "sparsity of the neurons (Hoyer, 0 to 1)",
    "near_zero": "share of neuron activations near zero",
}


@INSTRUMENTS.add("time")
class Time(Instrument):
    """CKA, effective rank, norm and sparsity by layer, at checkpoints, beside the loss."""

    title = "How its layers became what they are"
    part = "time"
    neurons = True

    def measure(self, subject: Subject) -> dict[str, Any]:
        generator, thorough = subject.generator, subject.thorough
        held = held_out(generator, subject.rows, THOROUGH_ROWS if thorough else ROWS)
        now = activations(generator.model, held)
        device = next(generator.model.parameters()).device
        steps = earlier_steps(subject.run, THOROUGH_STEPS if thorough else STEPS)
        untrained = activations(subject.untrained.model, held)
        states = [_state("untrained", None, untrained, now)]
        if subject.run is not None:
            for step, earlier in load_steps(subject.run, steps, str(device), subject.notify):
                states.append(_state(f"step {step:,}", step, activations(earlier.model, held), now))
        states.append(_state("now", newest_step(subject.run), now, now))
        mixed = [likeness(x, permuted(x, now.rows, subject.seed), now.rows) for x in now.streams]
        return {
            "layers": generator.model.config.n_layers,
            "states": states,
            "permuted": mixed,
            "own_layers": layer_likeness(now, now),
            "sibling": _sibling(subject.sibling, subject, held, now),
        }

    def section(self, found: Mapping[str, Any]) -> str:
        return _likeness(found) + _figures(found) + _layers(found)

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        untrained = found["states"][0]["likeness"]
        settled = next((one for one in found["states"][1:-1] if _settled(one["likeness"], untrained)), None)
        if settled is None:
            return []
        least = min(settled["likeness"], key=lambda one: one["mean"])
        control = max(untrained, key=lambda one: one["mean"])
        return [
            f"Its layers had their present form at {settled['name']}: each layer is {_margin(least)} like the same "
            f"layer now, or more (CKA), and with untrained weights {_margin(control)} or less."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        first, last = found["states"][0], found["states"][-1]
        names = {
            "effective_rank": "directions in use after the last layer (effective rank)",
            "norm": "length of the residual stream after the last layer (norm)",
            "hoyer": "sparsity of the neurons in the last layer (Hoyer)",
        }
        values = {text: (last["layers"][-1][name], first["layers"][-1][name]) for name, text in names.items()}
        alike = (first["likeness"][-1]["mean"], found["permuted"][-1]["mean"])
        values["likeness of the last layer to untrained weights (CKA)"] = alike
        return {text: Compared(value, control) for text, (value, control) in values.items() if value is not None}


def _settled(likeness: list[dict[str, Any]], untrained: list[dict[str, Any]]) -> bool:
    """Return whether every layer is as good as its newest form, and is more like it than untrained weights are."""
    pairs = list(zip(likeness, untrained, strict=True))
    if any(one[key] is None for pair in pairs for one in pair for key in ("mean", "margin")):
        return False
    return all(
        one["mean"] >= SETTLED and one["mean"] - one["margin"] > other["mean"] + other["margin"] for one, other in pairs
    )


def _state(name: str, step: int | None, then: Activations, now: Activations) -> dict[str, Any]:
    """Return the figures of one model, and the CKA of each of its layers with the same layer of the newest model."""
    pairs = zip(then.streams, now.streams, strict=True)
    return {
        "name": name,
        "step": step,
        "bits_per_byte": mean_figure(then.bits.tolist()),
        "layers": layer_figures(then),
        "likeness": [likeness(x, y, now.rows) for x, y in pairs],
    }


def _sibling(sibling: TextGenerator | None, subject: Subject, held: HeldOut, now: Activations) -> dict[str, Any] | None:
    """Return the same figures of the sibling; None without one."""
    if sibling is None:
        return None
    check_same_text(subject.generator, sibling)
    other = activations(sibling.model, held)
    alike = [likeness(x, y, now.rows) for x, y in zip(other.streams, now.streams, strict=False)]
    return {
        "bits_per_byte": mean_figure(other.bits.tolist()),
        "layers": layer_figures(other),
        "likeness": alike,
        "grid": layer_likeness(now, other),
    }


# ---------------------------------------------------------------------------- the section


def _likeness(found: Mapping[str, Any]) -> str:
    states, layers = found["states"], range(found["layers"])
    rows = {}
    for state in states:
        bits = state["bits_per_byte"]
        rows[state["name"]] = {"loss": figure_text(bits, 3)}
        rows[state["name"]] |= {f"layer {layer}": _margin(state["likeness"][layer]) for layer in layers}
    rows["control: positions mixed"] = {"loss": ""} | {
        f"layer {layer}": _margin(found["permuted"][layer]) for layer in layers
    }
    if found["sibling"] is not None:
        bits, alike = found["sibling"]["bits_per_byte"], found["sibling"]["likeness"]
        rows["another seed"] = {"loss": figure_text(bits, 3)} | {
            f"layer {layer}": _margin(one) for layer, one in enumerate(alike)
        }
    return (
        "<p>Each layer turns each token of a text into a row of numbers. The table compares the numbers of earlier "
        "models with the numbers of the newest model, on the same held-out text (linear CKA, unbiased): 1 is the same "
        "up to a rotation, and 0 is nothing in common. The loss is in bits per byte.</p>"
        + _chart(found, "Likeness to the newest model, by layer", lambda state, layer: state["likeness"][layer]["mean"])
        + table(rows)
        + '<p class="quiet">The control mixes the positions, so that the two sides have nothing in common. A margin is '
        "half of the 95% interval over groups of texts (Student's t).</p>"
    )


def _chart(found: Mapping[str, Any], title: str, value: Callable[[Mapping[str, Any], int], float | None]) -> str:
    """Return a chart with a line for each layer over the steps; nothing without two steps."""
    states = [state for state in found["states"] if state["step"] is not None or state["name"] == "untrained"]
    if len(states) < 3:
        return ""
    layers = found["layers"]
    lines = []
    for layer in range(layers):
        points = [((state["step"] or 0), value(state, layer)) for state in states]
        known = [(float(step), one) for step, one in points if one is not None]
        lines.append(Series(f"layer {layer}", known, dots=True, shade=layer / max(1, layers - 1)))
    return figure(Chart(title, lines, "training step"))


def _figures(found: Mapping[str, Any]) -> str:
    parts = [
        "<h3>Directions, length and sparsity</h3><p>How many directions a layer uses, how long its numbers are, and "
        "how few of its neurons are active at once.</p>"
    ]
    for name, text in FIGURES.items():
        rows = {}
        named = [(state["name"], state["layers"]) for state in found["states"]]
        named += [("another seed", found["sibling"]["layers"])] if found["sibling"] is not None else []
        for state, layers in named:
            rows[state] = {f"layer {place}": _short(one[name]) for place, one in enumerate(layers)}
        parts.append(f"<details><summary>{text}</summary>{table(rows)}</details>")
    return "".join(parts)


def _layers(found: Mapping[str, Any]) -> str:
    own = _grid(found["own_layers"], "Likeness of this model's layers with each other (CKA)")
    if found["sibling"] is None:
        return f"<h3>Layers beside layers</h3>{own}"
    other = _grid(found["sibling"]["grid"], "This model's layers (rows) and those of another seed (columns), CKA")
    return f"<h3>Layers beside layers</h3>{own}{other}"


def _grid(values: list[list[float | None]], text: str) -> str:
    rows, columns = ([f"layer {place}" for place in range(count)] for count in (len(values), len(values[0])))
    return f"<p>{text}</p>{heat_table(rows, columns, values)}"


def _margin(one: Mapping[str, Any]) -> str:
    if one["mean"] is None:
        return "-"
    return f"{one['mean']:.2f}" + ("" if one["margin"] is None else f" ± {one['margin']:.2f}")


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
