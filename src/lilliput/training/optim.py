"""Optimisers: the kind of step for each parameter, and the state as named tensors for a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from lilliput.base.errors import CheckpointError
from lilliput.model.parts import roles
from lilliput.training.config import OptimizerConfig
from lilliput.training.muon import Muon

OBJECTIVE = "objective."
"""The prefix of the names of an objective's own parameters."""


@dataclass(slots=True)
class Optimizers:
    """The optimisers of a run as one. Every group keeps its peak in `peak`; `set_factor` scales all of them."""

    optimizers: list[torch.optim.Optimizer]
    names: dict[torch.Tensor, str]

    def set_factor(self, factor: float) -> None:
        """Set every learning rate to `factor` times its peak."""
        for group in self._groups():
            group["lr"] = group["peak"] * factor

    @property
    def learning_rate(self) -> float:
        """The present learning rate of the last group (of Muon, or of AdamW's plain part), which logs show."""
        return self._groups()[-1]["lr"]

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, torch.Tensor]:
        """Every state tensor as 'parameter.key'."""
        return {
            f"{self.names[parameter]}.{key}": torch.as_tensor(value)
            for optimizer in self.optimizers
            for parameter, values in optimizer.state.items()
            for key, value in values.items()
        }

    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        """Restore the result of `state`. Raises CheckpointError when a tensor belongs to no parameter."""
        by_name = {name: parameter for parameter, name in self.names.items()}
        owner = {p: o for o in self.optimizers for group in o.param_groups for p in group["params"]}
        for optimizer in self.optimizers:
            optimizer.state.clear()
        for full, tensor in tensors.items():
            name, _, key = full.rpartition(".")
            parameter = by_name.get(name)
            if parameter is None:
                raise CheckpointError(f"the optimizer state has '{full}', which is no parameter of this model")
            # A step counter stays on the CPU, where AdamW keeps it. Moments are on the device of their parameter.
            moved = tensor.clone() if key == "step" else tensor.to(parameter.device, copy=True)
            owner[parameter].state[parameter][key] = moved

    def _groups(self) -> list[dict]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]


def build(
    model: nn.Module,
    config: OptimizerConfig,
    bf16: bool = False,
    modules: Mapping[str, nn.Module] | None = None,
) -> Optimizers:
    """Build the optimisers for `model`. Vectors (norms, biases) never decay. The embedding and the head decay only with
    `train.optimizer.decay_embeddings`. With Muon, the matrices leave AdamW. The parts give the roles of parameters.
    `bf16`: Muon's iterations run in bf16. `modules` are an objective's own: their parameters take AdamW steps, and
    their matrices decay. Raises ModelError for a parameter of the model whose module gives no role."""
    names: dict[torch.Tensor, str] = {
        parameter: name for name, parameter in model.named_parameters() if parameter.requires_grad
    }
    known = roles(model)
    of: dict[str, list[torch.Tensor]] = {"matrix": [], "embedding": [], "table": [], "vector": []}
    for parameter, name in names.items():
        of[known[name].kind].append(parameter)
    matrices = of["matrix"]
    heads: list[torch.Tensor] = []
    for own, module in (modules or {}).items():
        for name, parameter in module.named_parameters(prefix=f"{OBJECTIVE}{own}"):
            if parameter.requires_grad and parameter not in names:
                names[parameter] = name
                (of["vector"] if parameter.ndim < 2 else heads).append(parameter)

    rate, decay = config.learning_rate, config.weight_decay
    table_decay = decay if config.decay_embeddings else 0.0
    plain = [
        (of["embedding"], table_decay, config.embedding_learning_rate or rate),
        (of["table"], table_decay, rate),
        (heads, decay, rate),
        (of["vector"], 0.0, rate),
    ]
    optimizers: list[torch.optim.Optimizer] = []
    if config.kind == "adamw":
        plain.insert(0, (matrices, decay, rate))
    groups = [{"params": params, "weight_decay": wd, "lr": lr} for params, wd, lr in plain if params]
    if groups:
        optimizers.append(torch.optim.AdamW(groups, lr=rate, betas=config.betas, eps=config.eps, fused=True))
    if config.kind == "muon" and matrices:
        rates = {"lr": config.muon_learning_rate, "momentum": config.muon_momentum, "weight_decay": decay}
        stacked = {parameter: known[names[parameter]].stacked for parameter in matrices}
        optimizers.append(Muon(matrices, **rates, bf16=bf16, stacked=stacked))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return Optimizers(optimizers, names)
