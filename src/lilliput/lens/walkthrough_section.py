"""The instrument of the walk-through: the steps of one head as a textbook draws them, with the model's own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lilliput.base.html import escape, table
from lilliput.lens.heat import heat_table
from lilliput.lens.instrument import INSTRUMENTS, Instrument, Subject
from lilliput.lens.stream import seen_in
from lilliput.lens.texts import piece, rows_of
from lilliput.lens.walkthrough import Walk, differences, unknown_formulas, walk
from lilliput.model.transformer import Model

TOKENS, SHOWN = 6, 4
"""Tokens of the text, and the first channels of each vector that are drawn."""


def lively_head(model: Model, tokens: torch.Tensor) -> int:
    """Return the head of layer 0 that looks most at an earlier token other than the first, from the last token of
    tokens (T,)."""
    pattern = seen_in(model, tokens[None], "blocks.0.attn.hook_pattern")["blocks.0.attn.hook_pattern"][0, :, -1]
    earlier = pattern[:, 1:-1] if len(tokens) > 2 else pattern
    return int(earlier.max(-1).values.argmax())


@INSTRUMENTS.add("walkthrough")
class Walkthrough(Instrument):
    """One head and the output matrix, step by step, in real numbers."""

    title = "One head, step by step, in real numbers"
    part = "decided"
    order = 5
    heads = patterns = True
    sums = True

    def refuses(self, subject: Subject) -> str:
        unknown = unknown_formulas(subject.generator.model)
        return super().refuses(subject) or (f"formulas are not known here: {'; '.join(unknown)}" if unknown else "")

    def measure(self, subject: Subject) -> dict[str, Any]:
        generator = subject.generator
        model, tokens = generator.model, rows_of(subject, 1, TOKENS)[0]
        found = walk(model, tokens, 0, lively_head(model, tokens))
        config = model.config
        return {
            "words": [piece(generator, number) for number in tokens.tolist()],
            "forwards": generator.objective.reads_forwards,
            "layer": found.layer,
            "head": found.head,
            "sizes": {"d_model": config.d_model, "d_head": config.d_head, "layers": config.n_layers},
            "parts": {
                "position": config.position,
                "norm": config.norm,
                "qk_norm": config.qk_norm,
                "window": config.windows[found.layer],
                "bias": config.bias,
            },
            "steps": {name: _numbers(getattr(found, name)[:, :SHOWN]) for name in ("stream", "normed", "q", "k", "v")}
            | {
                name: _numbers(getattr(found, name)[:, :SHOWN])
                for name in ("q_ready", "k_ready", "z", "output", "final_normed")
            }
            | {"scores": _seen_only(found.masked), "pattern": _numbers(found.pattern)},
            "product": _product(found),
            "likeliest": _likeliest(subject, found),
            "differences": differences(model, tokens, found),
        }

    def section(self, found: Mapping[str, Any]) -> str:
        return "".join((_introduction(found), *_steps(found), _ending(found)))


def _product(found: Walk) -> dict[str, Any]:
    """Return the terms of the last token's score at the key that it looks at most."""
    key = int(found.pattern[-1].argmax())
    terms = found.q_ready[-1] * found.k_ready[key]
    return {
        "key": key,
        "q": _numbers(found.q_ready[-1:, :SHOWN])[0],
        "k": _numbers(found.k_ready[key : key + 1, :SHOWN])[0],
        "rest": round(float(terms[SHOWN:].sum()), 3),
        "sum": round(float(terms.sum()), 3),
        "score": round(float(found.scores[-1, key]), 3),
        "share": round(float(found.pattern[-1, key]), 3),
    }


def _likeliest(subject: Subject, found: Walk) -> list[dict[str, Any]]:
    """Return the three likeliest next tokens with the terms of their logits and their probabilities."""
    logits = found.logits[-1]
    shares = logits.softmax(-1)
    matrix = subject.generator.model.output_matrix.detach()
    tops = logits.topk(min(3, len(logits))).indices.tolist()
    return [
        {
            "word": piece(subject.generator, number),
            "row": _numbers(matrix[number : number + 1, :SHOWN])[0],
            "logit": round(float(logits[number]), 3),
            "probability": round(float(shares[number]), 4),
        }
        for number in tops
    ]


def _introduction(found: Mapping[str, Any]) -> str:
    words = " ".join(f"[{word.strip() or word}]" for word in found["words"])
    size, order = (
        found["sizes"],
        "" if found["forwards"] else " The model reads from the end of the text, so the last words come first.",
    )
    return (
        f"<p>The text is {escape(words)}, {len(found['words'])} tokens.{order} Every number below is this model's own, "
        f"for head {found['head']} of layer {found['layer']}. A vector has {size['d_model']} numbers in the stream and "
        f"{size['d_head']} in the head. The first {SHOWN} are drawn.</p>"
    )


