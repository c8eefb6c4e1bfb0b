"""Tuned lens: the logit lens with an affine translator for each layer (Belrose et al. 2023, arXiv:2303.08112)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lilliput.base import seeds
from lilliput.base.chart import Chart, Series, figure
from lilliput.base.errors import ModelError
from lilliput.base.files import read_json, write_json
from lilliput.base.html import table
from lilliput.lens.figures import figure_text, mean_figure
from lilliput.lens.findings import beats, compared
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.logit_lens import LENGTH, logit_lens, silence_note, stage_figures
from lilliput.lens.stream import NORM, read_out, stages
from lilliput.lens.texts import rows_of
from lilliput.model.transformer import Model

TENSORS, FACTS = "tuned_lens.safetensors", "tuned_lens.json"
SOURCE = "Belrose et al. 2023, arXiv:2303.08112"
FEWEST_ROWS = 8
"""The fewest held-out rows of the instrument: three quarters train the translators, and a quarter measures them."""


@dataclass(frozen=True)
class Training:
    """How translators were trained: `steps` of Adam, each on `tokens` positions that are drawn from the rows, with a
    learning rate that falls to 0 on a straight line."""

    steps: int = 40
    tokens: int = 192
    learning_rate: float = 5e-3
    seed: int = 0


@dataclass(frozen=True)
class TunedLens:
    """An affine translator for each stage of the stream but the last: stream + stream @ weight.T + bias.

    weight (stages - 1, d_model, d_model), bias (stages - 1, d_model). Zeros give the logit lens.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    training: Training = Training()

    def __call__(self, stage: int, stream: torch.Tensor) -> torch.Tensor:
        """Translate the stream of a stage, (..., d_model): a function for `logit_lens(translate=...)`."""
        return stream + stream @ self.weight[stage].T + self.bias[stage]

    def save(self, folder: str | Path) -> None:
        """Write tuned_lens.safetensors and tuned_lens.json into `folder`, which is made if need be."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"weight": self.weight.contiguous(), "bias": self.bias.contiguous()}
        save_file(tensors, folder / TENSORS)
        count, width = self.bias.shape
        facts = {"source": SOURCE, "norm": NORM, "stages": count, "d_model": width}
        write_json(folder / FACTS, facts | {"training": asdict(self.training)})

    @classmethod
    def load(cls, folder: str | Path, model: Model) -> TunedLens:
        """Read the two files of `save`. Raises ModelError for files that are missing or belong to a model of another
        shape."""
        folder = Path(folder)
        try:
            tensors, facts = load_file(folder / TENSORS), read_json(folder / FACTS)
            found = cls(tensors["weight"], tensors["bias"], Training(**facts["training"]))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{folder} holds no tuned lens that can be read: {error}",
                "train one: lilliput.lens.tuned_lens.train(model, rows)",
            ) from None
        wanted = (model.config.n_layers, model.config.d_model)
        if tuple(found.bias.shape) != wanted:
            raise ModelError(
                f"the tuned lens in {folder} has {tuple(found.bias.shape)} stages and channels, the model {wanted}",
                "train a tuned lens for this model",
            )
        return found


def train(model: Model, rows: torch.Tensor, training: Training = Training()) -> TunedLens:
    """Train the translators on tokens (N, T) to minimise the KL divergence from the model's final prediction to each
    stage's, in nats a token. The model's own weights do not change.

    The same model, rows and settings give the same translators. Each stage has a loss of its own. The sum of the losses
    is minimised, because no translator changes the loss of another.
    """
    streams = stages(model, rows).flatten(1, 2)
    count, width = len(streams) - 1, streams.shape[-1]
    weight = torch.zeros(count, width, width, device=streams.device, requires_grad=True)
    bias = torch.zeros(count, width, device=streams.device, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=training.learning_rate)
    generator = torch.Generator().manual_seed(seeds.derive(training.seed, "tuned lens"))
    for step in range(training.steps):
        optimizer.param_groups[0]["lr"] = training.learning_rate * (1 - step / training.steps)
        drawn = torch.randint(streams.shape[1], (training.tokens,), generator=generator).to(streams.device)
        batch = streams[:, drawn]
        with torch.no_grad():
            final = read_out(model, batch[-1]).log_softmax(-1)
        read = batch[:-1] + torch.einsum("sni,soi->sno", batch[:-1], weight) + bias[:, None]
        loss = torch.nn.functional.kl_div(
            read_out(model, read).log_softmax(-1), final.expand(count, -1, -1), reduction="sum", log_target=True
        )
        weight.grad, bias.grad = torch.autograd.grad(loss / training.tokens, (weight, bias))
        optimizer.step()
    return TunedLens(weight.detach(), bias.detach(), training)


@INSTRUMENTS.add("tuned_lens")
class TunedLensInstrument(Instrument):
    """How early the final prediction is in the stream, in whatever directions a layer writes it."""

    title = "The prediction after each layer, translated (tuned lens)"
    part = "decided"
    order = 2
    sums = True

    def refuses(self, subject: Subject) -> str:
        few = f"it needs {FEWEST_ROWS} held-out texts, and there are {len(subject.rows)}"
        return super().refuses(subject) or (few if len(subject.rows) < FEWEST_ROWS else "")

    def measure(self, subject: Subject) -> dict[str, Any]:
        rows = rows_of(subject, 512 if subject.thorough else 64, LENGTH)
        fitted, held = rows[: len(rows) * 3 // 4], rows[len(rows) * 3 // 4 :]
        training = replace(Training(seed=subject.seed), **({"steps": 600, "tokens": 512} if subject.thorough else {}))
        stages: dict[str, Any] = {}
        gains: dict[str, Any] = {}
        for name, generator in (("model", subject.generator), ("untrained", subject.untrained)):
            lens = train(generator.model, fitted, training)
            plain, tuned = (logit_lens(generator.model, held, 1, translate) for translate in (None, lens))
            for label, read in (("logit lens", plain), ("tuned lens", tuned)):
                stages[f"{label}, {name}"] = stage_figures(read, subject.seed)
            # (stages, N, T) to a mean for each row
            nearer = (plain.kl - tuned.kl).mean(-1)
            gains[name] = [mean_figure(one, subject.seed) for one in nearer.tolist()]
        facts = {"norm": NORM, "source": SOURCE, "rows_trained_on": len(fitted), "rows": len(held)}
        return facts | {"training": asdict(training), "stages": stages, "gains": gains}

    def section(self, found: Mapping[str, Any]) -> str:
        groups = found["stages"]
        names = [stage["stage"] for stage in groups["logit lens, model"]]
        rows = {
            name: {label: figure_text(group[place]["kl"]) for label, group in groups.items()}
            for place, name in enumerate(names)
        }
        series = [
            Series(label, [(place, stage["kl"]["mean"]) for place, stage in enumerate(group)], colour, dots=True)
            for colour, (label, group) in enumerate(groups.items())
        ]
        chart = Chart("Distance to the final prediction (KL, nats), by layer", series, "layers that were read")
        return (
            "<p>An early layer may write its prediction in other directions than the last layer. A translator for each "
            "layer, one matrix and one vector, is trained to turn the layer's stream into the last layer's. A distance "
            "of 0 is the final prediction itself.</p>"
            f"{figure(chart)}{table(rows)}"
            f'<p class="quiet">KL from the final prediction, in nats a token, on {found["rows"]} held-out texts, with '
            f"95% intervals. The translators were trained on {found['rows_trained_on']} other held-out texts. The "
            "untrained model has translators of its own, trained in the same way."
            f"{silence_note(groups['logit lens, untrained'])}</p>"
        )

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        half = _half(found)
        own, control = found["gains"]["model"][half], found["gains"]["untrained"][half]
        if not (own["low"] > 0 and beats(own, control)):
            return []
        stage = found["stages"]["logit lens, model"][half]
        return [
            f"Layers write in directions of their own: a translation of {stage['stage']} brings its prediction "
            f"{figure_text(own)} nats nearer to the final prediction, which is {figure_text(stage['kl'])} away without "
            f"it, and with untrained weights {figure_text(control)} nats nearer."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        half, stages, gains = _half(found), found["stages"], found["gains"]
        own, control = stages["tuned lens, model"][half]["right"], stages["tuned lens, untrained"][half]["right"]
        return {
            "share of right tokens at half depth, translated": compared(own, control),
            "nats that the translation gains at half depth": compared(gains["model"][half], gains["untrained"][half]),
        }


def _half(found: Mapping[str, Any]) -> int:
    """Return the place of the stage at half depth."""
    return len(found["stages"]["logit lens, model"]) // 2
