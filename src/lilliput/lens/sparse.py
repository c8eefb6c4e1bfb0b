"""Sparse coders: TopK autoencoders and transcoders of a hook point, their figures, and their folders.

An activation is written as a sum of k of many directions (features). Autoencoder: Gao et al. 2024 (arXiv:2406.04093).
Transcoder, which computes an MLP's output from its input: Dunefsky et al. 2024 (arXiv:2406.11944).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from pydantic import Field, model_validator

from lilliput.base.config import Config
from lilliput.base.errors import ModelError
from lilliput.decoding.inference import inference
from lilliput.lens.capture import capture
from lilliput.lens.names import hook_names
from lilliput.lens.sparse_kernels import largest, sum_of_rows
from lilliput.model.transformer import Model

CHUNK = 512
"""Activations that are encoded at once: their scores over all features then stay near the processor."""


class SparseConfig(Config):
    """How a sparse coder is trained."""

    width: int = Field(default=1024, ge=2, description="number of features")
    k: int = Field(default=16, ge=1, description="features that an activation is written with")
    steps: int = Field(default=300, ge=1, description="updates of the weights")
    batch: int = Field(default=1024, ge=1, description="activations of one update")
    learning_rate: float = Field(default=1e-2, gt=0, description="Adam's step; it falls to 0 in the last fifth")
    aux_k: int | None = Field(
        default=None, ge=0, description="dead features that learn from the remaining error; 0: none; null: half of d"
    )
    aux_weight: float = Field(default=1 / 32, ge=0, description="weight of the loss of dead features")
    dead_steps: int = Field(default=50, ge=1, description="a feature that fired in none of so many updates is dead")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="numbers that decide which features fire in training; auto: bf16 where the processor has it",
    )
    seed: int = Field(default=0, description="decides the first weights and the order of activations")

    @model_validator(mode="after")
    def _k_is_within_width(self) -> SparseConfig:
        if self.k > self.width:
            raise ValueError(f"k={self.k} features cannot be chosen from width={self.width}")
        return self


class Features(NamedTuple):
    """The features that fire: `places` (..., k) int64 are their numbers, `values` (..., k) their activations. A feature
    with a value of 0 does not fire."""

    places: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True)
class SparseCoder:
    """The weights of an autoencoder or a transcoder.

    reads, writes    hook points: the activation that is encoded, and the activation that is reconstructed. They are
                     equal in an autoencoder.
    encoder          (width, d) rows; a feature's score is its row times the activation, plus encoder_bias (width,)
    decoder          (width, d) unit rows: a feature's direction in the activation that is reconstructed
    decoder_bias     (d,) is added to each reconstruction; an autoencoder subtracts it from its input first
    """

    reads: str
    writes: str
    encoder: torch.Tensor
    encoder_bias: torch.Tensor
    decoder: torch.Tensor
    decoder_bias: torch.Tensor
    k: int

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.encoder)

    @property
    def transcodes(self) -> bool:
        """Whether this is a transcoder."""
        return self.reads != self.writes

    def encode(self, activations: torch.Tensor) -> Features:
        """activations (..., d) -> the features (..., k) that fire. Raises ModelError for another width."""
        if activations.shape[-1] != self.encoder.shape[1]:
            raise ModelError(
                f"the features read activations of width {self.encoder.shape[1]}, and these have the width "
                f"{activations.shape[-1]}",
                "use the model and the hook point that the features were trained on",
            )
        flat = activations.reshape(-1, activations.shape[-1]).float()
        parts = [self._encode(part) for part in flat.split(CHUNK)]
        shape = (*activations.shape[:-1], self.k)
        places, values = (torch.cat(each).reshape(shape) for each in zip(*parts, strict=True))
        return Features(places, values)

    def _encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bias = self.encoder_bias if self.transcodes else self.encoder_bias - self.encoder @ self.decoder_bias
        scores = torch.addmm(bias, x, self.encoder.T)
        places = largest(scores, self.k)
        return places, scores.gather(1, places).relu()

    def decode(self, features: Features) -> torch.Tensor:
        """features (..., k) -> the reconstructed activations (..., d)."""
        places, values = (each.reshape(-1, each.shape[-1]) for each in features)
        summed = sum_of_rows(self.decoder, places, values) + self.decoder_bias
        return summed.reshape(*features.places.shape[:-1], -1)

    def reconstruct(self, activations: torch.Tensor) -> torch.Tensor:
        """activations (..., d) -> reconstructed activations (..., d)."""
        return self.decode(self.encode(activations))

    def direction(self, feature: int) -> torch.Tensor:
        """The (d,) unit direction of a feature. Raises ModelError for a number that no feature has."""
        if not 0 <= feature < self.width:
            raise ModelError(f"there is no feature {feature}", f"the features are 0 to {self.width - 1}")
        return self.decoder[feature]


def dense(features: Features, width: int) -> torch.Tensor:
    """Return the activations of all features, (..., width), from those that fire."""
    empty = torch.zeros(*features.places.shape[:-1], width, device=features.values.device)
    return empty.scatter_(-1, features.places, features.values)


def collect(model: Model, rows: torch.Tensor, hook: str, batch_rows: int = 16) -> torch.Tensor:
    """Return the activations (N * (T - 1), d) of one hook point on token rows (N, T). The first position is left out,
    because it is the same beginning mark in every row. Raises ModelError for a name that is not one hook point."""
    return collect_pair(model, rows, hook, hook, batch_rows)[0]


def collect_pair(
    model: Model, rows: torch.Tensor, reads: str, writes: str, batch_rows: int = 16
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the activations of two hook points in the same passes, as `collect` does."""
    names = [_one(model, name) for name in (reads, writes)]
    with inference(model), capture(model, names, positions=slice(1, None)) as seen:
        for part in rows.split(batch_rows):
            model(part)
    # Joined outside of inference mode, because training needs tensors that autograd may read.
    first, second = (torch.cat([one.flatten(0, 1).flatten(1) for one in seen.each(name)]) for name in names)
    return first.float(), second.float()


def _one(model: Model, name: str) -> str:
    found = hook_names(model, name)
    if len(found) != 1:
        raise ModelError(f"'{name}' names {len(found)} hook points", "give one of them, such as " + found[0])
    return found[0]


def middle(model: Model) -> str:
    """The residual stream after half of the layers, the usual place for a first autoencoder."""
    return f"blocks.{(model.config.n_layers - 1) // 2}.hook_resid_post"
