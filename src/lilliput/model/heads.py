"""Head: classes, a score, values or tags from a model's hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from lilliput.base.errors import ModelError
from lilliput.model.config import ModelConfig
from lilliput.model.initialise import initialise
from lilliput.model.parts import Linear
from lilliput.model.sight import CAUSAL, Sight

Pooling = Literal["first", "mean"]
POOLING: Pooling = "mean"
"""How a new head of ModernBERT's parts makes one position of a document (docs/studies/encoders.md compares both)."""


def through_prediction(config: ModelConfig) -> bool:
    """Whether a head reads the model's own prediction head, as in ModernBERT: an encoder with norms before its parts
    and with the layer before the output matrix."""
    return not config.causal and config.head == "transform" and config.norm_place == "pre"


def has_pooler(config: ModelConfig) -> bool:
    """Whether a head of whole documents has a pooler of its own, as in BERT: every other encoder."""
    return not config.causal and not through_prediction(config)


class Head(nn.Module):
    """Outputs from hidden states, as the classes of Hugging Face compute them:

    decoder     one linear map of the last real position of a document, without bias (...ForSequenceClassification)
    BERT        a pooler, tanh(dense(first position)), then a linear map with bias; so do encoders of other parts
    ModernBERT  the model's own prediction head, after the mean of the real positions (`pooling`: or the first), then a
                linear map with bias
    each=True   a linear map with bias of each position (...ForTokenClassification), in ModernBERT after the prediction
                head; no pooler

    `outputs` is 1 for a reward or a value, else the number of classes, and `labels` are their names (None: LABEL_0,
    LABEL_1 and so on, as transformers names them). First weights are a function of the seed and the parameter's name:
    `seed=None` leaves them unset, for a loader to fill.
    """

    def __init__(
        self,
        config: ModelConfig,
        outputs: int,
        seed: int | None = 0,
        labels: Sequence[str] | None = None,
        *,
        each: bool = False,
        pooling: Pooling = POOLING,
    ):
        super().__init__()
        if outputs < 1:
            raise ModelError(f"a head of {outputs} outputs gives nothing", "give it 1 for a score, or one a class")
        if labels is not None and len(labels) != outputs:
            raise ModelError(f"a head of {outputs} outputs has {len(labels)} names", "give one name an output")
        self.outputs, self.each = outputs, each
        self.labels = tuple(labels) if labels is not None else tuple(f"LABEL_{number}" for number in range(outputs))
        self.last, self.through = config.causal, through_prediction(config)
        self.pooling: Pooling = pooling if self.through else "first"
        pooled = has_pooler(config) and not each
        self.pooler = Linear(config.d_model, config.d_model, bias=True) if pooled else None
        self.score = Linear(config.d_model, outputs, bias=each or not config.causal, table=True)
        if seed is not None and self.score.weight.device.type != "meta":
            initialise(self, "normal", config.n_layers, seed)

    @staticmethod
    def parameters_of(config: ModelConfig, outputs: int, each: bool = False) -> int:
        """Number of parameters, in closed form."""
        width = config.d_model
        pooler = width * (width + 1) if has_pooler(config) and not each else 0
        return pooler + width * outputs + (outputs if each or not config.causal else 0)

    def forward(self, hidden: torch.Tensor, sight: Sight = CAUSAL, prediction: nn.Module | None = None) -> torch.Tensor:
        """hidden (B, T, d_model), with the sight that the model was given -> (B, outputs) float32; with `each`
        (B, T, outputs). The real positions of a row are its first `sight.lengths`, or all. `prediction` is the model's
        prediction head (`model.head`). Raises ModelError for rows of several documents, and where a head needs
        `prediction` and has none."""
        if self.each:
            return self.values(self._predicted(hidden, prediction))
        if sight.segments is not None:
            raise ModelError(
                "a row of several documents (segments) has several positions that stand for one, and a head reads one "
                "document a row",
                "pad each document to a row of its own: Sight(lengths=...)",
            )
        found = self._predicted(self._pooled(hidden, sight.lengths), prediction)
        return self.values(found if self.pooler is None else torch.tanh(self.pooler(found)))

    def values(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_model) -> (..., outputs) float32: the linear map alone, at every position."""
        return self.score(hidden).float()

    def _pooled(self, hidden: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        """hidden (B, T, d_model), lengths (B,) -> (B, d_model): the position that stands for each row."""
        if self.last and lengths is None:
            return hidden[:, -1]
        if self.last:
            assert lengths is not None
            return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
        return hidden[:, 0] if self.pooling == "first" else mean_of_real(hidden, lengths)

    def _predicted(self, hidden: torch.Tensor, prediction: nn.Module | None) -> torch.Tensor:
        if not self.through:
            return hidden
        if prediction is None:
            raise ModelError("this head reads the model's prediction head", "give it: head(hidden, sight, model.head)")
        return prediction(hidden)


def mean_of_real(hidden: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """hidden (B, T, d_model), lengths (B,) -> (B, d_model): the mean of the first `lengths` positions of each row, or
    of all."""
    if lengths is None:
        return hidden.mean(1)
    real = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    return torch.where(real[..., None], hidden, 0).sum(1) / lengths[:, None].to(hidden.dtype)
