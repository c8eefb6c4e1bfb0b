"""Logit lens: the prediction that can be read from the residual stream after each layer (nostalgebraist 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lilliput.base import seeds
from lilliput.base.chart import Chart, Series, figure
from lilliput.base.html import escape, table
from lilliput.decoding.inference import inference
from lilliput.lens.figures import figure_text, mean_figure, share_text
from lilliput.lens.findings import beats, compared
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.stream import NORM, read_out, stage_names, stages
from lilliput.lens.texts import controls_of, rows_of
from lilliput.model.transformer import Model

Translate = Callable[[int, torch.Tensor], torch.Tensor]
"""A function of a stage's number and its stream (..., d_model), which returns the stream to read instead."""
ROWS, LENGTH = 24, 64
"""Held-out rows that the instrument reads, and their tokens."""


@dataclass(frozen=True)
class Readings:
    """The predictions of every stage of the stream: before the first layer, and after each layer.

    stages       words for the stages, (S,)
    top          (S, N, T, k) int64: the likeliest tokens, likeliest first; top_probability (S, N, T, k)
    probability  (S, N, T): of the true next token; NaN where there is no next token
    rank         (S, N, T): number of tokens that are likelier than the true next token, so 0 is first; -1 without one
    kl           (S, N, T): KL divergence from the final prediction to the stage's, in nats: sum of p_final *
                 log(p_final / p_stage)
    norm         how the final norm is treated (stream.NORM)
    """

    stages: list[str]
    top: torch.Tensor
    top_probability: torch.Tensor
    probability: torch.Tensor
    rank: torch.Tensor
    kl: torch.Tensor
    norm: str = NORM


def logit_lens(model: Model, tokens: torch.Tensor, top: int = 5, translate: Translate | None = None) -> Readings:
    """Read a prediction from each stage of the stream of tokens (N, T). Position t predicts token t + 1 of its row.

    A stage's stream goes through the model's final norm and output matrix, as the last stream does. `translate`
    changes a stage's stream before it is read; the tuned lens uses it. The last stage is never translated.
    """
    streams = stages(model, tokens)
    truth = torch.full_like(tokens, -1)
    truth[:, :-1] = tokens[:, 1:]
    with inference(model):
        final = read_out(model, streams[-1]).log_softmax(-1)
        found = []
        for number, stream in enumerate(streams):
            last = number == len(streams) - 1
            read = stream if last or translate is None else translate(number, stream)
            found.append(_reading(read_out(model, read).log_softmax(-1), final, truth, min(top, final.shape[-1])))
    top_ids, top_probability, probability, rank, kl = (torch.stack(column) for column in zip(*found, strict=True))
    return Readings(stage_names(model), top_ids, top_probability, probability, rank, kl)


def _reading(logs: torch.Tensor, final: torch.Tensor, truth: torch.Tensor, top: int) -> tuple[torch.Tensor, ...]:
    values, ids = logs.topk(top, dim=-1)
    right = logs.gather(-1, truth.clamp_min(0)[..., None])
    rank = (logs > right).sum(-1).masked_fill(truth < 0, -1)
    probability = right[..., 0].exp().masked_fill(truth < 0, float("nan"))
    kl = (final.exp() * (final - logs)).sum(-1).clamp_min(0)
    return ids, values.exp(), probability, rank, kl


def row_means(readings: Readings) -> list[dict[str, list[float]]]:
    """Return for each stage the means of each row, (N,) each: `kl` in nats, `bits` of surprise at the true next token,
    `agrees` (the share of positions whose likeliest token is the final prediction's) and `right` (the share whose
    likeliest token is the true next token)."""
    known = readings.rank[0, 0] >= 0
    best = readings.top[..., 0]
    found = []
    for stage in range(len(readings.stages)):
        surprise = -readings.probability[stage][:, known].clamp_min(1e-30).log2()
        measures = {
            "kl": readings.kl[stage],
            "bits": surprise,
            "agrees": (best[stage] == best[-1]).float(),
            "right": (readings.rank[stage][:, known] == 0).float(),
        }
        found.append({name: values.mean(-1).tolist() for name, values in measures.items()})
    return found


