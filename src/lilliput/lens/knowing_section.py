"""The instrument "knows": what the last word, the last two words and the whole text tell the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from lilliput.base.chart import Chart, Level, Series, figure
from lilliput.base.html import table
from lilliput.evaluation.ngram import NAMES, training_ngrams
from lilliput.lens.figures import figure_text
from lilliput.lens.findings import beats, compared
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.knowing import (
    by_position,
    cut_losses,
    draw_targets,
    ngram_losses,
    per_byte,
    position_bins,
    shuffled_losses,
    whole_losses,
)
from lilliput.lens.row_losses import HeldOut, held_out, losses_of

LENGTHS = (0, 1, 2, 3, 4, 8, 16, 32, 64)
TARGETS, THOROUGH_TARGETS = 128, 1024
ROWS, THOROUGH_ROWS = 16, 128
COUNTED, THOROUGH_COUNTED = 300_000, 20_000_000
"""Training tokens on which n-grams are counted."""


@INSTRUMENTS.add("knows")
class Knows(Instrument):
    """Loss by length of the context and by position, beside n-gram models, untrained weights and shuffled contexts."""

    title = "How much the text so far tells the model"
    part = "knows"

    def measure(self, subject: Subject) -> dict[str, Any]:
        generator, thorough = subject.generator, subject.thorough
        held = held_out(generator, subject.rows, THOROUGH_ROWS if thorough else ROWS)
        longest = int(held.scored.sum(1).max()) - 1
        lengths = [length for length in LENGTHS if length <= max(1, longest // 2)]
        targets = draw_targets(held, THOROUGH_TARGETS if thorough else TARGETS, lengths[-1], subject.seed)
        bins = position_bins(longest + 1)
        losses = losses_of(generator.model, held)
        whole = whole_losses(losses, targets)

        def scored(values: np.ndarray) -> dict[str, Any]:
            return per_byte(held, targets, values, subject.seed)

        untrained = subject.untrained.model
        contexts = [
            {
                "tokens": length,
                "model": scored(cut_losses(generator.model, held, targets, length)),
                "untrained": scored(cut_losses(untrained, held, targets, length)),
            }
            for length in lengths
        ]
        shuffled = shuffled_losses(generator.model, held, targets, subject.seed)
        return {
            "targets": len(targets.rows),
            "contexts": contexts,
            "whole": scored(whole),
            "shuffled": {**scored(shuffled), "more": scored(shuffled - whole)},
            "ngrams": _ngrams(subject, held, lambda each: scored(whole_losses(each, targets)), bins),
            "positions": [
                {"from": start + 1, "to": stop, "model": one}
                for (start, stop), one in zip(bins, by_position(held, losses, bins), strict=True)
            ],
        }

    def section(self, found: Mapping[str, Any]) -> str:
        return _contexts(found) + _positions(found)

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        whole, more = found["whole"], found["shuffled"]["more"]
        lines = []
        best = min((one["model"] for one in found["ngrams"]), key=lambda one: one["mean"], default=None)
        if best is not None and beats(best, whole):
            lines.append(
                f"The model needs {figure_text(whole, 3)} bits for a byte of text, and the best n-gram model "
                f"{figure_text(best, 3)}."
            )
        if more["low"] > 0:
            lines.append(
                f"The order of the words matters: the same words in random order cost {figure_text(more, 3)} bits "
                "per byte more."
            )
        return lines

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        longest = found["contexts"][-1]["untrained"]
        return {
            "bits per byte with the whole text": compared(found["whole"], longest),
            "bits per byte that random order costs": compared(found["shuffled"]["more"], 0.0),
        }


def _ngrams(
    subject: Subject,
    held: HeldOut,
    score: Callable[[torch.Tensor], dict[str, Any]],
    bins: list[tuple[int, int]],
) -> list[dict[str, Any]]:
    """Return a row for each order of n-gram models on the training split; nothing without such a split."""
    if subject.train is None:
        return []
    vocab_size = subject.generator.tokenizer.vocab_size
    counted = THOROUGH_COUNTED if subject.thorough else COUNTED
    most = min(5 if subject.thorough else 4, 63 // max(1, (vocab_size - 1).bit_length()))
    grams = training_ngrams(subject.train, most, vocab_size, counted, subject.seed)
    found = []
    for order in range(1, most + 1):
        losses = ngram_losses(grams, order, vocab_size, held)
        name = NAMES.get(order, f"{order}-gram")
        positions = by_position(held, losses, bins)
        found.append({"name": name, "tokens": order - 1, "model": score(losses), "positions": positions})
    return found


# ---------------------------------------------------------------------------- the section


def _contexts(found: Mapping[str, Any]) -> str:
    contexts, whole = found["contexts"], found["whole"]
    ngrams = {one["tokens"]: one for one in found["ngrams"]}
    rows = {}
    for one in contexts:
        rows[_seen(one["tokens"])] = {
            "this model": figure_text(one["model"], 3),
            "n-gram model that sees the same": _gram(ngrams.get(one["tokens"])),
            "untrained weights": figure_text(one["untrained"], 3),
        }
    rows["the whole text so far"] = {"this model": figure_text(whole, 3)}
    rows["the whole text so far, in random order"] = {"this model": figure_text(found["shuffled"], 3)}
    lines = [Series("this model", [(max(0.5, one["tokens"]), one["model"]["mean"]) for one in contexts], 0, dots=True)]
    if found["ngrams"]:
        points = [(max(0.5, one["tokens"]), one["model"]["mean"]) for one in found["ngrams"]]
        lines.append(Series("n-gram models", points, 1, dots=True))
    chart = Chart(
        "Loss with the last tokens alone, in bits per byte",
        lines,
        "tokens seen (0 is drawn at 0.5)",
        levels=[Level("the whole text", whole["mean"])],
        log_x=True,
    )
    return (
        f"<p>{_gained(found)} A token is a word or a piece of a word. The loss (bits per byte) is small where the "
        f"model expects the next token. The same {found['targets']} tokens are predicted from more and more of the "
        "text before them.</p>" + figure(chart) + table(rows) + f'<p class="quiet">{_control(found)}</p>'
    )


def _gained(found: Mapping[str, Any]) -> str:
    """Return the loss with one token, with most tokens and with the whole text, in a sentence."""
    losses = {one["tokens"]: one["model"]["mean"] for one in found["contexts"]}
    last = max(losses)
    parts = [f"With the last token alone the model needs {losses[1]:.2f} bits for a byte of the next token"]
    parts += [f"with the last {last} tokens {losses[last]:.2f}"] if last > 1 else []
    return f"{', '.join(parts)}, and with the whole text {found['whole']['mean']:.2f}."


def _control(found: Mapping[str, Any]) -> str:
    more = found["shuffled"]["more"]
    return (
        "The first token of the text, its beginning mark, stands before the tokens that are left. The model learned "
        "from texts with their beginning, so that a text that begins in the middle is new to it. With few tokens an "
        "n-gram model, which counts such pieces, may therefore be better. Intervals are 95% by bootstrap over the "
        f"predicted tokens. Random order of the same words costs {figure_text(more, 3)} more than the text itself."
        + (" n-gram models are interpolated Kneser-Ney models, counted on the training text." * bool(found["ngrams"]))
    )


def _positions(found: Mapping[str, Any]) -> str:
    rows = {}
    for place, one in enumerate(found["positions"]):
        if one["model"] is None:
            continue
        name = f"token {one['to']}" if one["from"] == one["to"] else f"tokens {one['from']} to {one['to']}"
        grams = {gram["name"]: _mean(gram["positions"][place]) for gram in found["ngrams"]}
        rows[name] = {"this model": figure_text(one["model"], 3), **grams}
    return (
        "<h3>Later in the text</h3><p>Loss by the place in the text, in bits per byte. An n-gram model sees the same "
        "few tokens late in a text as early in it. A model that uses the whole text gains on it.</p>" + table(rows)
    )


def _seen(tokens: int) -> str:
    return {0: "nothing", 1: "the last token"}.get(tokens, f"the last {tokens} tokens")


def _gram(one: Mapping[str, Any] | None) -> str:
    return "" if one is None else f"{one['name']}: {figure_text(one['model'], 3)}"


def _mean(one: Mapping[str, Any] | None) -> str:
    return "" if one is None else f"{one['mean']:.3f}"
