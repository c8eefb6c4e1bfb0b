"""The figures of a sparse coder on held-out text, with two controls: random directions, and untrained weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from lilliput.base.errors import DataError
from lilliput.base.statistics import interval
from lilliput.decoding.inference import inference
from lilliput.lens.intervene import Change, intervene
from lilliput.lens.sparse import SparseCoder, SparseConfig, collect_pair
from lilliput.lens.sparse_training import SparseTraining
from lilliput.model.transformer import Model


def figures(coder: SparseCoder, model: Model, rows: torch.Tensor, seed: int = 0) -> dict[str, Any]:
    """Return the figures of a coder on held-out token rows (N, T).

    variance_unexplained  squared error / squared distance to the mean activation; 0 is perfect, 1 is the mean itself
    loss_recovered        (loss with zeros - loss with the reconstruction) / (loss with zeros - loss of the model), and
                          the same with the mean activation in place of zeros; 1 is perfect. None where the ablation
                          does not raise the loss for certain
    dead                  share of features that never fire on these rows
    l0                    features that fire for an activation, on average
    Each has its 95% interval, by bootstrap over activations or rows; `dead` is a count of these rows.
    """
    inputs, outputs = collect_pair(model, rows, coder.reads, coder.writes)
    fired = coder.encode(inputs)
    living = torch.zeros(coder.width, dtype=torch.bool, device=inputs.device)
    living[fired.places[fired.values > 0]] = True
    return {
        "variance_unexplained": _with_interval(unexplained(coder, inputs, outputs), seed),
        **_recovered(coder, model, rows, outputs.mean(0), seed),
        "dead": round(1 - float(living.float().mean()), 4),
        "l0": _with_interval((fired.values > 0).sum(1).float(), seed),
        "width": coder.width,
        "k": coder.k,
        "activations": len(inputs),
    }


def unexplained(coder: SparseCoder, inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """Return (N,): the squared error of each reconstruction as a share of the mean squared distance of the outputs to
    their mean. The mean over N is the fraction of variance unexplained. Raises DataError for equal activations."""
    variance = (outputs - outputs.mean(0)).square().sum(1).mean()
    if not variance > 0:
        raise DataError(f"all activations of {coder.writes} are equal, so there is no variance to explain")
    return (coder.reconstruct(inputs) - outputs).square().sum(1) / variance


def losses(model: Model, rows: torch.Tensor, changes: dict[str, Change] | None = None) -> torch.Tensor:
    """Return (N,): the mean loss in nats of each row's next tokens, with activations changed (see `intervene`)."""
    found = []
    with inference(model), intervene(model, changes or {}):
        for part in rows.split(16):
            logits = model.logits(model(part[:, :-1]))
            each = F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="none")
            found.append(each.view(len(part), -1).mean(1))
    return torch.cat(found)


def splice(coder: SparseCoder, model: Model, rows: torch.Tensor) -> torch.Tensor:
    """Return (N,): the losses of rows with the reconstruction in place of the activation. The first position
    keeps its activation."""
    held: dict[str, torch.Tensor] = {}

    def read(value: torch.Tensor, hook: Any) -> None:
        held["input"] = value

    def write(value: torch.Tensor, hook: Any) -> torch.Tensor:
        source = held["input"] if coder.transcodes else value
        return _after_first(value, coder.reconstruct(source[:, 1:].flatten(2)).view_as(value[:, 1:]))

    return losses(model, rows, {coder.reads: read, coder.writes: write} if coder.transcodes else {coder.writes: write})


def controls(
    model: Model, untrained: Model, rows: torch.Tensor, held_out: torch.Tensor, coder: SparseCoder, config: SparseConfig
) -> dict[str, Any]:
    """Return the variance unexplained of two controls.

    random directions  as many random unit directions, with TopK: an autoencoder before its first step
    untrained weights  an autoencoder that is trained in the same way on activations of a model with untrained weights
    """
    found = {}
    for name, source, steps in (("random directions", model, 0), ("untrained weights", untrained, config.steps)):
        inputs, outputs = collect_pair(source, rows, coder.reads, coder.writes)
        run = SparseTraining(inputs, outputs, coder.transcodes, config)
        run.steps(steps)
        made = run.coder(coder.reads, coder.writes)
        seen = collect_pair(source, held_out, coder.reads, coder.writes)
        found[name] = {"variance_unexplained": _with_interval(unexplained(made, *seen), config.seed)}
    return found


def _recovered(coder: SparseCoder, model: Model, rows: torch.Tensor, mean: torch.Tensor, seed: int) -> dict[str, Any]:
    clean, spliced = losses(model, rows), splice(coder, model, rows)
    found: dict[str, Any] = {"loss": round(float(clean.mean()), 4), "loss_spliced": round(float(spliced.mean()), 4)}
    for name, constant in (("zero", torch.zeros_like(mean)), ("mean", mean)):

        def replace(value: torch.Tensor, hook: Any, constant: torch.Tensor = constant) -> torch.Tensor:
            return _after_first(value, constant.view(value.shape[2:]).expand_as(value[:, 1:]))

        ablated = losses(model, rows, {coder.writes: replace})
        cost = ablated - clean
        found[f"loss_{name}_ablated"] = round(float(ablated.mean()), 4)
        # Where the cost of the ablation may be 0, there is nothing to recover. The mean cost is the divisor of every
        # row, so that the mean over rows is the ratio of the means.
        certain = interval(cost.tolist(), seed)[0] > 0
        found[f"loss_recovered_{name}"] = _with_interval((ablated - spliced) / cost.mean(), seed) if certain else None
    return found


def _after_first(value: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return torch.cat([value[:, :1], new.to(value.dtype)], dim=1)


def _with_interval(values: torch.Tensor, seed: int) -> dict[str, float]:
    """The mean with its bootstrap interval. More than 2,000 values are first averaged in 2,000 groups of neighbours."""
    groups = values.double().tensor_split(2000) if len(values) > 2000 else values.double()
    means = [float(group.mean()) for group in groups]
    low, high = interval(means, seed)
    return {"mean": round(float(values.mean()), 5), "low": round(low, 5), "high": round(high, 5)}