def stage_figures(readings: Readings, seed: int) -> list[dict[str, Any]]:
    """Return the means of `row_means` over the rows with their intervals, a mapping for each stage."""
    return [
        {"stage": name, **{key: mean_figure(values, seed) for key, values in means.items()}}
        for name, means in zip(readings.stages, row_means(readings), strict=True)
    ]


def shuffled(rows: torch.Tensor, seed: int) -> torch.Tensor:
    """Return the rows (N, T) with the tokens of each row in a random order; the first token, which begins a document,
    stays. A control: the same tokens without a text."""
    generator = torch.Generator().manual_seed(seeds.derive(seed, "shuffled text"))
    order = torch.rand(rows.shape, generator=generator)
    order[:, 0] = -1
    return rows.gather(1, order.argsort(1).to(rows.device))


@INSTRUMENTS.add("logit_lens")
class LogitLens(Instrument):
    """How early the model's prediction can be read from its stream."""

    title = "The prediction after each layer (logit lens)"
    part = "decided"
    order = 1
    sums = True

    def measure(self, subject: Subject) -> dict[str, Any]:
        rows = rows_of(subject, ROWS * (4 if subject.thorough else 1), LENGTH)
        models = {
            "model": (subject.generator.model, rows),
            "shuffled text": (subject.generator.model, shuffled(rows, subject.seed)),
            **{name: (one.model, rows) for name, one in controls_of(subject).items()},
        }
        found = {name: stage_figures(logit_lens(*given, top=1), subject.seed) for name, given in models.items()}
        return {"norm": NORM, "rows": len(rows), "tokens_a_row": rows.shape[1], "stages": found}

    def section(self, found: Mapping[str, Any]) -> str:
        own = found["stages"]["model"]
        rows = {
            stage["stage"]: {
                "share that is right": share_text(stage["right"]),
                "share that is the final prediction": share_text(stage["agrees"]),
                "distance to the final prediction (KL, nats)": figure_text(stage["kl"]),
                "surprise at the true token (bits)": figure_text(stage["bits"]),
            }
            for stage in own
        }
        chart = figure(_chart(found["stages"]))
        return (
            "<p>The model's final layer turns its stream of numbers into a prediction. The same step can be applied "
            "after an earlier layer. The table shows how good the prediction is there.</p>"
            f"{table(rows)}{chart}"
            f'<p class="quiet">Means over {found["rows"]} held-out texts with 95% intervals. The final norm is '
            f"{escape(found['norm'])} to each layer's stream. Controls: a text whose tokens are in a random order, and "
            f"the same model with untrained weights.{silence_note(found['stages']['untrained'])}</p>"
        )

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        stages = found["stages"]
        pairs = zip(stages["model"][1:], stages["untrained"][1:], strict=True)
        early = next((stage for stage, control in pairs if beats(stage["right"], control["right"])), None)
        if early is None:
            return []
        return [
            f"The next token can be read early: after {early['stage']} the likeliest token is right for "
            f"{share_text(early['right'])} of the tokens."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        own, control = found["stages"]["model"], found["stages"]["untrained"]
        half = len(own) // 2
        return {
            "share of right tokens at half depth": compared(own[half]["right"], control[half]["right"]),
            "share of right tokens at the end": compared(own[-1]["right"], control[-1]["right"]),
        }


def silence_note(group: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on an untrained model whose layers write nothing (model.init=zero_out); '' for another."""
    if any(stage["kl"]["high"] for stage in group):
        return ""
    return " Its untrained layers write nothing yet, so its prediction is the same after each layer."


def _chart(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> Chart:
    series = [
        Series(name, [(number, stage["bits"]["mean"]) for number, stage in enumerate(group)], colour, dots=True)
        for colour, (name, group) in enumerate(groups.items())
    ]
    return Chart("Bits of surprise at the true next token, by layer", series, "layers that were read", height=280)
