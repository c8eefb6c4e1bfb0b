"""From logits to the next token: repetition penalty, temperature, top-k, top-p, min-p, and the draw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field

from lilliput.base import seeds
from lilliput.base.config import Config


class SamplingConfig(Config):
    """The settings by which tokens are drawn. Values out of range raise ConfigError through `base.config.validate`."""

    temperature: float = Field(
        default=0.8,
        ge=0,
        le=2,
        allow_inf_nan=False,
        description="divides the logits; 0 always takes the likeliest token (greedy)",
    )
    top_k: int = Field(default=0, ge=0, description="keep the k likeliest tokens; 0 keeps all")
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="keep the fewest likeliest tokens that together have this probability; 1 keeps all",
    )
    min_p: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="keep tokens at least this many times as likely as the likeliest; 0 keeps all",
    )
    repetition_penalty: float = Field(
        default=1.0, gt=0, le=10, description="above 1, tokens that the text already holds become less likely"
    )
    seed: int = Field(default=0, ge=0, description="the same seed draws the same tokens")
    max_tokens: int = Field(default=512, ge=1, le=2**24, description="at most this many new tokens")
    n: int = Field(default=1, ge=1, le=2**20, description="samples of each prompt")

    def generators(self) -> list[np.random.Generator]:
        """One random stream a sample; stream k depends on (seed, k) only, so sample k never depends on n."""
        return [seeds.generator(self.seed, "sample", k) for k in range(self.n)]


def distribution(logits: torch.Tensor, config: SamplingConfig, seen: torch.Tensor | None = None) -> torch.Tensor:
    """Return the probabilities (B, V) float32 from which the next token is drawn, from logits (B, V); a pure function.

    The filters act in the order of Hugging Face's `generate`, each on the tokens that the filter before it kept:

    1. `repetition_penalty` on the ids in `seen`, (B, V) bool, or None for no ids (Keskar et al. 2019, CTRL,
       section 4.1; a negative logit is multiplied, not divided, so that it too becomes less likely);
    2. `temperature`, where 0 puts all probability on the likeliest token;
    3. `top_k` (Fan et al. 2018); tokens that tie with the k-th stay;
    4. `top_p` (Holtzman et al. 2020, nucleus sampling) of the kept tokens, renormalised;
    5. `min_p` (Nguyen et al. 2024) relative to the likeliest token.
    """
    logits = penalised(logits.float(), config.repetition_penalty, seen)
    if config.temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    if config.temperature != 1:
        # The difference to the likeliest token is divided, so that even a very small temperature gives no infinity for
        # that token.
        logits = (logits - logits.amax(-1, keepdim=True)) / max(config.temperature, 1e-6)
    if 0 < config.top_k < logits.shape[-1]:
        least = logits.topk(config.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    probs = logits.softmax(-1)
    if config.top_p == 1 and config.min_p == 0:
        return probs
    if config.top_p < 1:
        probs = _nucleus(probs, config.top_p)
    if config.min_p > 0:
        probs = probs.masked_fill(probs < config.min_p * probs.amax(-1, keepdim=True), 0.0)
    return probs / probs.sum(-1, keepdim=True)


def penalised(logits: torch.Tensor, penalty: float, seen: torch.Tensor | None) -> torch.Tensor:
    """Return logits (B, V). Logits of ids in `seen` (B, V) bool are divided by `penalty`, or multiplied if negative."""
    if penalty == 1 or seen is None:
        return logits
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def _nucleus(probs: torch.Tensor, top_p: float) -> torch.Tensor:
    """`probs` (B, V) with 0 for every token before which likelier ones already hold `top_p`."""
    # Tokens below (1 - top_p) / V hold less than 1 - top_p together, so the nucleus lies among the others:
    # sorting those alone takes a tenth of the time of sorting a vocabulary of 32,000.
    candidates = int((probs >= (1 - top_p) / probs.shape[-1]).sum(-1).max())
    likeliest, ids = probs.topk(max(1, candidates))
    before = likeliest.cumsum(-1) - likeliest
    before[:, 0] = 0  # the likeliest always stays
    return torch.zeros_like(probs).scatter_(-1, ids, likeliest.masked_fill(before >= top_p, 0.0))


def draw(probs: torch.Tensor, generators: Sequence[np.random.Generator]) -> torch.Tensor:
    """One id per row, (B,) int64, from probabilities (B, V): row b takes one uniform number of generators[b]
    and inverts the cumulative distribution, so that a row's draw does not depend on its neighbours."""
    precise = torch.float32 if probs.device.type == "mps" else torch.float64
    cumulative = probs.cumsum(-1, dtype=precise)
    uniform = torch.tensor([[g.random()] for g in generators], dtype=precise, device=probs.device)
    ids = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    return ids.squeeze(-1).clamp_(max=probs.shape[-1] - 1)


def sample(
    logits: torch.Tensor,
    config: SamplingConfig,
    generators: Sequence[np.random.Generator],
    seen: torch.Tensor | None = None,
) -> torch.Tensor:
    """The next id of each row, (B,) int64, from logits (B, V). Greedy draws nothing from the generators."""
    if config.temperature == 0:
        return penalised(logits.float(), config.repetition_penalty, seen).argmax(-1)
    return draw(distribution(logits, config, seen), generators)
