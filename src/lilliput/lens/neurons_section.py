"""The section of the page on neurons: the best neuron for each concept, and examples with marked tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.base.html import escape, table


def section(found: Mapping[str, Any]) -> str:
    """Return the figures of the instrument `neurons` as HTML."""
    if not found["neurons"]:
        return "<p>The text holds too few words of each kind to choose a neuron and to measure it.</p>"
    parts = [
        "<p>A neuron is one number inside a layer, computed for each token. For each kind of word, the table has the "
        "neuron that tells words of this kind from all others best. The score is the share of pairs (a word of the "
        "kind, another token) in which the neuron is larger for the word (AUC): 0.5 is chance, 1 is perfect. Half of "
        "the text chose the neuron, and the other half gave the score. Shuffled labels and untrained weights are the "
        "controls. An untrained neuron reads the token itself, so that its score can be high for a few words.</p>",
        table({one["concept"]: _row(one, found["others"]) for one in found["neurons"]}),
    ]
    for one in found["neurons"]:
        parts.append(
            f"<details><summary>{escape(one['concept'])}: {escape(place(one))}</summary>{examples(one['examples'])}"
            "</details>"
        )
    return "".join(parts)


def _row(one: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    row = {
        "neuron": place(one),
        "AUC": f"{one['auc']:.3f} ({one['low']:.3f} to {one['high']:.3f})",
        "shuffled labels": f"{one['shuffled']:.3f}",
    }
    for name, found in others.items():
        other = found.get(one["concept"])
        row[name] = f"{other['auc']:.3f}" if other else "-"
    return row


def place(one: Mapping[str, Any]) -> str:
    """Name a neuron: 'layer 2, neuron 17', counted from 0; a minus where low values mark the concept."""
    layer = one["hook"].split(".")[1]
    return f"layer {layer}, neuron {one['unit']}" + (" (low values)" if one["sign"] < 0 else "")


def examples(found: Sequence[Mapping[str, Any]]) -> str:
    """Return examples as a list; the token that fires most is marked, with its value."""
    return f"<ul>{''.join(f'<li>{_example(one)}</li>' for one in found)}</ul>"


def _example(one: Mapping[str, Any]) -> str:
    mark = one["mark"]
    before, after = "".join(one["pieces"][:mark]), "".join(one["pieces"][mark + 1 :])
    token = escape(one["pieces"][mark] or "(mark)")
    value = one["values"][mark]
    marked = f'<mark title="{value:.3g}">{token}</mark>'
    return f'{escape(before)}{marked}{escape(after)} <small class="quiet">{value:.3g}</small>'
