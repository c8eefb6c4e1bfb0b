"""The instrument of direct logit attribution: the parts that write the answer, and a test of their shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lilliput.base import seeds
from lilliput.base.html import escape, table
from lilliput.decoding.inference import inference
from lilliput.lens.attribution import NORM, Attribution, attribute, rivals
from lilliput.lens.figures import figure_text, mean_figure
from lilliput.lens.findings import beats, compared
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.intervene import Hook, intervene
from lilliput.lens.texts import controls_of, rows_of
from lilliput.model.transformer import Model

ROWS, LENGTH = 24, 64
"""Held-out rows that the instrument reads, and their tokens."""


def shares(found: Attribution) -> dict[str, torch.Tensor]:
    """Return the share of each group of parts, (N, T) each, in logits: the embedding, the attention and the MLP of each
    layer, and the biases. The values of one position sum to the total."""
    groups = {"embedding of the token": found.embedding, "position": found.position}
    for layer in range(found.mlps.shape[-1]):
        groups[f"attention, layer {layer}"] = found.heads[..., layer, :].sum(-1) + found.attn_bias[..., layer]
        groups[f"MLP, layer {layer}"] = found.mlps[..., layer]
    return groups | {"bias of the final norm": found.norm_bias}


def group_figures(model: Model, rows: torch.Tensor, seed: int) -> dict[str, Any]:
    """Return the mean share of each group in the true next token's logit, less its rival's, for rows (N, T), with the
    intervals over the rows, and the largest distance between the sum of the parts and the model's own difference."""
    right, rival = rows[:, 1:], rivals(model, rows)[:, :-1]
    found = attribute(model, rows[:, :-1], right, rival)
    groups = {name: mean_figure(share.mean(-1).tolist(), seed) for name, share in shares(found).items()}
    error = float((found.sum() - found.total).abs().max())
    return {
        "groups": {name: figure for name, figure in groups.items() if figure["low"] or figure["high"]},
        "total": mean_figure(found.total.mean(-1).tolist(), seed),
        "largest_error": error,
    }


def removal(model: Model, rows: torch.Tensor, seed: int) -> dict[str, Any]:
    """Test the shares of heads at one random position of each row (N, T): the loss of the logit difference when the
    head with the largest share writes 0 there, and when a random other head does. Values are in logits."""
    generator = torch.Generator().manual_seed(seeds.derive(seed, "removal of heads"))
    count, length = rows.shape[0], rows.shape[1] - 1
    at = torch.randint(length // 2, length, (count,), generator=generator).to(rows.device)
    number = torch.arange(count, device=rows.device)
    right, rival = rows[:, 1:], rivals(model, rows)[:, :-1]
    found = attribute(model, rows[:, :-1], right, rival)
    heads = found.heads[number, at].flatten(1)
    largest = heads.argmax(-1)
    others = torch.randint(1, heads.shape[1], (count,), generator=generator).to(rows.device)
    random = (largest + others) % heads.shape[1]

    def lost(chosen: torch.Tensor) -> list[float]:
        after = without_heads(model, rows[:, :-1], at, chosen)
        pair = [after.gather(-1, ids[number, at][:, None])[:, 0] for ids in (right, rival)]
        return (found.total[number, at] - (pair[0] - pair[1])).tolist()

    return {
        "share_of_the_largest": mean_figure(heads.max(-1).values.tolist(), seed),
        "lost_without_the_largest": mean_figure(lost(largest), seed),
        "lost_without_a_random_head": mean_figure(lost(random), seed),
    }


def without_heads(model: Model, tokens: torch.Tensor, at: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
    """Return the logits (N, vocab_size) of tokens (N, T) at positions `at` (N,), while one head of each row writes 0 at
    this position. heads (N,): layer * n_heads + head."""
    layers, which = heads // model.config.n_heads, heads % model.config.n_heads

    def silence(z: torch.Tensor, hook: Hook) -> torch.Tensor:
        rows = (layers == hook.layer).nonzero()[:, 0]
        new = z.clone()
        new[rows, at[rows], which[rows]] = 0
        return new

    with inference(model), intervene(model, {"blocks.*.attn.hook_z": silence}):
        hidden = model(tokens)
        return model.logits(hidden[torch.arange(len(tokens), device=tokens.device), at]).clone()


@INSTRUMENTS.add("attribution")
class AttributionInstrument(Instrument):
    """Which parts write the answer into the stream."""

    title = "Which parts write the answer (direct logit attribution)"
    part = "decided"
    order = 3
    heads = True
    sums = True

    def refuses(self, subject: Subject) -> str:
        config = subject.generator.model.config
        alone = config.n_heads * config.n_layers < 2
        return super().refuses(subject) or ("it compares heads, and this model has a single head" if alone else "")

    def measure(self, subject: Subject) -> dict[str, Any]:
        rows = rows_of(subject, ROWS * (4 if subject.thorough else 1), LENGTH)
        models = {"this model": subject.generator, **controls_of(subject)}
        return {
            "norm": NORM,
            "rows": len(rows),
            "tokens_a_row": rows.shape[1],
            "models": {name: group_figures(one.model, rows, subject.seed) for name, one in models.items()},
            "removal": removal(subject.generator.model, rows, subject.seed),
        }

    def section(self, found: Mapping[str, Any]) -> str:
        models, none = found["models"], {"mean": 0.0, "low": 0.0, "high": 0.0}
        rows = {
            group: {name: figure_text(one["groups"].get(group, none)) for name, one in models.items()}
            for group in models["this model"]["groups"]
        }
        rows["sum"] = {name: figure_text(one["total"]) for name, one in models.items()}
        removed = found["removal"]
        tests = {
            "its own share": figure_text(removed["share_of_the_largest"]),
            "lost without it": figure_text(removed["lost_without_the_largest"]),
            "lost without a random head instead": figure_text(removed["lost_without_a_random_head"]),
        }
        return (
            "<p>The model prefers the true next token to its likeliest rival by a difference of logits. The difference "
            "is an exact sum: every part of the model adds its share.</p>"
            f"{table(rows)}"
            "<p>The shares are a sum on paper. The next row removes the head with the largest share at one place of "
            "each text, and measures what is lost.</p>"
            f"{table({'head with the largest share': tests})}"
            f'<p class="quiet">Means in logits over {found["rows"]} held-out texts, with 95% intervals. The scale of '
            f"the final norm is {escape(found['norm'])}. An effect through a later part counts for that part.</p>"
        )

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        removed = found["removal"]
        own, control = removed["lost_without_the_largest"], removed["lost_without_a_random_head"]
        if not beats(own, control):
            return []
        return [
            "The head with the largest share in an answer matters there: without it the preference for the right token "
            f"falls by {figure_text(own)} logits, and without a random head by {figure_text(control)}."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        removed = found["removal"]
        own, control = removed["lost_without_the_largest"], removed["lost_without_a_random_head"]
        return {"logits lost without the head with the largest share": compared(own, control)}
