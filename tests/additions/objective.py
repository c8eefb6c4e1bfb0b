"""An objective: learn the last part of every row only."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field

from lilliput.data.rows import Rows
from lilliput.objectives.batch import Batch
from lilliput.objectives.causal import NextToken, NextTokenConfig
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.workshop import Workshop


class LastPart(NextToken):
    """The causal objective, with weight 0 where a row begins: every target that counts has a long context."""

    config: Tail

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        batch = super().batch(rows, rng)
        length = batch.weights.shape[1]
        late = torch.arange(length) >= length - round(length * self.config.learned)
        return batch.including({"weights": batch.weights * late})


@OBJECTIVES.add("tail")
class Tail(NextTokenConfig):
    """Each row's last part is learned (see LastPart)."""

    kind: Literal["tail"] = "tail"
    learned: float = Field(default=0.5, gt=0, le=1, description="fraction of a row, from its end, that is learned")

    def build(self, workshop: Workshop) -> Objective:
        return LastPart(self, workshop)
