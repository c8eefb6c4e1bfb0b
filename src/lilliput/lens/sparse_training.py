"""Train a sparse coder: k features an activation, dead features revived, gradients by hand and sparse.

The loss of an activation is the squared distance to its reconstruction. Features that have not fired for `dead_steps`
updates also learn to reconstruct the remaining error, by the `aux_k` of them with the largest scores (AuxK, Gao et al.
2024, appendix A.2). Decoder rows keep the length 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F

from lilliput.base.errors import DataError, ModelError, TrainingError
from lilliput.base.machine import BF16_INSTRUCTIONS, instructions
from lilliput.base.seeds import derive
from lilliput.lens.sparse import CHUNK, Features, SparseCoder, SparseConfig
from lilliput.lens.sparse_kernels import ByFeature, largest, products_with_rows, sum_of_rows

MEDIAN_ROWS = 4096
"""The geometric median is taken of this many activations."""
LAST = 0.2
"""The share of the steps, at the end, in which the step size falls to 0."""


def train_autoencoder(activations: torch.Tensor, hook: str, config: SparseConfig) -> SparseCoder:
    """Train a TopK autoencoder on activations (N, d) of a hook point. The same activations and config give the same
    weights, bit by bit, on the same machine. Raises DataError for fewer than 2 activations, TrainingError for an error
    that is not a number.

    >>> coder = train_autoencoder(collect(model, rows, hook), hook, SparseConfig(width=1024, k=16))
    """
    return _trained(activations, activations, hook, hook, config)


def train_transcoder(
    inputs: torch.Tensor, outputs: torch.Tensor, reads: str, writes: str, config: SparseConfig
) -> SparseCoder:
    """Train a TopK transcoder, which computes `outputs` (N, d_out) from `inputs` (N, d_in). They are the activations of
    the hook points `writes` and `reads` at the same positions. For an MLP, reads is `blocks.0.ln2.hook_normalized`, and
    writes is `blocks.0.hook_mlp_out`. Raises as `train_autoencoder` does, and ModelError for equal hook points.

    >>> pair = collect_pair(model, rows, reads, writes)
    >>> coder = train_transcoder(*pair, reads, writes, SparseConfig())
    """
    if reads == writes:
        raise ModelError(f"a transcoder reads and writes two hook points, and both are {reads}", "train_autoencoder")
    return _trained(inputs, outputs, reads, writes, config)


def _trained(inputs: torch.Tensor, outputs: torch.Tensor, reads: str, writes: str, config: SparseConfig) -> SparseCoder:
    if len(inputs) < 2 or len(inputs) != len(outputs):
        raise DataError(
            f"there are {len(inputs)} activations to read and {len(outputs)} to write, and at least 2 pairs are needed",
            "give more rows of tokens",
        )
    run = SparseTraining(inputs, outputs, reads != writes, config)
    run.steps(config.steps)
    return run.coder(reads, writes)


def _batches(count: int, config: SparseConfig, steps: int) -> Iterator[torch.Tensor]:
    """Yield the places of each batch. All activations are used before any is used again."""
    draw = torch.Generator().manual_seed(derive(config.seed, "sparse batches") % 2**63)
    size = min(config.batch, count)
    order, at = torch.randperm(count, generator=draw), 0
    for _ in range(steps):
        if at + size > count:
            order, at = torch.randperm(count, generator=draw), 0
        yield order[at : at + size]
        at += size


class Gradients(NamedTuple):
    """The gradients of a coder's weights, in the weights' shapes."""

    encoder: torch.Tensor
    encoder_bias: torch.Tensor
    decoder: torch.Tensor
    decoder_bias: torch.Tensor


class SparseTraining:
    """The state of a training. Activations are scaled to a mean square of 1 a number, so that one step size fits every
    hook point; `coder` scales back. `losses` are the squared errors of each step, as shares of the outputs' variance.
    """

    def __init__(self, inputs: torch.Tensor, outputs: torch.Tensor, transcodes: bool, config: SparseConfig):
        self.config, self.transcodes = config, transcodes
        self.scale_in, self.scale_out = _scale(inputs), _scale(outputs)
        self.inputs, self.outputs = inputs / self.scale_in, outputs / self.scale_out
        width, d = config.width, inputs.shape[1]
        draw = torch.Generator().manual_seed(derive(config.seed, "sparse weights") % 2**63)
        rows = torch.randn(width, outputs.shape[1], generator=draw).to(inputs.device)
        self.decoder = F.normalize(rows)
        same = d == outputs.shape[1]
        first = self.decoder if same else F.normalize(torch.randn(width, d, generator=draw).to(inputs.device))
        self.encoder = first.clone()
        self.decoder_bias = geometric_median(self.outputs[:MEDIAN_ROWS])
        # A transcoder has no bias to subtract from its input, so its encoder's bias removes the input's median.
        self.encoder_bias = torch.zeros(width, device=inputs.device)
        if transcodes:
            self.encoder_bias = -self.encoder @ geometric_median(self.inputs[:MEDIAN_ROWS])
        weights = [self.encoder, self.encoder_bias, self.decoder, self.decoder_bias]
        self.grads = Gradients(*map(torch.zeros_like, weights))
        for weight, grad in zip(weights, self.grads, strict=True):
            weight.grad = grad
        # `fused` updates all weights in one pass over memory.
        self.adam = torch.optim.Adam(weights, config.learning_rate, betas=(0.9, 0.999), fused=True)
        self.quiet = torch.zeros(width, dtype=torch.int64, device=inputs.device)
        self.aux_k = max(1, outputs.shape[1] // 2) if config.aux_k is None else config.aux_k
        self.half = _chooses_in_bf16(config, inputs.device)
        self.losses: list[float] = []

    def steps(self, count: int) -> None:
        """Take the first `count` steps. Raises TrainingError for an error that is not a number."""
        for number, chosen in enumerate(_batches(len(self.inputs), self.config, count)):
            self.step(number, self.inputs[chosen], self.outputs[chosen])

    def step(self, number: int, x: torch.Tensor, y: torch.Tensor) -> None:
        """Update the weights once, by scaled activations x (B, d_in) and y (B, d_out). Raises TrainingError as `steps`
        does."""
        fired, error = self.set_gradients(x, y)
        loss = float(error.square().sum() / (y - y.mean(0)).square().sum().clamp(min=1e-12))
        if not math.isfinite(loss):
            raise TrainingError("the error of the features is not a number", "check that the activations are finite")
        self.losses.append(loss)
        self._update(number)
        self.quiet += 1
        self.quiet[fired.places[fired.values > 0]] = 0

    def set_gradients(self, x: torch.Tensor, y: torch.Tensor) -> tuple[Features, torch.Tensor]:
        """Set the gradients of the loss of x (B, d_in) and y (B, d_out): the mean over B of |error|^2 / d_out, plus the
        loss of dead features. Return the features that fired, and the error (B, d_out)."""
        x = x if self.transcodes else x - self.decoder_bias
        fired = self._fired(x)
        error = self.decoder_bias + sum_of_rows(self.decoder, *fired) - y
        for grad in self.grads:
            grad.zero_()
        scale = 2 / error.numel()
        self._add_gradients(x, fired, error * scale)
        self.grads.decoder_bias.add_(error.sum(0) * scale)
        if self.aux_k and self.config.aux_weight:
            self._revive(x, error, scale)
        return fired, error

    def _fired(self, x: torch.Tensor) -> Features:
        """The features that fire for x (B, d_in). Their choice may be in bf16; their activations are in float32."""
        kind = torch.bfloat16 if self.half else torch.float32
        table, bias = self.encoder.to(kind), self.encoder_bias.to(kind)
        parts = (torch.addmm(bias, part, table.T) for part in x.to(kind).split(CHUNK))
        places = torch.cat([largest(scores, self.config.k) for scores in parts])
        scores = products_with_rows(self.encoder, places, x) + self.encoder_bias[places]
        return Features(places, scores.relu_())

    def _add_gradients(self, x: torch.Tensor, fired: Features, error: torch.Tensor) -> None:
        """Add the gradients of the features that fired, where `error` (B, d_out) is the gradient of their sum."""
        entries = ByFeature(fired.places, self.config.width)
        self.grads.decoder.add_(entries.sums(fired.values, error))
        back = products_with_rows(self.decoder, fired.places, error) * (fired.values > 0)  # through the ReLU
        self.grads.encoder.add_(entries.sums(back, x))
        self._add_bias(entries.totals(back))

    def _revive(self, x: torch.Tensor, error: torch.Tensor, scale: float) -> None:
        """Add the gradients of the dead features, of which the `aux_k` with the largest scores reconstruct the rest:
        output - reconstruction = -error. Their scores count as they are, because a feature whose scores are all
        negative would learn nothing after a ReLU. Fewer dead features than `aux_k` count for less, as in sae-lens.

        The products are dense over the dead features, since `aux_k` of them would be more work as single rows."""
        dead = (self.quiet >= self.config.dead_steps).nonzero().flatten()
        if not len(dead):
            return
        encoder, decoder = self.encoder[dead], self.decoder[dead]
        scores = torch.addmm(self.encoder_bias[dead], x, encoder.T)
        chosen = torch.ones_like(scores)
        if len(dead) > self.aux_k:
            chosen = torch.zeros_like(scores).scatter_(1, scores.topk(self.aux_k, sorted=False).indices, 1.0)
        scores *= chosen
        weight = self.config.aux_weight * min(1.0, len(dead) / self.aux_k)
        rest = torch.addmm(error, scores, decoder) * (scale * weight)
        back = (rest @ decoder.T) * chosen
        self.grads.decoder.index_add_(0, dead, scores.T @ rest)
        self.grads.encoder.index_add_(0, dead, back.T @ x)
        self._add_bias(torch.zeros_like(self.encoder_bias).index_add_(0, dead, back.sum(0)))

    def _add_bias(self, bias: torch.Tensor) -> None:
        """Add the gradient (width,) of the encoder's bias. The input of an autoencoder is the activation less
        decoder_bias."""
        self.grads.encoder_bias.add_(bias)
        if not self.transcodes:
            self.grads.decoder_bias.sub_(bias @ self.encoder)

    def _update(self, number: int) -> None:
        left = (self.config.steps - number) / max(1.0, LAST * self.config.steps)
        for group in self.adam.param_groups:
            group["lr"] = self.config.learning_rate * min(1.0, left)
        grad = self.grads.decoder
        # A change along a decoder row would be undone by the row's length of 1, so it is left out (Gao et al.).
        grad.sub_(self.decoder * (grad * self.decoder).sum(1, keepdim=True))
        self.adam.step()
        self.decoder.div_(self.decoder.norm(dim=1, keepdim=True).clamp_(min=1e-12))

    def coder(self, reads: str, writes: str) -> SparseCoder:
        """The coder of activations in their own scale. Its decoder rows have the length 1, so that the activations of
        features are in the scale of the outputs."""
        scale = self.scale_out / self.scale_in
        return SparseCoder(
            reads=reads,
            writes=writes,
            encoder=self.encoder * scale,
            encoder_bias=self.encoder_bias * self.scale_out,
            decoder=self.decoder.clone(),
            decoder_bias=self.decoder_bias * self.scale_out,
            k=self.config.k,
        )


def geometric_median(rows: torch.Tensor, rounds: int = 20) -> torch.Tensor:
    """Return the point (d,) with the least mean distance to rows (N, d), by the iteration of Weiszfeld 1937. Unlike the
    mean it is not drawn to a few large activations."""
    point = rows.mean(0)
    for _ in range(rounds):
        weights = 1 / (rows - point).norm(dim=1).clamp(min=1e-6)
        point = (weights @ rows) / weights.sum()
    return point


def _scale(activations: torch.Tensor) -> torch.Tensor:
    return activations.square().mean().sqrt().clamp(min=1e-12)


def _chooses_in_bf16(config: SparseConfig, device: torch.device) -> bool:
    if config.precision != "auto":
        return config.precision == "bf16"
    return device.type != "cpu" or bool(set(instructions()) & BF16_INSTRUCTIONS)
