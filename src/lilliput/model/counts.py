"""Costs of a model before it is built: exact parameters, FLOPs by a stated rule, and estimated memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal, cast

from torch import nn

from lilliput.model.block import norm_count
from lilliput.model.config import ModelConfig
from lilliput.model.cross_attention import CrossAttention
from lilliput.model.cross_entropy import chunk_rows
from lilliput.model.output import PredictionHead
from lilliput.model.parts import ATTENTIONS, MLPS, NORMS, POSITIONS, AttentionPart, Linear, Part

if TYPE_CHECKING:
    from lilliput.model.block import Block
    from lilliput.model.stack import Stack
    from lilliput.model.transformer import Model


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters by part. `head` is 0 where the embeddings are tied: they are counted once, as embedding. `idle` are
    the parameters of attention and MLP that one token does not pass through, which are the experts that its router does
    not choose."""

    embedding: int
    positions: int
    attention: int
    mlp: int
    norms: int
    head: int
    idle: int = 0

    @property
    def non_embedding(self) -> int:
        """Attention, MLP and norms."""
        return self.attention + self.mlp + self.norms

    @property
    def total(self) -> int:
        """All parameters of the built model."""
        return self.embedding + self.positions + self.non_embedding + self.head

    @property
    def active(self) -> int:
        """The parameters that act on one token; all of them where no part has experts."""
        return self.total - self.idle


def parameters(config: ModelConfig) -> Counts:
    """The exact number of parameters of `Model(config)`, without building it."""
    table, stacks = config.vocab_size * config.d_model, _stacks(config)
    mlp = MLPS[config.mlp]
    transform = PredictionHead.parameters_of(config) if config.head == "transform" else 0
    return Counts(
        embedding=table + config.token_types * config.d_model,
        positions=sum(POSITIONS[each.position].parameters_of(each) for each in stacks),
        attention=sum(attention.parameters_of(config) for each in stacks for attention in _attentions(each)),
        mlp=sum(each.n_layers for each in stacks) * mlp.parameters_of(config),
        norms=sum(_norms(each) for each in stacks),
        head=(0 if config.tied_embeddings else table) + config.vocab_size * config.unembed_bias + transform,
        idle=sum(part.parameters_of(config) - part.active_of(config) for each in stacks for part in _parts(each)),
    )


def _stacks(config: ModelConfig) -> list[ModelConfig]:
    """Return the config of each stack of blocks: the model's own, and its encoder's where it has one."""
    return [config, config.encoder] if config.encoder_layers else [config]


def _attentions(config: ModelConfig) -> list[type[AttentionPart]]:
    """Return the kinds of attention in a stack, layer by layer, and a decoder's attention to its encoder."""
    own: list[type[AttentionPart]] = [ATTENTIONS[kind] for kind in config.attentions]
    return own + [CrossAttention] * (config.n_layers if config.encoder_layers else 0)


def _parts(config: ModelConfig) -> list[type[Part]]:
    return [*_attentions(config), *[MLPS[config.mlp]] * config.n_layers]


def _norms(config: ModelConfig) -> int:
    return norm_count(config) * NORMS[config.norm].parameters_of(config.d_model)


