"""A ladder of model shapes that grow in width and depth together, and the shapes that a budget can train."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lilliput.base.config import validate
from lilliput.base.console import flops as flops_text
from lilliput.base.errors import ConfigError
from lilliput.model.config import DERIVED, ModelConfig
from lilliput.model.counts import flops_per_token, parameters
from lilliput.planning.chinchilla import FLOPS_PER_PARAMETER

WIDTHS = (32, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768)
WIDTH_PER_LAYER = 48
"""128 x 3 to 512 x 11: near the shapes that trained well (docs/studies/speed.md), and deeper with growing width."""
LEAST_STEPS = 20
SPREAD = 6.0
"""The first sizes reach from the guessed size divided by this number to the guessed size times this number."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A rung of the ladder. `size` is training FLOPs a token / 6, which makes C = 6 x size x tokens exact. Attention
    and the output head count in it, the embedding table does not (reasons: DeepSeek-AI 2024, arXiv:2401.02954, section
    3.2)."""

    model: ModelConfig
    size: float
    parameters: int

    @property
    def name(self) -> str:
        return f"w{self.model.d_model}-d{self.model.n_layers}"

    def tokens(self, flops: float) -> float:
        """Return the training tokens that a budget pays for."""
        return flops / FLOPS_PER_PARAMETER / self.size


def ladder(base: ModelConfig) -> list[Shape]:
    """Return the shapes with the parts, vocabulary and context of `base`, the smallest first."""
    kept = base.model_dump(exclude={"style", "d_model", "n_layers", *DERIVED})
    return [_shape({**kept, "d_model": width, "n_layers": max(1, round(width / WIDTH_PER_LAYER))}) for width in WIDTHS]


def _shape(values: dict[str, object]) -> Shape:
    model = validate(ModelConfig, values, "the ladder")
    return Shape(model, flops_per_token(model).training / FLOPS_PER_PARAMETER, parameters(model).total)


def affordable(rungs: Sequence[Shape], flops: float, step_tokens: int) -> list[Shape]:
    """Return the shapes that `flops` can train for at least LEAST_STEPS."""
    return [shape for shape in rungs if shape.tokens(flops) >= LEAST_STEPS * step_tokens]


def choose(
    rungs: Sequence[Shape], flops: float, count: int, step_tokens: int, tokens_per_parameter: float
) -> list[Shape]:
    """Choose about `count` different shapes around the size that gets `tokens_per_parameter`, evenly in logarithms.
    Raises ConfigError where the budget pays for fewer than three shapes."""
    within = affordable(rungs, flops, step_tokens)
    if len(within) < 3:
        raise ConfigError(
            f"a budget of {flops_text(flops)} trains only {len(within)} of the shapes for {LEAST_STEPS} steps of "
            f"{step_tokens:,} tokens, and a curve needs three",
            "give a larger budget, or a smaller train.batch_tokens",
        )
    centre = math.log(math.sqrt(flops / (FLOPS_PER_PARAMETER * tokens_per_parameter)))
    # Where the guessed sizes reach past an end of the ladder, they are moved onto the ladder.
    low, high = math.log(within[0].size), math.log(within[-1].size)
    reach = math.log(SPREAD)
    centre = min(max(centre, low + min(reach, (high - low) / 2)), high - min(reach, (high - low) / 2))
    wanted = (centre + reach * (2 * i / (count - 1) - 1) for i in range(count))
    chosen = {min(within, key=lambda shape: abs(math.log(shape.size) - target)).name for target in wanted}
    picked = [shape for shape in within if shape.name in chosen]
    for shape in within:  # on a coarse ladder several sizes may give the same rung; others fill up
        if len(picked) >= 3:
            break
        if shape not in picked:
            picked.append(shape)
    return sorted(picked, key=lambda shape: shape.size)


def beyond(rungs: Sequence[Shape], tried: Sequence[Shape], best: Shape) -> Shape | None:
    """Return the next rung past the end of `tried`, where `best` lies at that end; else None. The rung is needed
    because a minimum at the end of the sizes is not enclosed by larger losses."""
    sizes = [shape.size for shape in tried]
    if best.size == max(sizes):
        return next((shape for shape in rungs if shape.size > best.size), None)
    if best.size == min(sizes):
        return next((shape for shape in reversed(rungs) if shape.size < best.size), None)
    return None
