"""What a model costs before it is built: parameters exactly, FLOPs by a stated rule, memory by estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lilliput.model.attention import Attention
from lilliput.model.config import ModelConfig
from lilliput.model.cross_entropy import chunk_rows
from lilliput.model.parts import MLPS, NORMS, POSITIONS


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters by part. `head` is 0 where the embeddings are tied: they are counted once, as embedding."""

    embedding: int
    positions: int
    attention: int
    mlp: int
    norms: int
    head: int

    @property
    def non_embedding(self) -> int:
        """Attention, MLP and norms: what every token passes through."""
        return self.attention + self.mlp + self.norms

    @property
    def total(self) -> int:
        """All parameters of the built model."""
        return self.embedding + self.positions + self.non_embedding + self.head


def parameters(config: ModelConfig) -> Counts:
    """The exact number of parameters of `Model(config)`, without building it."""
    table = config.vocab_size * config.d_model
    return Counts(
        embedding=table,
        positions=POSITIONS[config.position].parameters_of(config),
        attention=config.n_layers * Attention.parameters_of(config),
        mlp=config.n_layers * MLPS[config.mlp].parameters_of(config),
        norms=(2 * config.n_layers + 1) * NORMS[config.norm].parameters_of(config.d_model),
        head=0 if config.tied_embeddings else table,
    )


@dataclass(frozen=True, slots=True)
class Flops:
    """Forward FLOPs of one token, by part; a multiply and an add are 2."""

    blocks: int
    attention: int
    head: int

    rule = (
        "forward, a token: 2 x non-embedding parameters + 4 x layers x heads x head width x context seen + "
        "2 x vocabulary x width; training is 3 times that (forward and twice for backward)"
    )

    @property
    def forward(self) -> int:
        """One token forward."""
        return self.blocks + self.attention + self.head

    @property
    def training(self) -> int:
        """One token forward and backward."""
        return 3 * self.forward


def flops_per_token(config: ModelConfig, context: int | None = None) -> Flops:
    """FLOPs of one token among `context` (default: the whole context length).

    6 x non-embedding + 12 x layers x width x context + 6 x head for training: the rule of PaLM (arXiv:2204.02311,
    appendix B). Each token is counted against the whole context (or window), although a causal kernel may skip half.
    """
    seen = context or config.context_length
    seen = min(seen, config.window or seen)
    return Flops(
        blocks=2 * parameters(config).non_embedding,
        attention=4 * config.n_layers * config.n_heads * config.d_head * seen,
        head=2 * config.vocab_size * config.d_model,
    )


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes by part. Activations and logits are estimates, the rest exact."""

    training: dict[str, int]
    inference: dict[str, int]


def memory(
    config: ModelConfig,
    rows: int = 32,
    context: int | None = None,
    optimizer: Literal["adamw", "muon"] = "adamw",
    width_bytes: int = 4,
) -> Memory:
    """Memory to train on, and to generate, `rows` rows of `context` tokens (default: the context length).

    Weights, gradients and optimizer states are fp32: two states a parameter for AdamW; for Muon one for the matrices
    of the blocks. `width_bytes` is the size of an activation (2 under bf16 autocast). Activations are what PyTorch's
    operators keep; the C++ of a CPU (kernels/) keeps up to a third less.
    """
    context = context or config.context_length
    counts, tokens, heads = parameters(config), rows * context, config.n_heads * config.d_head
    shared = config.n_kv_heads * config.d_head
    matrices = config.n_layers * (
        config.d_model * (2 * heads + 2 * shared) + MLPS[config.mlp].projections * config.d_model * config.d_mlp
    )
    states = 2 * counts.total - (matrices if optimizer == "muon" else 0)
    # A block keeps its input, the middle, both normed (4 d_model); q, k, v; q and k turned; the attention's output.
    turned = heads + shared if config.position == "rotary" else 0
    kept = 4 * config.d_model + 2 * heads + 2 * shared + turned + MLPS[config.mlp].kept * config.d_mlp
    chunk = min(tokens, chunk_rows(tokens, config.vocab_size, "cpu")) * config.vocab_size * 4
    return Memory(
        training={
            "weights": 4 * counts.total,
            "gradients": 4 * counts.total,
            "optimizer": 4 * states,
            "activations": tokens * width_bytes * (config.n_layers * kept + 3 * config.d_model),
            "logits": 2 * chunk + 4 * config.vocab_size * config.d_model,
        },
        inference={
            "weights": 4 * counts.total,
            "cache": tokens * config.n_layers * 2 * shared * width_bytes,
            "logits": rows * config.vocab_size * 4,
        },
    )
