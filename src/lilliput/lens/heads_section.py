"""The instrument "heads": what each attention head does, as a table and a picture, beside its controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lilliput.base.chart import shade
from lilliput.base.errors import DataError
from lilliput.base.html import escape, table
from lilliput.base.statistics import interval
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.figures import share_text
from lilliput.lens.findings import compared
from lilliput.lens.heads import KINDS, Scores, mover_scores, repeated_scores, shuffled_rows, text_scores
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.probes import EncodedPairs, encode_pairs, encoded_pairs, repeated_for, shuffled_words
from lilliput.lens.texts import sibling_of

ROWS, THOROUGH_ROWS = 8, 64
PAIRS = 12
"""Texts that end before the hero's name, for each row of text: whether a head copies is 0 or 1 in a text."""
TOKENS = 64
"""Tokens of a row of text that are looked at."""
ROLES = {"previous": 0.3, "first": 0.3, "duplicate": 0.3, "induction": 0.3, "mover": 0.1}
"""The least score of a head with each role. Its interval lies above every head of the controls too. The name mover's is
lower, because it is a product of two shares."""


@INSTRUMENTS.add("heads")
class Heads(Instrument):
    """Scores of every head with intervals, beside shuffled text, untrained weights and another seed."""

    title = "What each head does"
    part = "heads"
    heads = patterns = True
    sums = True

    def measure(self, subject: Subject) -> dict[str, Any]:
        generator, untrained = subject.generator, subject.untrained
        own, mixed = all_scores(generator, subject, False), all_scores(generator, subject, True)
        first = all_scores(untrained, subject, False)
        sibling = sibling_of(subject)
        other = {} if sibling is None else all_scores(sibling, subject, False)
        found = {
            name: {
                "heads": [
                    [_figure(values[:, i, j], subject.seed) for j in range(values.shape[2])]
                    for i in range(values.shape[1])
                ],
                "shuffled": _means(mixed[name]),
                "untrained": _means(first[name]),
                "sibling_largest": round(float(other[name].mean(0).max()), 4) if name in other else None,
            }
            for name, values in own.items()
        }
        return {"scores": found, "roles": roles(found), "rows": len(next(iter(own.values())))}

    def section(self, found: Mapping[str, Any]) -> str:
        scores = found["scores"]
        parts = [
            "<p>Attention heads look at earlier words and carry something from there to here. Each head was given text "
            "and random words that come twice. A number from 0 to 1 is a share of its attention. A head is named below "
            "only where its interval lies above every head of the same model on shuffled text and of the untrained "
            "model.</p>",
            _roles_as_html(found["roles"]),
        ]
        drawn = (f"<div>{_score_as_html(name, score)}</div>" for name, score in scores.items())
        return "\n".join([*parts, '<div class="scores">', *drawn, "</div>"])

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        lines = []
        for role, heads in found["roles"].items():
            if not heads:
                continue
            score, (layer, head) = found["scores"][role], map(int, heads[0].split("."))
            lines.append(
                f"Head {heads[0]} {KINDS[role].words} ({KINDS[role].name}): {share_text(score['heads'][layer][head])}, "
                f"and the strongest head of the control {_control(role, score):.0%}."
            )
        return lines

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        return {
            f"strongest head that {KINDS[role].words}": compared(
                max((one for layer in score["heads"] for one in layer), key=lambda one: one["mean"]),
                _control(role, score),
            )
            for role, score in found["scores"].items()
            if role in ROLES
        }


def all_scores(generator: TextGenerator, subject: Subject, shuffled: bool) -> Scores:
    """Return every score of a generator on the subject's texts, or on their shuffled control."""
    count = THOROUGH_ROWS if subject.thorough else ROWS
    model, pad = generator.model, generator.tokenizer.pad_id
    rows = subject.rows[:count, :TOKENS].to(next(model.parameters()).device)
    text = shuffled_rows(rows, pad, subject.seed) if shuffled else rows
    scores = text_scores(model, text, pad) | repeated_scores(
        model, repeated_for(generator, count, seed=subject.seed), shuffled
    )
    pairs = _pairs(generator, PAIRS * count, subject.seed, shuffled)
    scores |= mover_scores(model, pairs) if pairs is not None else {}
    return {name: scores[name] for name in KINDS if name in scores}


