"""The matrix products of one training step and nothing else: the most that the step's own shapes allow."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lilliput.model.config import ModelConfig
from lilliput.model.cross_entropy import chunk_rows
from lilliput.model.parts import MLPS
from protocol import HIDDEN, Job, Subject, serve

Shape = tuple[int, int, int, int]
"""(batch, m, k, n): `batch` products of (m, k) by (k, n)."""


def products(model: ModelConfig, rows: int, context: int) -> Iterator[Shape]:
    """Every product of a forward and backward pass over `rows` rows: a matrix (k, n) meets its input forwards, and
    backwards its output's gradient twice. Attention is counted whole, as `flops_per_token` counts it."""
    if model.encoder_layers:
        source = context * 4 // 5
        yield from stack(model.encoder, rows, source)
        yield from stack(model, rows, context - source)
        for _ in range(model.n_layers):
            yield from crossed(model, rows, context - source, source)
        yield from output(model, rows * (context - source))
        return
    yield from stack(model, rows, context)
    yield from output(model, rows * context if model.causal else rows * context // HIDDEN)


def stack(model: ModelConfig, rows: int, context: int) -> Iterator[Shape]:
    """The products of a stack of blocks."""
    tokens, heads = rows * context, model.n_heads * model.d_head
    stacked = heads + 2 * model.n_kv_heads * model.d_head
    for _ in range(model.n_layers):
        yield from both_ways(1, tokens, model.d_model, stacked)
        yield from both_ways(1, tokens, heads, model.d_model)
        yield from mlp(model, tokens)
        yield from both_ways(rows * model.n_heads, context, model.d_head, context)
        yield from both_ways(rows * model.n_heads, context, context, model.d_head)


def mlp(model: ModelConfig, tokens: int) -> Iterator[Shape]:
    """The products of an MLP, or of the experts that a token passes, which each get as many tokens."""
    if not model.n_experts:
        yield from both_ways(1, tokens, model.d_model, (2 if MLPS[model.mlp].gated else 1) * model.d_mlp)
        yield from both_ways(1, tokens, model.d_mlp, model.d_model)
        return
    yield from both_ways(1, tokens, model.d_model, model.n_experts)
    for _ in range(model.n_experts):
        each = tokens * model.experts_per_token // model.n_experts
        yield from both_ways(1, each, model.d_model, 2 * model.d_mlp)
        yield from both_ways(1, each, model.d_mlp, model.d_model)


def crossed(model: ModelConfig, rows: int, context: int, source: int) -> Iterator[Shape]:
    """The products of a layer's attention to a source."""
    heads = model.n_heads * model.d_head
    yield from both_ways(1, rows * context, model.d_model, heads)
    yield from both_ways(1, rows * source, model.d_model, 2 * model.n_kv_heads * model.d_head)
    yield from both_ways(1, rows * context, heads, model.d_model)
    yield from both_ways(rows * model.n_heads, context, model.d_head, source)
    yield from both_ways(rows * model.n_heads, context, source, model.d_head)


def output(model: ModelConfig, targets: int) -> Iterator[Shape]:
    """The products of the output, of the targets alone."""
    if model.head == "transform":
        yield from both_ways(1, targets, model.d_model, model.d_model)
    chunk = chunk_rows(targets, model.vocab_size, "cpu")
    for start in range(0, targets, chunk):
        yield from both_ways(1, min(chunk, targets - start), model.d_model, model.vocab_size)


def both_ways(batch: int, m: int, k: int, n: int) -> tuple[Shape, Shape, Shape]:
    """x (m, k) by w (k, n); then the gradients of x and of w."""
    return (batch, m, k, n), (batch, m, n, k), (batch, k, m, n)


def build(job: Job) -> Subject:
    """Operands and results that lie ready, so that no memory is asked for inside the clock."""
    model = ModelConfig(**job.model)
    dtype = torch.bfloat16 if job.precision == "bf16" else torch.float32
    shapes = list(products(model, job.micro_rows, job.context))

    def matrices(batch: int, m: int, n: int) -> torch.Tensor:
        return torch.randn((batch, m, n) if batch > 1 else (m, n), dtype=dtype, device=job.device)

    operands = {
        (batch, m, k, n): (matrices(batch, m, k), matrices(batch, k, n), matrices(batch, m, n))
        for batch, m, k, n in set(shapes)
    }

    def step(ids: torch.Tensor) -> torch.Tensor:
        for _ in ids.split(job.micro_rows):
            for shape in shapes:
                left, right, out = operands[shape]
                torch.matmul(left, right, out=out)
        return operands[shapes[-1]][2].flatten()[0]

    return Subject(0, step, ())


if __name__ == "__main__":
    serve(build)
