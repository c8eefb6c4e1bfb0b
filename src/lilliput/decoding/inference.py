"""inference: run a model without gradient and without dropout, and leave its modes as they were; report damage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lilliput.base.errors import ModelError


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """Run the block in evaluation mode and under `torch.inference_mode`. Afterwards every submodule has its earlier
    mode, so that a model can be sampled or scored in the middle of its training.

    >>> with inference(model):
    ...     logits = model.logits(model(tokens))
    """
    # A loop over the modules costs about as much as a layer of a tiny model, and only a model in training needs the
    # loop.
    modes = [(module, module.training) for module in model.modules()] if model.training else []
    for module, _ in modes:
        module.training = False
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def damaged() -> ModelError:
    """Return the error for a model whose logits are not finite."""
    return ModelError(
        "the model's logits are not finite: its weights are damaged or its training diverged",
        "generate from an earlier checkpoint of the run",
    )
