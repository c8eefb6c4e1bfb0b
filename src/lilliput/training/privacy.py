"""DP-SGD (Abadi et al. 2016, arXiv:1607.00133): the gradient of each example, clipped, and noise on their sum.

An example is a document. The loader draws each document by itself (PoissonLoader), as the accountant assumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from lilliput.base.errors import CheckpointError, ConfigError, TrainingError
from lilliput.base.seeds import derive
from lilliput.objectives.batch import Batch
from lilliput.training.accountant import epsilon, noise_for
from lilliput.training.config import TrainConfig
from lilliput.training.schedule import Budget, step_rows

if TYPE_CHECKING:
    from lilliput.data.loader import Loader
    from lilliput.objectives.objective import Objective

CHUNK = 2**25
"""The most numbers of gradients of single examples in memory at once: 128 MB."""
NOT_COVERED = (
    "the schema and the tokenizer, which were read from the data without noise; the validation split and its figures; "
    "settings that were chosen by earlier runs; the losses in metrics.jsonl; and whoever knows the run's seed, from "
    "which the noise follows"
)
"""The parts of a run that epsilon does not count."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The accounts of a run: each step draws each of `examples` with the probability rows / examples."""

    noise: float
    clip: float
    delta: float
    rows: int
    examples: int

    @property
    def rate(self) -> float:
        """The probability with which an example takes part in a step."""
        return self.rows / self.examples

    def epsilon(self, steps: int) -> float:
        """Return the epsilon that so many steps have spent."""
        return epsilon(self.rate, self.noise, steps, self.delta)

    def summary(self, steps: int) -> dict[str, Any]:
        """Return the accounts of so many steps, for summary.json."""
        return {"epsilon": self.epsilon(steps), **asdict(self), "steps": steps, "not_covered": NOT_COVERED}

    def check(self, kept: Mapping[str, Any] | None) -> None:
        """Raise CheckpointError where a checkpoint's plan differs: its steps cannot be counted by this plan."""
        if kept != asdict(self):
            raise CheckpointError(
                f"the checkpoint was trained with the privacy {kept or 'of an ordinary run'}, and the run now has "
                f"{asdict(self)}",
                "resume the run with its own recipe, or train another one: --name NEW",
            )


def plan(config: TrainConfig, loader: Loader, budget: Budget) -> Plan | None:
    """Return the accounts of a run; None for a run without privacy. Raises ConfigError where no accounts are kept of
    such a run: batches larger than the data, or a delta that is too large for it."""
    privacy = config.privacy
    if privacy is None:
        return None
    rows, examples = step_rows(config, loader.row_tokens), loader.rows_per_epoch
    if rows > examples:
        raise ConfigError(
            f"a step of {rows:,} examples is more than the {examples:,} that there are",
            f"give a smaller batch: train.batch_tokens={max(1, examples // 8) * loader.row_tokens}",
        )
    if privacy.delta * examples >= 1:
        raise ConfigError(
            f"train.privacy.delta={privacy.delta:g} allows that one of {examples:,} examples is published whole",
            f"give less than 1 / examples, such as train.privacy.delta={0.1 / examples:.0e}",
        )
    noise = privacy.noise
    if noise is None:
        assert privacy.epsilon is not None
        assert budget.steps is not None  # TrainConfig refuses a clock
        noise = noise_for(privacy.epsilon, rows / examples, budget.steps, privacy.delta)
    return Plan(noise, privacy.clip, privacy.delta, rows, examples)


