"""Attention: which earlier word each head looks at, as patterns and as a section that a reader explores."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from lilliput.base.html import escape, table
from lilliput.decoding.inference import inference
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.capture import capture
from lilliput.lens.figures import mean_figure, share_text
from lilliput.lens.findings import beats, compared
from lilliput.lens.head_targets import real_positions
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.texts import controls_of, reading_texts, rows_of
from lilliput.model.transformer import Model

TOKENS = 40
"""The most tokens of a text that the page shows."""
TEXTS, THOROUGH_TEXTS = 2, 3
ROWS = 8
"""Rows over which the share of the word that is looked at most is measured."""
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


def focus(model: Model, rows: torch.Tensor, pad: int) -> torch.Tensor:
    """Return the mean share of attention that goes to the token that is looked at most, (N,), over all heads and all
    tokens of rows (N, T) but the first, which sees itself alone, and padding."""
    later = real_positions(rows, pad) & (torch.arange(rows.shape[1], device=rows.device) > 0)
    largest = torch.stack([one.amax(-1).mean(1) for one in patterns(model, rows).values()]).mean(0)
    return (largest * later).sum(1) / later.sum(1).clamp_min(1)


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
    """Return the tokens of one row and the patterns of its heads, small enough for a page: {"tokens": [...], "order":
    their places in the reading order of a person, "layers": {layer: [head: [query: [key: 0 to 99]]]}}."""
    device = next(generator.model.parameters()).device
    found = patterns(generator.model, torch.tensor([list(row)], device=device), layers)
    heads = {str(layer): [rounded(head) for head in pattern[0].cpu()] for layer, pattern in found.items()}
    texts = reading_texts(generator, row, pieces(generator, row))
    return {"tokens": [texts[place] for place in range(len(row))], "order": [*texts], "layers": heads}


@INSTRUMENTS.add("attention")
class Attention(Instrument):
    """The patterns of every head on a few texts, beside those of untrained weights."""

    title = "Which earlier word a head looks at"
    part = "attention"
    script = "attention.js"
    heads = patterns = True

    def measure(self, subject: Subject) -> dict[str, Any]:
        generator, config = subject.generator, subject.generator.model.config
        count = THOROUGH_TEXTS if subject.thorough else TEXTS
        room = LARGEST / (config.n_layers * config.n_heads * count)
        length = max(4, min(TOKENS, int((2 * room) ** 0.5)))
        rows = [_without_padding(row, generator.tokenizer.pad_id)[:length] for row in subject.rows[:count].tolist()]
        # The control has one short text: untrained heads look everywhere alike, which one picture shows.
        models = {"model": generator, **controls_of(subject)}
        read, pad = rows_of(subject, ROWS * (4 if subject.thorough else 1), TOKENS), generator.tokenizer.pad_id
        return {
            "texts": [pattern_json(generator, row) for row in rows],
            "untrained": [pattern_json(subject.untrained, rows[0][:12])],
            "focus": {
                name: mean_figure(focus(one.model, read, pad).tolist(), subject.seed) for name, one in models.items()
            },
        }

    def section(self, found: Mapping[str, Any]) -> str:
        shown = {"texts": [*found["texts"], *found["untrained"]], "levels": LEVELS}
        shown["names"] = [f"text {number + 1}" for number in range(len(found["texts"]))] + ["text 1, untrained weights"]
        text = found["texts"][0]
        first = " ".join(text["tokens"][place] for place in text["order"])
        focused = {name: share_text(one) for name, one in found["focus"].items()}
        shares = {"share of attention on the word that a head looks at most": focused}
        return f"""<p>Choose a layer and a head, then point at a word, or move with the arrow keys. The earlier words
that the head looks at light up (attention pattern), and the share of each is printed. Untrained weights are the
control: their heads look at all earlier words nearly alike.</p>
{table(shares)}
<div class="attention" id="attention">
<noscript><p>The texts are: {escape(first)}</p></noscript>
</div>
<script type="application/json" id="attention-data">{_inert(shown)}</script>"""

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        own, control = found["focus"]["model"], found["focus"]["untrained"]
        if not beats(own, control):
            return []
        return [
            f"Heads look at few words: the word that a head looks at most gets {share_text(own)} of its attention, and "
            f"with untrained weights {share_text(control)}."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        own, control = found["focus"]["model"], found["focus"]["untrained"]
        return {"share of attention on the word that a head looks at most": compared(own, control)}


def _without_padding(row: list[int], pad: int) -> list[int]:
    end = len(row)
    while end > 2 and row[end - 1] == pad:
        end -= 1
    return row[:end]


def _inert(value: Any) -> str:
    """Return JSON that cannot end its script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
