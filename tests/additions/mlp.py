"""An MLP: SiLU without a gate."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from lilliput.model.mlps import MLP
from lilliput.model.parts import MLPS


@MLPS.add("silu")
class Silu(MLP):
    """x sigmoid(x)."""

    def activate(self, x: torch.Tensor) -> torch.Tensor:
        return F.silu(x)
