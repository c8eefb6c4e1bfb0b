"""Attention: which earlier word each head looks at, as patterns and as a section that a reader explores."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from lilliput.base.html import escape
from lilliput.decoding.inference import inference
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.capture import capture
from lilliput.lens.instrument import INSTRUMENTS, Instrument, Subject
from lilliput.model.transformer import Model

TOKENS = 40
"""The most tokens of a text that the page shows."""
TEXTS, THOROUGH_TEXTS = 2, 3
LARGEST = 250_000
"""The most numbers on the page, about 2 characters each. Of a model with more layers and heads, the page shows fewer
tokens."""
LEVELS = 99


def patterns(model: Model, rows: torch.Tensor, layers: Collection[int] | None = None) -> dict[int, torch.Tensor]:
    """Return the attention patterns of `rows` (N, T) by layer, each (N, heads, queries, keys). `layers` limits them;
    negative numbers count from the last layer. Raises ModelError for a layer that the model lacks."""
    with inference(model), capture(model, "blocks.*.attn.hook_pattern", layers=layers) as seen:
        model(rows)
        return {int(name.split(".")[1]): seen[name].float() for name in seen}


def pieces(generator: TextGenerator, ids: Sequence[int]) -> list[str]:
    """Return each token as text; a special token by its name."""
    special = set(generator.tokenizer.specials.values())
    tokenizer = generator.tokenizer
    return [tokenizer.token(one) if one in special else tokenizer.decode([one], continuing=True) for one in ids]


def rounded(pattern: torch.Tensor) -> list[list[int]]:
    """pattern (queries, keys) -> for each query the shares of the keys that it sees, rounded to 0 to `LEVELS`."""
    levels = (pattern * LEVELS).round().to(torch.int64)
    return [row[: place + 1].tolist() for place, row in enumerate(levels)]


def pattern_json(generator: TextGenerator, row: Sequence[int], layers: Collection[int] | None = None) -> dict[str, Any]:
    """Return the tokens of one row and the patterns of its heads, small enough for a page: {"tokens": [...],
    "layers": {layer: [head: [query: [key: 0 to 99]]]}}."""
    device = next(generator.model.parameters()).device
    found = patterns(generator.model, torch.tensor([list(row)], device=device), layers)
    heads = {str(layer): [rounded(head) for head in pattern[0].cpu()] for layer, pattern in found.items()}
    return {"tokens": pieces(generator, row), "layers": heads}


@INSTRUMENTS.add("attention")
class Attention(Instrument):
    """The patterns of every head on a few texts, beside those of untrained weights."""

    title = "Which earlier word a head looks at"
    part = "attention"
    script = "attention.js"
    heads = True

    def measure(self, subject: Subject) -> dict[str, Any]:
        generator, config = subject.generator, subject.generator.model.config
        count = THOROUGH_TEXTS if subject.thorough else TEXTS
        room = LARGEST / (config.n_layers * config.n_heads * count)
        length = max(4, min(TOKENS, int((2 * room) ** 0.5)))
        rows = [_without_padding(row, generator.tokenizer.pad_id)[:length] for row in subject.rows[:count].tolist()]
        # The control has one short text: untrained heads look everywhere alike, which one picture shows.
        return {
            "texts": [pattern_json(generator, row) for row in rows],
            "untrained": [pattern_json(subject.untrained, rows[0][:12])],
        }

    def section(self, found: Mapping[str, Any]) -> str:
        shown = {"texts": [*found["texts"], *found["untrained"]], "levels": LEVELS}
        shown["names"] = [f"text {number + 1}" for number in range(len(found["texts"]))] + ["text 1, untrained weights"]
        first = " ".join(found["texts"][0]["tokens"])
        return f"""<p>Choose a layer and a head, then point at a word, or move to it with the Tab key. The earlier words
that the head looks at light up (attention pattern), and the share of each is printed. Untrained weights are the
control: their heads look at all earlier words nearly alike.</p>
<div class="attention" id="attention">
<noscript><p>The texts are: {escape(first)}</p></noscript>
</div>
<script type="application/json" id="attention-data">{_inert(shown)}</script>"""


def _without_padding(row: list[int], pad: int) -> list[int]:
    end = len(row)
    while end > 2 and row[end - 1] == pad:
        end -= 1
    return row[:end]


def _inert(value: Any) -> str:
    """Return JSON that cannot end its script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
