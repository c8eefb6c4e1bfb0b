"""Stepper: from a batch to new weights: prepare, forward and backward over micro-batches, clip, step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lilliput.base.seeds import derive
from lilliput.runs import checkpoint
from lilliput.training import optim
from lilliput.training.compiled import Compiled
from lilliput.training.config import TrainConfig
from lilliput.training.settings import Settings, passes

if TYPE_CHECKING:
    from pathlib import Path

    from lilliput.model.transformer import Model
    from lilliput.objectives.batch import Batch
    from lilliput.objectives.objective import Objective
    from lilliput.training.privacy import PrivateGradients


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """One step's numbers; `loss` is nats a unit of weight, such as a learned token. `by_block` are the norms of each
    block's gradient before clipping, of the last minibatch; () where they are not asked for."""

    loss: float
    grad_norm: float
    metrics: dict[str, float]
    applied: bool
    by_block: tuple[float, ...] = ()

    @classmethod
    def of(cls, outcomes: Sequence[StepOutcome]) -> StepOutcome:
        """Join the outcomes of a batch's minibatches: their means; applied where every minibatch was applied."""
        if len(outcomes) == 1:
            return outcomes[0]
        count = len(outcomes)
        names = dict.fromkeys(name for one in outcomes for name in one.metrics)
        return cls(
            sum(one.loss for one in outcomes) / count,
            sum(one.grad_norm for one in outcomes) / count,
            {name: sum(one.metrics.get(name, 0.0) for one in outcomes) / count for name in names},
            outcomes[-1].applied,
            outcomes[-1].by_block,
        )


class Stepper:
    """Steps of one run. `context_length` is the length of the loader's rows. A step's random numbers depend on `seed`
    and the step's number alone. With `private` the gradients are those of DP-SGD, which are clipped by example."""

    def __init__(
        self,
        objective: Objective,
        config: TrainConfig,
        settings: Settings,
        *,
        seed: int,
        context_length: int,
        private: PrivateGradients | None = None,
    ):
        self.objective, self.model, self.settings = objective, objective.model, settings
        self.clip, self.seed, self.context_length, self.private = config.clip, seed, context_length, private
        self.device = next(self.model.parameters()).device
        self.modules = {name: module.to(self.device) for name, module in objective.modules().items()}
        self.optimizers = optim.build(self.model, config.optimizer, settings.precision == "bf16", self.modules)
        self._trained = [self.model, *self.modules.values()]
        self._parameters = [parameter for module in self._trained for parameter in module.parameters()]
        self._blocks = blocks_of(self.model) if config.log_gradients else []
        varied = objective.config.rows == "documents"  # a batch is as long as its longest document
        objective.view = Compiled(self.model, varied) if settings.compile else self.model

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of the run for a forward pass."""
        if self.settings.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def update(self, batch: Batch, step: int, factor: float, abandonable: AbstractContextManager[Any]) -> StepOutcome:
        """Prepare the batch of `step` and take an optimiser's step on each of its minibatches, at `factor` of the peak
        learning rates. A non-finite loss or gradient takes no step, and the rest of the batch is left out. The work
        before the first step runs under `abandonable`, because it changes nothing but gradients."""
        with abandonable:
            minibatches = iter(self.objective.minibatches(self._prepared(batch, step)))
            outcomes = [self._gradients(next(minibatches), step, 0)]
        while outcomes[-1].applied:
            self.optimizers.set_factor(factor)
            self.optimizers.step()
            self.optimizers.zero_grad()
            following = next(minibatches, None)
            if following is None:
                break
            outcomes.append(self._gradients(following, step, len(outcomes)))
        self.optimizers.zero_grad()
        return StepOutcome.of(outcomes)

    def _begin(self, *keys: int | str) -> None:
        """Seed PyTorch's own draws, such as dropout's, by their place in the run."""
        seed = derive(self.seed, *keys) % 2**63
        if self.device.type == "cpu":
            # torch.manual_seed also seeds devices that are absent, and formats the call stack for each: 1 ms a step.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def _prepared(self, batch: Batch, step: int) -> Batch:
        self._begin("prepare", step)
        with self.autocast():
            return self.objective.prepared(batch.to(self.device))

    def _gradients(self, batch: Batch, step: int, nth: int) -> StepOutcome:
        """The gradients of minibatch `nth` of a step."""
        self._begin("dropout", step, *([nth] if nth else []))
        for module in self._trained:
            module.train()
        weight = max(self.objective.weight(batch), 1e-9)
        if self.private is not None:
            sums = self.private(batch, step)
            norm = torch.nn.utils.get_total_norm(_gradients_of(self.model))
            return self._outcome(sums, weight, norm, self._norms_by_block())
        sums = {"loss": torch.zeros((), device=self.device)}
        for part in passes(batch, self.settings, self.context_length):
            with self.autocast():
                loss = self.objective.loss(part)
            (loss.total / weight).backward()
            for name, value in {"loss": loss.total, **loss.metrics}.items():
                sums[name] = sums.get(name, 0) + value.detach()
        by_block = self._norms_by_block()
        return self._outcome(sums, weight, torch.nn.utils.clip_grad_norm_(self._parameters, self.clip), by_block)

    def _norms_by_block(self) -> list[torch.Tensor]:
        return [torch.nn.utils.get_total_norm(_gradients_of(block)).to(self.device) for block in self._blocks]

    def _outcome(
        self, sums: dict[str, torch.Tensor], weight: float, norm: torch.Tensor, by_block: Sequence[torch.Tensor] = ()
    ) -> StepOutcome:
        # One transfer for all numbers: on a GPU each `.item()` would wait for the device.
        numbers = torch.stack([*(value / weight for value in sums.values()), norm, *by_block]).tolist()
        metrics, length = dict(zip(sums, numbers, strict=False)), numbers[len(sums)]
        applied = math.isfinite(metrics["loss"]) and math.isfinite(length)
        return StepOutcome(metrics.pop("loss"), length, metrics, applied, tuple(numbers[len(sums) + 1 :]))

    def state(self, values: dict[str, Any]) -> checkpoint.TrainerState:
        """The trainer state of a checkpoint, beside the model's weights, with `values`."""
        own = {f"{name}.{key}": value for name, module in self.modules.items() for key, value in _state(module).items()}
        return checkpoint.TrainerState(self.optimizers.state(), values, own)

    def load_state(self, state: checkpoint.TrainerState, folder: Path) -> None:
        """Restore the result of `state`. Raises CheckpointError where `folder` holds the state of other modules."""
        self.optimizers.load_state(state.tensors)
        for name, module in self.modules.items():
            checkpoint.load_module(module, state.modules, name, folder)


def blocks_of(model: Model) -> list[nn.Module]:
    """The blocks of an encoder, where there is one, and of the model, in the order in which a text passes them."""
    return [*([] if model.encoder is None else model.encoder.blocks), *model.blocks]


def _gradients_of(block: nn.Module) -> list[torch.Tensor]:
    return [parameter.grad for parameter in block.parameters() if parameter.grad is not None]


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    """A module's tensors for safetensors: its parameters and buffers, each in memory of its own."""
    return {name: tensor.detach().clone().contiguous() for name, tensor in module.state_dict().items()}