def roles(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the heads of each role, by name ("1.0": layer 1, head 0), the strongest first."""
    named: dict[str, list[str]] = {}
    for role, least in ROLES.items():
        if role not in found:
            continue
        score = found[role]
        # A head that looks by place is not disturbed by shuffled text, so untrained weights alone are its control.
        controls = [score["untrained"]] if role in ("previous", "first") else [score["untrained"], score["shuffled"]]
        strongest = max(value for control in controls for layer in control for value in layer)
        heads = [
            (figure["mean"], f"{layer}.{head}")
            for layer, row in enumerate(score["heads"])
            for head, figure in enumerate(row)
            if figure["mean"] >= least and figure["low"] > strongest
        ]
        named[role] = [name for _, name in sorted(heads, reverse=True)]
    return named


def _control(role: str, score: Mapping[str, Any]) -> float:
    """Return the largest score of the heads of the role's controls, as `roles` takes them."""
    controls = [score["untrained"]] if role in ("previous", "first") else [score["untrained"], score["shuffled"]]
    return max(value for control in controls for layer in control for value in layer)


def _pairs(generator: TextGenerator, count: int, seed: int, shuffled: bool) -> EncodedPairs | None:
    """Return texts after which the model reads the hero's name next; None where the tokenizer has no such texts. The
    shuffled control keeps the word beside the name."""
    try:
        pairs = encoded_pairs(generator, "hero", count, seed)
        return encode_pairs(generator, [shuffled_words(pair, seed) for pair in pairs.pairs]) if shuffled else pairs
    except DataError:
        return None


def _figure(values: torch.Tensor, seed: int) -> dict[str, float]:
    numbers = values.tolist()
    low, high = interval(numbers, seed, rounds=500)
    return {"mean": round(sum(numbers) / len(numbers), 4), "low": round(low, 4), "high": round(high, 4)}


def _means(values: torch.Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in layer] for layer in values.mean(0).tolist()]


def _roles_as_html(named: Mapping[str, list[str]]) -> str:
    rows = {}
    for role, heads in named.items():
        shown = ", ".join(f"head {one}" for one in heads)
        rows[f"{KINDS[role].words} ({KINDS[role].name})"] = {"heads": shown or "no head"}
    return table(rows) + '<p class="quiet">Head 1.0 is head 0 of layer 1. Layers and heads count from 0.</p>'


def _score_as_html(name: str, score: Mapping[str, Any]) -> str:
    kind = KINDS[name]
    layers = score["heads"]
    rows = {}
    for i, layer in enumerate(layers):
        for j, figure in enumerate(layer):
            rows[f"head {i}.{j}"] = {
                "mean": f"{figure['mean']:.2f}",
                "95% interval": f"{figure['low']:.2f} to {figure['high']:.2f}",
                "shuffled text": f"{score['shuffled'][i][j]:.2f}",
                "untrained": f"{score['untrained'][i][j]:.2f}",
            }
    sibling = score["sibling_largest"]
    seed = "" if sibling is None else f"<p class='quiet'>The largest of another seed's heads: {sibling:.2f}.</p>"
    summary = escape(f"{kind.words[0].upper()}{kind.words[1:]} ({kind.name})")
    return (
        f"<h3>{summary}</h3><figure>{picture(layers, kind.share, summary)}</figure>{seed}"
        f"<details><summary>Every head in numbers</summary>{table(rows)}</details>"
    )


def picture(layers: list[list[dict[str, float]]], share: bool, title: str) -> str:
    """Return a picture as SVG with a square for each layer (a row) and head (a column). Each square holds its number,
    so that colour alone carries nothing."""
    largest = 1.0 if share else max(1e-9, *(figure["mean"] for layer in layers for figure in layer))
    size, left, top = 46, 62, 24
    width, height = left + size * len(layers[0]), top + size * len(layers)
    parts = [
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{title}" style="max-width:{width}px">'
    ]
    parts += [f'<text x="{left + size * j + 14}" y="15">{j}</text>' for j in range(len(layers[0]))]
    for i, layer in enumerate(layers):
        y = top + size * i
        parts.append(f'<text x="2" y="{y + 27}">layer {i}</text>')
        for j, figure in enumerate(layer):
            x, value = left + size * j, figure["mean"]
            strength = min(1.0, max(0.0, value / largest))
            ink = "#fff" if strength < 0.7 else "#000"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{size - 3}" height="{size - 3}" rx="5" fill="{shade(strength)}"/>'
                f'<text x="{x + 8}" y="{y + 27}" style="fill:{ink}">{value:.2f}</text>'
            )
    return "".join([*parts, "</svg>"])
