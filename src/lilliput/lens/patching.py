"""Activation patching and path patching: the share of a difference that one activation carries from a clean text to a
corrupted text (Wang et al. 2022, arXiv:2211.00593; Goldowsky-Dill et al. 2023, arXiv:2304.05969)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from lilliput.base.errors import ModelError
from lilliput.decoding.inference import inference
from lilliput.lens.capture import Captured
from lilliput.lens.intervene import Hook, intervene
from lilliput.lens.stream import seen_in, stage_points
from lilliput.model.transformer import Model

Change = Callable[[torch.Tensor, Hook], torch.Tensor]
Into = Literal["q", "k", "v"]
LEAST = 1e-6
"""The least mean difference of the logit differences, in logits, of which a share is computed."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts that differ in what comes next.

    clean, corrupted  (N, T) int64: rows of equal length
    right, wrong      (N,) int64: the next token after the clean and after the corrupted text. Their logits are read at
                      the last position
    """

    clean: torch.Tensor
    corrupted: torch.Tensor
    right: torch.Tensor
    wrong: torch.Tensor

    def __post_init__(self) -> None:
        if self.clean.shape != self.corrupted.shape:
            raise ModelError(
                f"the clean texts are {tuple(self.clean.shape)} tokens, the corrupted {tuple(self.corrupted.shape)}",
                "take texts of the same number of tokens",
            )


def logit_difference(
    model: Model, pairs: Pairs, tokens: torch.Tensor, changes: Mapping[str, Change] | None = None
) -> torch.Tensor:
    """Return logit(right) - logit(wrong) at the last position of tokens (N, T), (N,), while `changes` replace
    activations (see `intervene`)."""
    with inference(model), intervene(model, changes or {}):
        logits = model.logits(model(tokens)[:, -1])
        return (logits.gather(1, pairs.right[:, None]) - logits.gather(1, pairs.wrong[:, None]))[:, 0].clone()


class Patching:
    """Runs the corrupted texts with activations of the clean texts, or of other `source` texts (N, T).

    `share(patched)` is the recovered share of the difference, (patched - corrupted) / (clean - corrupted), where each
    of the three is the mean logit difference over the pairs: 0 where the patch changes nothing, 1 where it gives the
    whole difference back. `shares` gives the share of each pair. Raises ModelError where clean and corrupted texts have
    the same logit differences.
    """

    def __init__(self, model: Model, pairs: Pairs, source: torch.Tensor | None = None):
        self.model, self.pairs = model, pairs
        self.source = pairs.clean if source is None else source
        if self.source.shape != pairs.corrupted.shape:
            raise ModelError(
                f"the source texts are {tuple(self.source.shape)}, the corrupted {tuple(pairs.corrupted.shape)}",
                "take source texts of the same number of tokens",
            )
        self.clean = logit_difference(model, pairs, pairs.clean)
        self.corrupted = logit_difference(model, pairs, pairs.corrupted)
        self.gap = float((self.clean - self.corrupted).mean())
        if abs(self.gap) < LEAST:
            raise ModelError("clean and corrupted texts have the same logit differences, so no share can be recovered")

    def share(self, patched: torch.Tensor) -> float:
        """Return the recovered share of patched logit differences (N,)."""
        return float((patched - self.corrupted).mean()) / self.gap

    def shares(self, patched: torch.Tensor) -> list[float]:
        """Return each pair's part of the share, (N,). Their mean is `share`. All are divided by the mean gap, because
        the gap of a single pair may be near 0."""
        return ((patched - self.corrupted) / self.gap).tolist()

    def patch(self, changes: Mapping[str, Change]) -> torch.Tensor:
        """Return the logit differences (N,) of the corrupted texts under `changes`."""
        return logit_difference(self.model, self.pairs, self.pairs.corrupted, changes)

    def everything(self) -> torch.Tensor:
        """Return the logit differences (N,) where every position of every stage is patched."""
        seen = self.seen(stage_points(self.model))
        return self.patch({name: _replace(seen[name]) for name in seen})

    def stream(self) -> torch.Tensor:
        """Return the recovered share of each place of the stream, (stages, T): the stream of one stage (before the
        first layer, and after each layer) at one position comes from the source."""
        points = stage_points(self.model)
        return self._places(points, self.seen(points))

    def parts(self, kind: Literal["attn", "mlp"]) -> torch.Tensor:
        """Return the recovered share of the output of each layer's attention or MLP at one position, (layers, T)."""
        points = [f"blocks.{layer}.hook_{kind}_out" for layer in range(self.model.config.n_layers)]
        return self._places(points, self.seen(points))

    def heads(self, by_position: bool = False) -> torch.Tensor:
        """Return the recovered share of each head's output, (layers, heads): at all positions together, or
        `by_position`, (layers, heads, T), at one position."""
        config, length = self.model.config, self.source.shape[1]
        seen = self.seen([f"blocks.{layer}.attn.hook_z" for layer in range(config.n_layers)])
        positions: Sequence[int | slice] = range(length) if by_position else [slice(None)]
        found = [
            [[self.share(self.head(layer, head, at, seen)) for at in positions] for head in range(config.n_heads)]
            for layer in range(config.n_layers)
        ]
        shares = torch.tensor(found)
        return shares if by_position else shares[..., 0]

    def head(self, layer: int, head: int, at: int | slice = slice(None), seen: Captured | None = None) -> torch.Tensor:
        """Return the logit differences (N,) where one head's output comes from the source, at all positions or one."""
        name = f"blocks.{layer}.attn.hook_z"
        seen = self.seen([name]) if seen is None else seen
        return self.patch({name: _replace(seen[name], (slice(None), at, head))})

    def seen(self, names: Sequence[str]) -> Captured:
        """Return activations of the source texts."""
        return seen_in(self.model, self.source, names)

    def _places(self, points: Sequence[str], seen: Captured) -> torch.Tensor:
        """Return the shares by place. Before the first token in which source and corrupted texts differ, a model that
        sees earlier positions alone has the same activations, so that the share there is 0 without a run."""
        length = self.source.shape[1]
        differs = (self.source != self.pairs.corrupted).any(0).nonzero()
        first = int(differs[0]) if len(differs) else length
        found = torch.zeros(len(points), length)
        for row, name in enumerate(points):
            for at in range(first, length):
                found[row, at] = self.share(self.patch({name: _replace(seen[name], (slice(None), at))}))
        return found


