"""resized: a model's weights in a model of another vocabulary, context length or dropout."""

from __future__ import annotations

import torch

from lilliput.base.errors import ModelError
from lilliput.base.seeds import derive
from lilliput.model.config import ModelConfig
from lilliput.model.parts import POSITIONS
from lilliput.model.transformer import Model

ADAPTABLE = ("vocab_size", "context_length", "dropout")
"""The fields that may differ between a model and its resized copy."""
NOISE = 0.01
"""Standard deviation of a new row around the mean of the old rows, as a share of theirs."""


def resized(model: Model, config: ModelConfig, seed: int) -> Model:
    """Return a model of `config` with the weights of `model`, in the memory of its own.

    Old rows of the embedding and of the head stay as they are. A new row is the mean of the old rows plus small noise,
    so that a new token is at first neither likely nor unlikely (Hewitt 2021, "Initializing New Word Embeddings for
    Pretrained Language Models"). The noise is a function of `seed` and the parameter's name. Raises ModelError for a
    config that differs in a field outside ADAPTABLE, for a smaller vocabulary, and for another context length where
    positions are learned."""
    old = model.config
    odd = [name for name in ModelConfig.model_fields if getattr(old, name) != getattr(config, name)]
    if unfit := [name for name in odd if name not in ADAPTABLE]:
        named = ", ".join(f"{name} {getattr(old, name)} is not {getattr(config, name)}" for name in unfit)
        raise ModelError(f"these weights are not for a model of this shape: {named}")
    if config.vocab_size < old.vocab_size:
        raise ModelError(f"a vocabulary of {old.vocab_size:,} rows cannot shrink to {config.vocab_size:,}")
    if "context_length" in odd and not POSITIONS[old.position].relative:
        raise ModelError(
            f"the model learned {old.context_length} positions, so its context_length cannot be {config.context_length}"
        )
    made, state = Model(config, seed=None), dict(model.state_dict())
    for name in ("embed.weight", "unembed.weight"):
        if name in state:
            state[name] = grown(state[name], config.vocab_size, derive(seed, "resize", name))
    if "unembed_bias" in state:  # a row of one number for each token
        state["unembed_bias"] = grown(state["unembed_bias"][:, None], config.vocab_size, derive(seed, "resize"))[:, 0]
    made.load_state_dict(state)
    made.recompute = model.recompute
    return made.to(model.embed.weight.device).train(model.training)


def grown(rows: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Return `rows` (old, width) with further rows at the end, (count, width)."""
    if count == len(rows):
        return rows
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count - len(rows), rows.shape[1], generator=generator).to(rows)
    spread = rows.std(0) if len(rows) > 1 else torch.zeros_like(rows[0])
    return torch.cat([rows, rows.mean(0) + NOISE * spread * noise])