class Alone(nn.Module):
    """The loss of one example, as a function of the model's parameters: the mean over its learned tokens."""

    def __init__(self, objective: Objective):
        super().__init__()
        self.model, self.objective = objective.model, objective

    def forward(self, fields: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """fields (T,) each -> the loss, and the sums that are reported."""
        batch = Batch(columns=None, **{name: part[None] for name, part in fields.items()})
        loss = self.objective.loss(batch)
        sums = {"loss": loss.total.detach(), **{name: value.detach() for name, value in loss.metrics.items()}}
        return loss.total / batch.weights.sum().clamp(min=1), sums


class PrivateGradients:
    """The noisy gradient of a batch for `objective`'s model. The noise depends on the seed and the step alone.

    PyTorch's function transforms compute the gradient of each example, exactly and for any part of a model. Fused
    kernels and compiled blocks have no such rules and step aside. Raises ConfigError for an objective whose loss is no
    sum over documents, and for a model that keeps statistics of its batches."""

    def __init__(self, objective: Objective, accounts: Plan, seed: int):
        self.plan, self.seed = accounts, seed
        refuse(objective)
        alone = Alone(objective)
        self.parameters = {name: each for name, each in alone.named_parameters() if each.requires_grad}
        self._each = vmap(
            grad(lambda given, fields: functional_call(alone, given, (fields,)), has_aux=True),
            in_dims=(None, 0),
            randomness="different",
        )
        self._rows = max(1, CHUNK // max(1, sum(each.numel() for each in self.parameters.values())))

    def __call__(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Set the gradient of each parameter to (sum of clipped gradients + noise) / expected rows. Returns the sums of
        the loss and of its metrics. Raises TrainingError where no example has a finite gradient, and for a model that
        the transforms cannot compute."""
        sums: dict[str, torch.Tensor] = {}
        totals = {name: torch.zeros_like(each) for name, each in self.parameters.items()}
        finite = 0
        for part in batch.split(self._rows):
            found, good = self.clipped(part, sums)
            finite += good
            for name, value in found.items():
                totals[name] += value
        if not finite:
            raise TrainingError(
                f"training diverged: no example of step {step} has a finite gradient",
                "lower the learning rate (train.optimizer.learning_rate)",
            )
        for name, each in self.parameters.items():
            each.grad = (totals[name] + self.noise(name, each, step)) / self.plan.rows
        return sums

    def noise(self, name: str, like: torch.Tensor, step: int) -> torch.Tensor:
        """Return the noise of a parameter at a step."""
        source = torch.Generator(like.device).manual_seed(derive(self.seed, "privacy", name, step) % 2**63)
        drawn = torch.randn(like.shape, generator=source, device=like.device)
        return drawn.mul_(self.plan.noise * self.plan.clip)

    def clipped(self, batch: Batch, sums: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], int]:
        """Return the sum of the clipped gradients of a batch's examples, and the number of examples whose gradient is
        finite. The others count as nothing. The sums of losses and metrics are added to `sums`."""
        given = {name: each.detach() for name, each in self.parameters.items()}
        try:
            with sdpa_kernel(SDPBackend.MATH):  # the other kinds have no rule for single examples
                found, aux = self._each(given, batch.fields)
        except (RuntimeError, NotImplementedError) as error:
            raise TrainingError(
                f"the gradients of single examples of this model cannot be computed: {str(error).splitlines()[0]}",
                "leave out train.privacy, or train another kind of model",
            ) from error
        flat = {name: each.flatten(1) for name, each in found.items()}
        norms = torch.stack([torch.linalg.vector_norm(each, dim=1) for each in flat.values()]).norm(dim=0)
        good = norms.isfinite() & aux["loss"].isfinite()
        # An example is dropped whole: its share is then 0, which is within the clipping norm. A step is never skipped,
        # because a step that is taken back would not be counted.
        factors = torch.where(good, (self.plan.clip / norms.clamp(min=1e-12)).clamp(max=1.0), 0.0)
        for name, value in aux.items():
            sums[name] = sums.get(name, 0) + value[good].sum()
        whole = bool(good.all())
        clipped = {
            name: (factors @ (each if whole else each.nan_to_num(0.0, 0.0, 0.0))).view(found[name].shape[1:])
            for name, each in flat.items()
        }
        return clipped, int(good.sum())


def refuse(objective: Objective) -> None:
    """Raise ConfigError where the gradient of an objective is no sum over documents, or the model would keep anything
    of them beside its weights."""
    reasons = []
    if not objective.config.by_document:
        reasons.append(f"the objective '{objective.config.kind}' has a loss that is no sum over documents")
    if objective.modules():
        reasons.append(f"the objective trains modules of its own: {', '.join(objective.modules())}")
    weights = dict(objective.model.named_parameters(remove_duplicate=False))
    kept = [name for name in objective.model.state_dict() if name not in weights]
    if kept:
        reasons.append(f"the model keeps statistics of its batches: {', '.join(kept)}")
    if reasons:
        raise ConfigError(f"train.privacy: {'; '.join(reasons)}", "leave out train.privacy")


def private_gradients(
    objective: Objective, config: TrainConfig, loader: Loader, budget: Budget, seed: int
) -> PrivateGradients | None:
    """Return the gradients of a run with `train.privacy`; None for a run without."""
    accounts = plan(config, loader, budget)
    return None if accounts is None else PrivateGradients(objective, accounts, seed)
