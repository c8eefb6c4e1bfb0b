"""GRPO: learn from the rewards of a group of completions, each compared with its group (Shao et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.policy import Policy, PolicyConfig
from lilliput.objectives.scoring import with_entropies
from lilliput.objectives.workshop import Workshop

ROUNDING = 1e-4
"""Added to a standard deviation before division by it, as in TRL."""


@OBJECTIVES.add("grpo")
class Grpo(PolicyConfig):
    """Group-relative policy optimisation. Names and defaults are those of TRL 1.16's GRPOConfig.

    `loss_type` decides by what the sum of the tokens' losses is divided: grpo, each completion's own length (Shao et
    al. 2024); dr_grpo, the greatest length (Liu et al. 2025); dapo, the tokens of all completions (Yu et al. 2025).
    """

    kind: Literal["grpo"] = "grpo"
    num_generations: int = Field(default=8, ge=2, description="completions of each prompt, compared with one another")
    loss_type: Literal["grpo", "dr_grpo", "dapo"] = Field(default="dapo", description="how tokens are averaged")
    scale_rewards: Literal["group", "batch", "none"] = Field(
        default="group", description="whose standard deviation the rewards are divided by"
    )
    epsilon: float = Field(default=0.2, gt=0, lt=1, description="how far below 1 a ratio of probabilities is clipped")
    epsilon_high: float | None = Field(default=None, gt=0, description="how far above 1; null: epsilon")
    importance_sampling_level: Literal["token", "sequence"] = Field(
        default="token", description="ratios of tokens, or one of each completion (GSPO, Zheng et al. 2025)"
    )
    use_bias_correction_kl: bool = Field(
        default=True,
        description="weight the KL term by the ratio of probabilities; then its gradient is unbiased (DeepSeek-V3.2)",
    )
    num_iterations: int = Field(default=1, ge=1, description="times that each batch of rollouts is learned from")
    minibatches: int = Field(default=1, ge=1, description="optimiser's steps in one pass over the rollouts")
    mask_truncated_completions: bool = Field(
        default=False, description="leave completions out of the loss that were cut at the greatest length"
    )

    def build(self, workshop: Workshop) -> Objective:
        if self.importance_sampling_level == "sequence" and self.loss_type != "grpo":
            raise ConfigError(
                f"objective.importance_sampling_level=sequence goes with loss_type=grpo, and it is {self.loss_type}",
                "give objective.loss_type=grpo",
            )
        return GroupRelative(self, workshop)


class GroupRelative(Policy):
    config: Grpo  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def _several(self) -> bool:
        """Whether the weights move between the rollouts and a step on them."""
        return self.config.num_iterations * self.config.minibatches > 1

    def prepare(self, batch: Batch) -> Batch:
        """Rollouts, with advantages (R,) and where they are needed old and reference log-probabilities (R, T)."""
        rows, rollouts = self.rolled_out(batch)
        rewards = self.rewarded(rows.columns or [], rollouts).view(-1, self.config.num_generations)
        spread = rewards.std() if self.config.scale_rewards == "batch" else rewards.std(-1, keepdim=True)
        self.notice_ties(spread.expand(len(rewards), 1)[:, 0] < 1e-8)
        advantages = rewards - rewards.mean(-1, keepdim=True)
        if self.config.scale_rewards != "none":
            advantages = advantages / (spread + ROUNDING)
        fields = {"advantages": advantages.flatten().to(rows.tokens.device)}
        if self.config.mask_truncated_completions:
            ended = torch.tensor([rollout.ended for rollout in rollouts], device=rows.tokens.device)
            fields["weights"] = rows.weights * ended[:, None]
        rows = rows.including(fields)
        if self._several:
            rows = rows.including({"old": self._old(rows)})
            order = torch.randperm(len(rows))
            rows = rows.take(order)
        reference = self.reference_log_probabilities(rows)
        return rows if reference is None else rows.including({"reference": reference})

    def _old(self, rows: Batch) -> torch.Tensor:
        """The log-probabilities of the rollouts before the first step on them. The engine gives them at temperature 1.
        In a lower precision its numbers are not those of a training pass, and the ratios would not begin at 1. A
        training pass computes them there, so that a ratio is that of two training passes. The rollouts were drawn from
        a slightly different distribution, and no weight corrects that (see Policy.rolled_out)."""
        if self.config.temperature == 1 and not torch.is_autocast_enabled(rows.tokens.device.type):
            return rows.sampled
        return with_entropies(self.model, rows, self.config.temperature)[0]

    def minibatches(self, batch: Batch) -> Iterator[Batch]:
        size = -(-len(batch) // self.config.minibatches)
        for _ in range(self.config.num_iterations):
            for part in batch.split(size):
                tokens = part.weights.sum().clamp(min=1.0)
                whole = batch.weights.sum() * (len(part) / len(batch))
                divisor = {
                    "grpo": torch.tensor(float(len(part))),
                    "dr_grpo": torch.tensor(float(len(part) * self.config.max_completion_length)),
                    "dapo": whole.clamp(min=1.0),
                }[self.config.loss_type].to(tokens.device)
                # Beside each row, so that a part of the minibatch knows its share of the whole.
                rows = torch.ones(len(part), device=tokens.device)
                yield part.including({"divisor": rows * divisor / len(part), "to_mean": rows * divisor / tokens})

    def weight(self, batch: Batch) -> float:
        return float(batch.divisor.sum())

    def loss(self, batch: Batch) -> Loss:
        config, mask = self.config, batch.weights
        found, entropies, _ = with_entropies(self.view, batch, config.temperature)
        old = batch.get("old")
        change = found - (found.detach() if old is None else old)
        lengths = mask.sum(-1, keepdim=True).clamp(min=1.0)
        if config.importance_sampling_level == "sequence":
            change = ((change * mask).sum(-1, keepdim=True) / lengths).expand_as(mask)
        ratio, advantages = change.exp(), batch.advantages[:, None]
        low, high = 1 - config.epsilon, 1 + (config.epsilon if config.epsilon_high is None else config.epsilon_high)
        losses = -torch.minimum(ratio * advantages, ratio.clamp(low, high) * advantages)
        clipped = ((ratio < low) & (advantages < 0)) | ((ratio > high) & (advantages > 0))
        metrics = {"entropy": (entropies * mask).sum(), "clip_ratio/region_mean": (clipped * mask).sum()}
        reference = batch.get("reference")
        if reference is not None:
            away = reference - found
            divergence = away.exp() - away - 1  # never negative, and the KL divergence on average (Schulman 2020)
            if config.use_bias_correction_kl:
                divergence = divergence * ratio
            losses = losses + config.beta * divergence
            metrics["kl"] = (divergence.detach() * mask).sum()
        weighted = losses * mask / (lengths if config.loss_type == "grpo" else 1)
        scale = batch.to_mean[0]
        return Loss(
            weighted.sum() + self.added(batch), {name: value.detach() * scale for name, value in metrics.items()}
        )
