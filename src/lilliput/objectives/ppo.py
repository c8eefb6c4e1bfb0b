"""PPO: learn from rewards with a value for every token, near a reference (Schulman et al. 2017; Ouyang et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from lilliput.model.heads import Head
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.policy import Policy, PolicyConfig
from lilliput.objectives.scoring import with_entropies
from lilliput.objectives.workshop import Workshop


@OBJECTIVES.add("ppo")
class Ppo(PolicyConfig):
    """Proximal policy optimisation. The reward of a token is minus `beta` times its log-ratio to the reference; that
    of the last token has the reward of the completion as well. A value head on the model predicts the
    rewards that are still to come."""

    kind: Literal["ppo"] = "ppo"
    num_generations: int = Field(default=1, ge=1, description="completions of each prompt")
    beta: float = Field(default=0.05, ge=0, description="weight of each token's log-ratio to the reference")
    gamma: float = Field(default=1.0, gt=0, le=1, description="discount of the reward of each later token")
    lam: float = Field(default=0.95, ge=0, le=1, description="the lambda of generalised advantage estimation")
    whiten_rewards: bool = Field(default=False, description="divide the tokens' rewards by their standard deviation")
    cliprange: float = Field(default=0.2, gt=0, lt=1, description="how far a ratio of probabilities may leave 1")
    cliprange_value: float = Field(default=0.2, gt=0, description="how far a value may leave the value before")
    vf_coef: float = Field(default=0.1, ge=0, description="weight of the loss of the values")
    num_ppo_epochs: int = Field(default=4, ge=1, description="times that each batch of rollouts is learned from")
    num_mini_batches: int = Field(default=1, ge=1, description="optimiser's steps in one pass over the rollouts")

    def build(self, workshop: Workshop) -> Objective:
        return Proximal(self, workshop)


class Proximal(Policy):
    config: Ppo  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, config: Ppo, workshop: Workshop):
        super().__init__(config, workshop)
        self.head = Head(workshop.model.config, 1, seed=workshop.seed).to(workshop.device)

    def modules(self) -> dict[str, nn.Module]:
        return {"value": self.head}

    def prepare(self, batch: Batch) -> Batch:
        """Rollouts with `old` log-probabilities, `values`, `advantages` and `returns`, each (R, T). `old` comes from a
        training pass in every precision. In bf16 the rollouts were drawn from a slightly different distribution (see
        Policy.rolled_out)."""
        rows, rollouts = self.rolled_out(batch)
        rewards = self.rewarded(rows.columns or [], rollouts).to(rows.tokens.device)
        mask = rows.weights
        old, _, hidden = with_entropies(self.model, rows, self.config.temperature)
        values = self.head.values(hidden)[..., 0] * mask
        reference = self.reference_log_probabilities(rows)
        away = torch.zeros_like(old) if reference is None else (old - reference) * mask
        tokens = -self.config.beta * away
        last = mask.cumsum(-1).argmax(-1)
        tokens[torch.arange(len(rows)), last] += rewards
        if self.config.whiten_rewards:
            tokens = whitened(tokens, mask, centred=False)
        advantages = advantages_of(tokens, values, mask, self.config.gamma, self.config.lam)
        returns = (advantages + values) * mask
        self.observed |= {
            "objective/kl": float(away.sum(-1).mean()),
            "objective/non_score_reward": float((-self.config.beta * away).sum(-1).mean()),
        }
        self.notice_ties((rewards == rewards[0]).all()[None])  # values compare the completions of all prompts
        fields = {"old": old, "values": values, "advantages": whitened(advantages, mask), "returns": returns}
        return rows.including(fields).take(torch.randperm(len(rows)))

    def minibatches(self, batch: Batch) -> Iterator[Batch]:
        size = -(-len(batch) // self.config.num_mini_batches)
        for _ in range(self.config.num_ppo_epochs):
            yield from batch.split(size)

    def loss(self, batch: Batch) -> Loss:
        config, mask = self.config, batch.weights
        found, entropies, hidden = with_entropies(self.view, batch, config.temperature)
        change = (found - batch.old) * mask
        ratio = change.exp()
        inside = ratio.clamp(1 - config.cliprange, 1 + config.cliprange)
        policy = torch.maximum(-batch.advantages * ratio, -batch.advantages * inside)
        values = self.head.values(hidden)[..., 0]
        near = batch.values + (values - batch.values).clamp(-config.cliprange_value, config.cliprange_value)
        errors = torch.maximum((values - batch.returns) ** 2, (near - batch.returns) ** 2) / 2
        total = ((policy + config.vf_coef * errors) * mask).sum() + self.added(batch)
        metrics = {
            "loss/policy_avg": (policy * mask).sum(),
            "loss/value_avg": (errors * mask).sum(),
            "policy/entropy_avg": (entropies * mask).sum(),
            "policy/clipfrac_avg": ((ratio != inside) * mask).sum(),
            "policy/approxkl_avg": (change**2 * mask).sum() / 2,
        }
        return Loss(total, {name: value.detach() for name, value in metrics.items()})


def advantages_of(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float, lam: float
) -> torch.Tensor:
    """Generalised advantage estimation (Schulman et al. 2016, arXiv:1506.02438, equation 16), (R, T): the sum over l of
    (gamma lam)^l times r + gamma V(next) - V(here) at the l-th later token. `mask` (R, T) is 1 on each row's generated
    tokens, which are neighbours; behind the last one nothing is to come."""
    advantages = torch.zeros_like(rewards)
    ahead = torch.zeros_like(rewards[:, 0])
    following = torch.zeros_like(ahead)
    for place in reversed(range(rewards.shape[1])):
        here = mask[:, place]
        error = rewards[:, place] + gamma * following - values[:, place]
        ahead = (error + gamma * lam * ahead) * here
        following = values[:, place] * here
        advantages[:, place] = ahead
    return advantages


def whitened(values: torch.Tensor, mask: torch.Tensor, centred: bool = True) -> torch.Tensor:
    """Values (R, T) less their mean where the mask is 1 (unless not `centred`), by their standard deviation there; 0
    elsewhere."""
    count = mask.sum().clamp(min=1.0)
    mean = (values * mask).sum() / count
    variance = ((values - mean) ** 2 * mask).sum() / count
    shifted = values - mean if centred else values
    return shifted * (variance + 1e-8).rsqrt() * mask