@dataclass(frozen=True, slots=True)
class Flops:
    """Forward FLOPs of one token, by part; a multiply and an add are 2."""

    blocks: int
    attention: int
    head: int

    rule = (
        "forward, a token: 2 x non-embedding parameters that act + 4 x layers x heads x head width x context seen + "
        "2 x vocabulary x width; training is 3 times that (forward and twice for backward); a layer of gated_delta "
        "counts heads x (6 x head width^2 + 8 x chunk x head width) in place of the context seen; with an encoder, "
        "half of the tokens pass it, and half pass the decoder"
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
    found = [_stack_flops(each, context or config.context_length) for each in _stacks(config)]
    blocks, attention = (sum(part) // len(found) for part in zip(*found, strict=True))
    return Flops(blocks, attention, _head_flops(config) // len(found))


def _stack_flops(config: ModelConfig, context: int) -> tuple[int, int]:
    """Return the forward FLOPs of one token in a stack: of the weights, and of the products of attention."""
    mlp = MLPS[config.mlp]
    seen = [min(context, window or context) for window in config.windows]
    crossed = [context] * (len(_attentions(config)) - len(seen))
    attentions = list(zip(_attentions(config), seen + crossed, strict=True))
    matrices = sum(2 * attention.active_of(config) for attention, _ in attentions)
    blocks = 2 * _norms(config) + matrices + sum(mlp.flops_of(config, each) for each in seen)
    return blocks, sum(attention.flops_of(config, each) for attention, each in attentions) - matrices


def _head_flops(config: ModelConfig) -> int:
    transform = PredictionHead.parameters_of(config) if config.head == "transform" else 0
    return 2 * (config.vocab_size * config.d_model + transform)


def training_flops(model: Model, context: int | None = None) -> int:
    """FLOPs of one token among `context` forward and backward, for the weights of `model` that are trained.

    A matrix of N numbers costs 2N forward, 2N for the gradient of its input where anything below it is trained, and 2N
    for its own gradient where it is trained itself. The products of attention cost twice their forward pass where their
    input has a gradient. A model that is trained whole costs `flops_per_token(...).training`. Adapters (LoRA) add
    the products of their own matrices.
    """
    config, context = model.config, context or model.config.context_length
    embedded = any(_trains(one) for one in (model.embed, model.embed_types) if one is not None)
    total, flows = _stack_training_flops(model, context, embedded)
    stacks = 1
    if model.encoder is not None:
        encoded, trained = _stack_training_flops(model.encoder, context, embedded)
        total, flows, stacks = total + encoded, flows or trained, 2
    if model.head is not None:
        total += _vectors(model.head, flows)
        flows = flows or _trains(model.head)
    head = 2 * config.vocab_size * config.d_model
    return (total + head * (1 + flows + model.output_matrix.requires_grad)) // stacks


def _stack_training_flops(model: Stack, context: int, embedded: bool) -> tuple[int, bool]:
    """Return the FLOPs of one token in a stack forward and backward, and whether something of it, or below it, is
    trained. `embedded`: whether the embeddings are."""
    # `flows`: whether something below is trained, so that the gradient has to get there.
    config, below = model.config, embedded or _trains(model.position)
    total = 0 if model.ln_embed is None else _vectors(model.ln_embed, below)
    flows = below or (model.ln_embed is not None and _trains(model.ln_embed))
    for block, window in zip(cast("list[Block]", [*model.blocks]), model.windows, strict=True):
        entering = flows
        for before, part, after in block.halves():
            source = entering if config.residual.startswith("parallel") else flows
            total += sum(_vectors(norm, source) for norm in before)
            reached = source or any(map(_trains, before))
            total += _part_flops(part, config, min(context, window or context), reached)
            flows = flows or any(map(_trains, before)) or _trains(part)
            for norm in after:
                total += _vectors(norm, flows)
                flows = flows or _trains(norm)
    if model.ln_final is not None:
        total += _vectors(model.ln_final, flows)
        flows = flows or _trains(model.ln_final)
    return total, flows


def _trains(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _vectors(module: nn.Module, flows: bool) -> int:
    """FLOPs of a norm or of a prediction head, each of whose numbers acts once on a token."""
    return sum(2 * one.numel() * (1 + flows + one.requires_grad) for one in module.parameters())


def _part_flops(part: Part, config: ModelConfig, seen: int, flows: bool) -> int:
    """FLOPs of attention or MLP forward and backward, where its input has a gradient if `flows`. Its last matrix reads
    the results of the other matrices, which read the input."""
    active, forward = part.active_of(config), part.flops_of(config, seen)
    linears = [module for module in part.modules() if isinstance(module, Linear)]
    inside = flows or any(_trains(linear) for linear in linears[:-1])
    found = forward + 2 * (forward - 2 * active) * inside
    for linear in linears:
        reached = inside if linear is linears[-1] else flows
        found += 2 * linear.weight.numel() * (reached + linear.weight.requires_grad)
        found += linear.added_flops(reached)
    # Biases, norms inside the part, and experts: all that is no matrix of a Linear. A token passes `rest` of them.
    known = {id(one) for linear in linears for one in linear.parameters()}
    others = [one for one in part.parameters() if id(one) not in known]
    others += [linear.bias for linear in linears if linear.bias is not None]
    rest = active - sum(linear.weight.numel() for linear in linears)
    trained = sum(one.numel() for one in others if one.requires_grad) / max(1, sum(one.numel() for one in others))
    return found + round(2 * rest * (inside + trained))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes by part. Activations and logits are estimates; all other numbers are exact."""

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

    Weights, gradients and optimizer states are fp32. AdamW has two states for each parameter. Muon has one state for
    each parameter of the blocks' matrices. `width_bytes` is the size of an activation (2 under bf16 autocast). The
    activations are counted as PyTorch's operators keep them. The C++ kernels on a CPU (kernels/) keep up to a third
    less.
    """
    context = context or config.context_length
    counts, tokens, stacks = parameters(config), rows * context, _stacks(config)
    attentions = _attentions(config)
    parts = [part for each in stacks for part in _parts(each)]
    layers = sum(each.n_layers for each in stacks)
    matrices = sum(part.matrices_of(config) for part in parts)
    states = 2 * counts.total - (matrices if optimizer == "muon" else 0)
    # Besides the activations of its parts, a block keeps its input, the stream between attention and MLP, and both
    # after their norms.
    kept = 4 * layers * config.d_model + sum(part.kept_of(config) for part in parts)
    chunk = min(tokens, chunk_rows(tokens, config.vocab_size, "cpu")) * config.vocab_size * 4
    return Memory(
        training={
            "weights": 4 * counts.total,
            "gradients": 4 * counts.total,
            "optimizer": 4 * states,
            "activations": tokens * width_bytes * (kept + 3 * config.d_model),
            "logits": 2 * chunk + 4 * config.vocab_size * config.d_model,
        },
        inference={
            "weights": 4 * counts.total,
            # An encoder reads all positions at once.
            "cache": tokens * sum(part.cached_of(config) for part in attentions) * width_bytes * config.causal
            + rows * sum(prod(shape) for part in attentions for shape in part.state_of(config)) * 4,
            "logits": rows * config.vocab_size * 4,
        },
    )
