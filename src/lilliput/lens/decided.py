"""Decided: for each token of a text, the prediction after each layer and the parts that decided on the token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.attribution import NORM as FROZEN
from lilliput.lens.attribution import Attribution, attribute, attribute_neurons, rivals
from lilliput.lens.decided_section import draw
from lilliput.lens.instrument import INSTRUMENTS, Instrument, Subject
from lilliput.lens.logit_lens import Readings, logit_lens
from lilliput.lens.stream import NORM, seen_in
from lilliput.lens.texts import piece, reading_texts, rows_of

TOKENS = 40
"""Tokens of the text that the page shows."""
TOP, HEADS, NEURONS = 3, 8, 5
"""Tokens that are kept for each layer, and the largest heads and neurons that are kept for each token."""


@dataclass(frozen=True)
class Evidence:
    """The evidence on one row of tokens, (1, T). Position t holds the evidence on token t + 1.

    rivals (1, T): the likeliest wrong tokens; neurons (T, layers, d_mlp): shares in logits; patterns (layers, heads, T,
    T): of the attention
    """

    tokens: torch.Tensor
    rivals: torch.Tensor
    readings: Readings
    parts: Attribution
    neurons: torch.Tensor
    patterns: torch.Tensor


def gather(generator: TextGenerator, tokens: torch.Tensor) -> Evidence:
    """Run the instruments on one row of tokens, (1, T)."""
    model = generator.model
    against = rivals(model, tokens)
    truth = tokens.roll(-1, 1)
    layers = range(model.config.n_layers)
    neurons = [attribute_neurons(model, tokens, layer, truth, against).values[0] for layer in layers]
    seen = seen_in(model, tokens, "blocks.*.attn.hook_pattern")
    return Evidence(
        tokens,
        against,
        logit_lens(model, tokens, TOP),
        attribute(model, tokens, truth, against),
        torch.stack(neurons, dim=1),
        torch.stack([seen[f"blocks.{layer}.attn.hook_pattern"][0] for layer in layers]),
    )


def explain(generator: TextGenerator, tokens: torch.Tensor) -> dict[str, Any]:
    """Return the evidence on every token of one row (1, T) as JSON values: `words` in the model's order, `order` the
    places in the reading order of a person, and `tokens`, None for the first token of the row, which is given."""
    found = gather(generator, tokens)
    ids = tokens[0].tolist()
    texts = reading_texts(generator, ids)
    words = [texts[place] for place in range(len(ids))]
    decided = [_token(generator, found, words, at) for at in range(len(ids) - 1)]
    return {
        "norm": {"layers": NORM, "parts": FROZEN},
        "forwards": generator.objective.reads_forwards,
        "words": words,
        "order": list(texts),
        "stages": found.readings.stages,
        "tokens": [None, *decided],
    }


def _token(generator: TextGenerator, found: Evidence, words: Sequence[str], at: int) -> dict[str, Any]:
    """Return the evidence at one position, on the next token."""
    read, parts = found.readings, found.parts
    layers = [
        [
            [piece(generator, number), round(share, 4)]
            for number, share in zip(
                read.top[stage, 0, at].tolist(), read.top_probability[stage, 0, at].tolist(), strict=True
            )
        ]
        for stage in range(len(read.stages))
    ]
    biases = parts.attn_bias[0, at].sum() + parts.norm_bias[0, at]
    return {
        "truth": words[at + 1],
        "rival": piece(generator, int(found.rivals[0, at])),
        "layers": layers,
        "probability": [float(f"{value:.3g}") for value in read.probability[:, 0, at].tolist()],
        "rank": read.rank[:, 0, at].tolist(),
        "kl": [round(value, 3) for value in read.kl[:, 0, at].tolist()],
        "total": round(float(parts.total[0, at]), 3),
        "embedding": round(float(parts.embedding[0, at]), 3),
        "position": round(float(parts.position[0, at]), 3),
        "biases": round(float(biases), 3),
        "mlps": [round(value, 3) for value in parts.mlps[0, at].tolist()],
        **_heads(found, at),
        "neurons": _neurons(found.neurons[at]),
    }


def _heads(found: Evidence, at: int) -> dict[str, Any]:
    """Return the heads with the largest shares: layer, head, share, the place of the token that the head looks at
    most, and the attention that this token gets. `other_heads` is the sum of the other heads' shares."""
    shares = found.parts.heads[0, at]
    count = shares.shape[1]
    order = shares.abs().flatten().argsort(descending=True).tolist()
    kept = []
    for number in order[:HEADS]:
        layer, head = divmod(number, count)
        look = found.patterns[layer, head, at]
        kept.append(
            [layer, head, round(float(shares[layer, head]), 3), int(look.argmax()), round(float(look.max()), 3)]
        )
    rest = shares.flatten()[order[HEADS:]].sum()
    return {"heads": kept, "other_heads": round(float(rest), 3)}


def _neurons(values: torch.Tensor) -> list[list[float]]:
    """Return the neurons with the largest shares, from values (layers, d_mlp): layer, neuron, share."""
    order = values.abs().flatten().topk(min(NEURONS, values.numel())).indices.tolist()
    places = [divmod(number, values.shape[1]) for number in order]
    return [[layer, neuron, round(float(values[layer, neuron]), 3)] for layer, neuron in places]


@INSTRUMENTS.add("decided")
class Decided(Instrument):
    """What decided on each token of a text."""

    title = "Tap a word to see what decided it"
    part = "decided"
    order = 0
    script = "decided.js"
    heads = patterns = True
    neurons = True
    sums = True

    def measure(self, subject: Subject) -> dict[str, Any]:
        return explain(subject.generator, rows_of(subject, 1, TOKENS))

    def section(self, found: Mapping[str, Any]) -> str:
        return draw(found)
