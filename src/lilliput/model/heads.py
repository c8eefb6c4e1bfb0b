"""Head: classes, a score or values from a model's hidden states."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lilliput.base.errors import ModelError
from lilliput.model.config import ModelConfig
from lilliput.model.initialise import initialise
from lilliput.model.parts import Linear
from lilliput.model.sight import CAUSAL, Sight


class Head(nn.Module):
    """One linear map of the last real position of a document, without bias. Hugging Face's ...ForSequenceClassification
    has the same map under the name `score`. `values` returns the map of every position.

    `outputs` is 1 for a reward or a value, else the number of classes, and `labels` are their names (None: LABEL_0,
    LABEL_1 and so on, as transformers names them). First weights are a function of the seed and the parameter's name:
    `seed=None` leaves them unset, for a loader to fill.
    """

    def __init__(self, config: ModelConfig, outputs: int, seed: int | None = 0, labels: Sequence[str] | None = None):
        super().__init__()
        if outputs < 1:
            raise ModelError(f"a head of {outputs} outputs gives nothing", "give it 1 for a score, or one a class")
        if labels is not None and len(labels) != outputs:
            raise ModelError(f"a head of {outputs} outputs has {len(labels)} names", "give one name an output")
        self.outputs = outputs
        self.labels = tuple(labels) if labels is not None else tuple(f"LABEL_{number}" for number in range(outputs))
        self.score = Linear(config.d_model, outputs, bias=False, table=True)
        if seed is not None and self.score.weight.device.type != "meta":
            initialise(self, "normal", config.n_layers, seed)

    @staticmethod
    def parameters_of(config: ModelConfig, outputs: int) -> int:
        """Number of parameters, in closed form."""
        return config.d_model * outputs

    def forward(self, hidden: torch.Tensor, sight: Sight = CAUSAL) -> torch.Tensor:
        """hidden (B, T, d_model), with the sight that the model was given -> (B, outputs) float32, read at each row's
        last real position: `sight.lengths` - 1, or T - 1 without lengths. Raises ModelError for rows of several
        documents."""
        if sight.segments is not None:
            raise ModelError(
                "a row of several documents (segments) has several last positions, and a head reads one document a row",
                "pad each document to a row of its own: Sight(lengths=...)",
            )
        if sight.lengths is None:
            return self.values(hidden[:, -1])
        rows = torch.arange(len(hidden), device=hidden.device)
        return self.values(hidden[rows, sight.lengths - 1])

    def values(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_model) -> (..., outputs) float32: (B, T, d_model) gives a value at each position."""
        return self.score(hidden).float()
