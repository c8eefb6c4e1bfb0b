"""A tiny untrained model, sharp enough that its next-token distributions differ from position to position."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lilliput.model.config import resolve
from lilliput.model.transformer import Model

PARTS = {
    "rotary": {"n_kv_heads": 2},
    "learned": {"position": "learned", "norm": "layer", "mlp": "gelu", "qk_norm": False, "bias": True},
    "window": {"window": 5, "residual": "parallel", "tied_embeddings": True},
}


@pytest.fixture(params=list(PARTS))
def tiny(request: pytest.FixtureRequest) -> Callable[..., Model]:
    """Builds a model of 50 ids and 16 positions in evaluation mode; a kind of position and mask a run."""

    def build(**changes: Any) -> Model:
        shape = {"d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 50, "context_length": 16}
        model = Model(resolve("story_1m", **(shape | PARTS[request.param] | changes)))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=0.4, generator=generator)
        return model.eval()

    return build