def _steps(found: Mapping[str, Any]) -> Sequence[str]:
    parts, size = found["parts"], found["sizes"]
    learned = " plus the vector of its position" if parts["position"] == "learned" else ""
    norm = (
        "x / √(mean of x² + ε) × weight" if parts["norm"] == "rms" else "(x − mean) / √(variance + ε) × weight + bias"
    )
    bias = " + bias" if parts["bias"] else ""
    changes = [*(["scaled to unit size (QK-norm)"] if parts["qk_norm"] else [])]
    changes += ["turned by angles that grow with the position (rotary)"] if parts["position"] == "rotary" else []
    window = f" or {parts['window']} and more tokens back" if parts["window"] else ""
    drawn = [
        ("1. Each token becomes a vector", f"its row of the embedding matrix{learned}", ("stream",)),
        ("2. The vector is scaled to unit size", norm, ("normed",)),
        ("3. Three matrices make query, key and value", f"normed × W{bias}", ("q", "k", "v")),
    ]
    if changes:
        drawn.append(("4. Query and key learn their place", " and ".join(changes), ("q_ready", "k_ready")))
    html = [_drawn(found, *step) for step in drawn]
    html.append(_titled("5. Query times key gives a score", f"query · key / √{size['d_head']}"))
    html.append(_worked(found["product"], found["words"], size["d_head"]))
    html.append(_square(found, "scores"))
    html.append(
        _titled(
            "6. Softmax turns scores into shares",
            f"e^score / sum of the row; tokens that come later{window} are not seen (–) and get 0",
        )
    )
    html.append(_square(found, "pattern"))
    html.append(_drawn(found, "7. The shares mix the values", "share × value, summed over the tokens", ("z",)))
    html.append(
        _drawn(
            found,
            "8. The result goes back into the stream",
            "mix × the head's part of W_O; it is added to the stream",
            ("output",),
        )
    )
    return html


def _ending(found: Mapping[str, Any]) -> str:
    rows = {
        one["word"].strip() or one["word"]: {
            "its row of the output matrix": _vector(one["row"]),
            "logit (row · vector)": f"{one['logit']:.3f}",
            "probability": f"{one['probability']:.1%}",
        }
        for one in found["likeliest"]
    }
    worst = max(found["differences"].values())
    last = _vector(found["steps"]["final_normed"][-1])
    return (
        _titled(
            "9. After the last layer, the vector of the last token becomes a prediction",
            "logit = row · vector; softmax over the vocabulary",
        )
        + f"<p>All heads and MLPs of the {found['sizes']['layers']} layers have added their results. The last vector, "
        f"normed, is {last}.</p>{table(rows)}"
        f'<p class="quiet">Every step was computed again by its plain formula. The largest distance from a number that '
        f"the model itself computed is {worst:.6f}.</p>"
    )


def _worked(product: Mapping[str, Any], words: Sequence[str], width: int) -> str:
    terms = " + ".join(f"({a:.2f} × {b:.2f})" for a, b in zip(product["q"], product["k"], strict=True))
    key, last = (escape(words[at].strip() or words[at]) for at in (product["key"], -1))
    return (
        f"<p>The last token [{last}] looks most at [{key}]: {terms} + {product['rest']:.2f} from the "
        f"other {width - len(product['q'])} products = {product['sum']:.2f}. Divided by √{width} this is "
        f"{product['score']:.2f}, and after softmax {product['share']:.0%}.</p>"
    )


def _drawn(found: Mapping[str, Any], title: str, formula: str, names: Sequence[str]) -> str:
    words = [word.strip() or word for word in found["words"]]
    grids = "".join(_grid(name, words, found["steps"][name]) for name in names)
    return _titled(title, formula) + f'<div class="trio">{grids}</div>'


def _grid(name: str, words: Sequence[str], values: Sequence[Sequence[float]]) -> str:
    columns = [*(str(channel) for channel in range(len(values[0])))]
    label = name.replace("_", ", ")
    return f'<div><p class="quiet">{escape(label)}</p>{heat_table(_unlike(words), columns, values)}</div>'


def _square(found: Mapping[str, Any], name: str) -> str:
    words = [word.strip() or word for word in found["words"]]
    return heat_table(_unlike(words), words, found["steps"][name])


def _titled(title: str, formula: str) -> str:
    return f"<h4>{escape(title)}</h4><p><code>{escape(formula)}</code></p>"


def _unlike(words: Sequence[str]) -> list[str]:
    return [f"{number}. {word}" for number, word in enumerate(words)]


def _vector(numbers: Sequence[float]) -> str:
    return f"({', '.join(f'{number:.2f}' for number in numbers)}, …)"


def _seen_only(masked: torch.Tensor) -> list[list[float | None]]:
    """Return the scores with None where the query does not see the key."""
    return [[None if value == float("-inf") else round(value, 3) for value in line] for line in masked.tolist()]


def _numbers(values: torch.Tensor) -> list[list[float]]:
    return [[round(value, 3) for value in line] for line in values.tolist()]
