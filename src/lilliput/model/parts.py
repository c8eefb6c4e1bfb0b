"""The base of every part of a model: registries, the answers of a part, unset weights, and hook points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import nn
from torch.nn.modules import module as _torch

from lilliput.base.errors import ModelError
from lilliput.base.registry import Registry
from lilliput.model import kernels

if TYPE_CHECKING:
    from lilliput.model.attention import Cache
    from lilliput.model.config import ModelConfig
    from lilliput.model.mlps import MLP
    from lilliput.model.norms import Norm
    from lilliput.model.positions import Position, Tables
    from lilliput.model.sight import Seen

NORMS: Registry[type[Norm]] = Registry("norm", "lilliput.model")
POSITIONS: Registry[type[Position]] = Registry("position", "lilliput.model")
MLPS: Registry[type[MLP]] = Registry("mlp", "lilliput.model")
ATTENTIONS: Registry[type[AttentionPart]] = Registry("attention", "lilliput.model")


@dataclass(frozen=True, slots=True)
class Role:
    """The role of a parameter. The module that holds the parameter gives it, and `roles` collects them.

    kind "matrix": (outputs, inputs), which an optimiser may step as a whole, or (experts, outputs, inputs), where it
    may step the matrix of each expert; "embedding": a row a token; "table": rows by position, token or class, which no
             optimiser steps as a matrix; "vector": norms and biases
    stacked row counts of matrices that are stored below each other in one tensor; (): the weight is one matrix
    writes whether the output of the matrix is added to the residual stream
    first    the first value of all numbers; None: they are drawn
    std      the standard deviation of drawn numbers, whatever the config's init; None: that of the init
    """

    kind: Literal["matrix", "embedding", "table", "vector"]
    stacked: tuple[int, ...] = ()
    writes: bool = False
    first: float | None = None
    std: float | None = None


ZEROS, ONES = Role("vector", first=0.0), Role("vector", first=1.0)


def roles(model: nn.Module) -> dict[str, Role]:
    """The role of every parameter, by name. Raises ModelError for a parameter whose module does not answer: a module
    answers by a method `roles()` that gives the Role of each parameter that it holds itself."""
    found = {}
    for place, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        answers = _answers(module, own) if own else {}
        for name in own:
            whole = f"{place}.{name}" if place else name
            if name not in answers:
                raise ModelError(
                    f"{type(module).__name__} does not answer what its parameter '{whole}' is",
                    "give the class a method roles() that returns a Role for every parameter of its own",
                )
            found[whole] = answers[name]
    return found


def _answers(module: nn.Module, own: Mapping[str, nn.Parameter]) -> Mapping[str, Role]:
    """Return the roles that a module gives. PyTorch's linear maps and embeddings, and vectors, need no method
    `roles`."""
    ask = getattr(module, "roles", None)
    if ask is not None:
        return ask()
    vectors = {name: ONES if name == "weight" else ZEROS for name, weight in own.items() if weight.dim() == 1}
    known = {nn.Linear: Role("matrix"), nn.Embedding: Role("embedding")}
    return vectors | ({"weight": known[type(module)]} if type(module) in known else {})


class Part(nn.Module):
    """A part of a model. It computes its costs from the config alone, and the term that it adds to the loss.

    The methods of this class are right for a part whose every parameter acts on every token.
    """

    @classmethod
    def parameters_of(cls, config: ModelConfig) -> int:
        """Number of parameters, in closed form."""
        raise NotImplementedError

    @classmethod
    def active_of(cls, config: ModelConfig) -> int:
        """Number of parameters that one token passes through. Of the experts only the chosen ones count."""
        return cls.parameters_of(config)

    @classmethod
    def flops_of(cls, config: ModelConfig, seen: int) -> int:
        """Forward FLOPs of one token that sees `seen` positions; a multiply and an add are 2."""
        return 2 * cls.active_of(config)

    @classmethod
    def matrices_of(cls, config: ModelConfig) -> int:
        """Number of parameters whose Role is "matrix"."""
        raise NotImplementedError

    @classmethod
    def kept_of(cls, config: ModelConfig) -> int:
        """Numbers that the backward pass needs for one token, to estimate memory."""
        raise NotImplementedError

    def added_loss(self) -> torch.Tensor | None:
        """The term that the last forward pass in training adds to the mean loss of a position (a router's balance),
        a float32 scalar in nats; None where the part adds nothing."""
        return None


class AttentionPart(Part):
    """A kind of attention: what lets a position read earlier positions. A subclass is registered in ATTENTIONS.

    unread     config fields that this kind does not read; a value that no layer would read is refused
    patterned  whether it has a pattern (`hook_pattern`): a weight for each earlier position
    summed     whether `hook_z` times the matrix `out` is the sum of its heads' parts in the residual stream
    """

    unread: ClassVar[tuple[str, ...]] = ()
    sees_later: ClassVar[bool] = True
    patterned: ClassVar[bool] = False
    summed: ClassVar[bool] = False

    def __init__(self, config: ModelConfig):
        super().__init__()

    @classmethod
    def cached_of(cls, config: ModelConfig) -> int:
        """Numbers that a cache holds of one position."""
        raise NotImplementedError

    @classmethod
    def state_of(cls, config: ModelConfig) -> tuple[tuple[int, ...], ...]:
        """The shapes of the tensors that a cache holds of one text in place of keys and values, however long the text
        is; () for a kind that keeps keys and values."""
        return ()

    def forward(
        self, x: torch.Tensor, position: Position, tables: Tables, seen: Seen, cache: Cache | None, layer: int
    ) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model). `seen`: the positions that each position sees in this layer. Raises
        ModelError for a sight that the kind cannot compute."""
        raise NotImplementedError


HOOK_TABLES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
"""The attributes in which PyTorch keeps the hooks of a module."""


def is_hooked(module: nn.Module) -> bool:
    """Return whether a hook is set on this module, or on all modules. Code that does not call the module must not be
    used then."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or globally_hooked()
    )


def globally_hooked() -> bool:
    """Whether PyTorch calls a hook for every module (torch.nn.modules.module.register_module_forward_hook)."""
    return bool(
        _torch._global_forward_hooks
        or _torch._global_forward_pre_hooks
        or _torch._global_backward_hooks
        or _torch._global_backward_pre_hooks
    )


class Linear(nn.Linear):
    """nn.Linear, (..., inputs) -> (..., outputs), whose weights start unset: `initialise` or a checkpoint fills them,
    and nothing is drawn twice.

    stacked  row counts of matrices that are stored as one for speed (queries, keys, values)
    writes   whether the outputs are added to the residual stream
    table    whether the rows are no matrix to step whole: tokens or classes
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool,
        stacked: Sequence[int] = (),
        writes: bool = False,
        table: bool = False,
    ):
        super().__init__(inputs, outputs, bias)
        self.role = Role("table" if table else "matrix", tuple(stacked), writes)

    def roles(self) -> dict[str, Role]:
        """The roles of weight and bias."""
        return {"weight": self.role, "bias": ZEROS}

    def added_flops(self, flows: bool) -> int:
        """FLOPs of one token, forward and backward, of what is computed beside the matrix (an adapter). `flows`:
        whether the input has a gradient."""
        return 0

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class Embedding(nn.Embedding):
    """nn.Embedding, (...) int64 -> (..., width), whose weights start unset, as in `Linear`. `table`: the rows are no
    tokens of the vocabulary."""

    def __init__(self, rows: int, width: int, table: bool = False):
        super().__init__(rows, width)
        self.role = Role("table" if table else "embedding")

    def roles(self) -> dict[str, Role]:
        """The role of the weight."""
        return {"weight": self.role}

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class HookPoint(nn.Identity):
    """A named activation. Passes its input through; a forward hook on it reads the activation, or replaces it by
    returning another tensor. Names follow TransformerLens, so its recipes carry over."""

    @property
    def active(self) -> bool:
        """Return whether a hook of any kind is set here. Activations that need further work are computed only then."""
        return is_hooked(self)


def dropout(x: torch.Tensor, probability: float, training: bool) -> torch.Tensor:
    """Return x (..., width) after dropout, without a call of PyTorch where the probability is 0."""
    if not training or probability <= 0:
        return x
    return kernels.dropout(x, probability) if kernels.can_drop(x) else nn.functional.dropout(x, probability, True)