def path_patch(
    model: Model,
    pairs: Pairs,
    sender: tuple[int, int] | None,
    receiver: tuple[int, int] | None = None,
    into: Into = "q",
    base: Literal["corrupted", "clean"] = "corrupted",
) -> torch.Tensor:
    """Patch the direct path from one head, (layer, head), or from the embeddings (`sender` None), to another head's
    query, key or value, or to the logits (`receiver` None). Return each pair's part of the recovered share, (N,), whose
    mean is the share.

    The texts of `base` run twice. In the first run the sender's output comes from the other texts; all other heads and
    all MLPs keep their outputs of the base run, so that the sender's change reaches the receiver through the residual
    stream alone. The receiver's query, key or value is taken from this run. In the second run only this vector is
    replaced. With base "clean" the share is the lost share: 1 where the path carries the whole difference. Query heads
    that share a key head receive its keys and values together. Raises ModelError for a receiver that the sender's
    layer does not come before, and for a head that the model lacks.
    """
    _check(model, sender, receiver)
    own, other = (pairs.corrupted, pairs.clean) if base == "corrupted" else (pairs.clean, pairs.corrupted)
    runs = Patching(model, pairs)
    name = "hook_embed" if sender is None else f"blocks.{sender[0]}.attn.hook_z"
    frozen = seen_in(model, own, ["hook_embed", "blocks.*.attn.hook_z", "blocks.*.hook_mlp_out"])
    sent = seen_in(model, other, name)[name]
    place = (slice(None), slice(None)) if sender is None else (slice(None), slice(None), sender[1])
    changes: dict[str, Change] = {each: _replace(frozen[each]) for each in frozen}
    mixed = frozen[name].clone()
    mixed[place] = sent[place]
    changes[name] = _replace(mixed)
    if receiver is None:
        patched = logit_difference(model, pairs, own, changes)
    else:
        point = f"blocks.{receiver[0]}.attn.hook_{into}"
        with inference(model), intervene(model, changes):
            received = seen_in(model, own, point)[point]
        head = receiver[1] * received.shape[2] // model.config.n_heads
        patched = logit_difference(model, pairs, own, {point: _replace(received, (slice(None), slice(None), head))})
    before = runs.corrupted if base == "corrupted" else runs.clean
    return (patched - before) / (runs.gap if base == "corrupted" else -runs.gap)


def unrelated(pairs: Pairs, rows: torch.Tensor) -> torch.Tensor:
    """Return source texts for a control, (N, T): the beginnings of unrelated rows (M, at least T), one after another.
    Raises ModelError where the rows are shorter than the pairs."""
    count, length = pairs.clean.shape
    if rows.shape[1] < length:
        raise ModelError(f"the rows have {rows.shape[1]} tokens, and the pairs have {length}", "take longer rows")
    return rows[torch.arange(count) % len(rows), :length].to(pairs.clean.device)


def _replace(value: torch.Tensor, place: tuple[int | slice, ...] | None = None) -> Change:
    """Return a function that puts `value`, or its part at `place`, where the activation was."""

    def change(activation: torch.Tensor, hook: Hook) -> torch.Tensor:
        if place is None:
            return value
        new = activation.clone()
        new[place] = value[place]
        return new

    return change


def _check(model: Model, sender: tuple[int, int] | None, receiver: tuple[int, int] | None) -> None:
    config = model.config
    for layer, head in filter(None, (sender, receiver)):
        if not (0 <= layer < config.n_layers and 0 <= head < config.n_heads):
            raise ModelError(
                f"the model has no head {head} in layer {layer}",
                f"layers are 0 to {config.n_layers - 1}, heads 0 to {config.n_heads - 1}",
            )
    if sender is not None and receiver is not None and receiver[0] <= sender[0]:
        raise ModelError(
            f"layer {receiver[0]} does not come after layer {sender[0]}, so no path leads to it",
            "take a receiver of a later layer",
        )
