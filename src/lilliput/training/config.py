"""TrainConfig: the `train` section of a recipe: how long, how fast, how careful."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lilliput.base.config import Config
from lilliput.base.runtime.threads import MOST_THREADS

MOST_BATCH_TOKENS = 2**26
"""Tokens of a step, which lie in memory at once: as many as the largest runs that are known take."""


class OptimizerConfig(Config):
    """`train.optimizer`. With `muon`, matrices inside the blocks take Muon steps and everything else AdamW steps.

    learning_rate       AdamW's peak learning rate
    embedding_learning_rate  the same for the token embedding; None: as the rest. A row is updated only when its
                        token occurs, so it can take far larger steps
    muon_learning_rate  Muon's peak learning rate: the spectral norm of a step (Jordan et al. 2024)
    weight_decay        decoupled, on matrices only; `decay_embeddings` adds the embedding and the head
    """

    kind: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    embedding_learning_rate: float | None = Field(default=None, gt=0)
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    decay_embeddings: bool = False
    muon_learning_rate: float = Field(default=0.02, gt=0)
    muon_momentum: float = Field(default=0.95, ge=0, lt=1)

    @model_validator(mode="after")
    def _betas_are_fractions(self) -> OptimizerConfig:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), and are {self.betas}")
        return self


class ScheduleConfig(Config):
    """`train.schedule`: the learning rate as a multiple of its peak, over the run's progress from 0 to 1.

    Warm-up is linear over `warmup_steps`; then `cosine`, `linear`, `constant`, or `wsd` (warm-up, stable, decay:
    constant until the last `decay_fraction` of the run, then linear) down to `final_fraction` of the peak. `decay_from`
    says where the decay begins: at the run's start, or at the end of warm-up, as nanoGPT and LitGPT have it."""

    kind: Literal["cosine", "linear", "wsd", "constant"] = "cosine"
    warmup_steps: int = Field(default=20, ge=0)
    final_fraction: float = Field(default=0.0, ge=0, le=1)
    decay_fraction: float = Field(default=0.2, gt=0, le=1)
    decay_from: Literal["start", "warmup"] = "start"


class GrowthConfig(Config):
    """`train.growth`: what starts small and doubles, in equal parts of the run's first `fraction`, to its full size.

    batch_tokens  tokens a step at first (batch size warm-up)
    context       tokens of a row at first (sequence length warm-up, Li et al. 2022): rows are cut into pieces, so that
                  a step has as many tokens as ever. The context length divided by 2, 4, 8 ...
    """

    batch_tokens: int | None = Field(default=None, gt=0, le=MOST_BATCH_TOKENS)
    context: int | None = Field(default=None, gt=0)
    fraction: float = Field(default=0.3, gt=0, le=1)


class TrainConfig(Config):
    """`train`: the budget (whichever of steps, tokens, epochs, seconds is reached first ends the run), the batch,
    the optimiser, and what is saved.

    A run that its clock (`seconds`) ends repeats only roughly; the others repeat bit for bit.

    least_steps         a text so small that `epochs` would end the run sooner is read more often, for so many steps
    log_steps           a line of metrics.jsonl every how many steps; None: 200 times a run
    checkpoint_steps    a checkpoint every how many steps; None: ten times a run
    checkpoint_seconds  and at the latest after so many seconds without one
    """

    steps: int | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    epochs: float | None = Field(default=None, gt=0)
    seconds: float | None = Field(default=None, gt=0)
    least_steps: int | None = Field(default=None, gt=0)

    batch_tokens: int = Field(default=8192, gt=0, le=MOST_BATCH_TOKENS)
    growth: GrowthConfig = GrowthConfig()
    micro_batch_tokens: int | None = Field(default=None, gt=0, le=MOST_BATCH_TOKENS)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool | Literal["auto"] = "auto"
    threads: int | None = Field(default=None, gt=0, le=MOST_THREADS)
    activation_checkpointing: bool = False

    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    clip: float = Field(default=1.0, gt=0)
    skip_limit: int = Field(default=5, gt=0)

    log_steps: int | None = Field(default=None, gt=0)
    checkpoint_steps: int | None = Field(default=None, gt=0)
    checkpoint_seconds: float = Field(default=600.0, gt=0)
    keep_checkpoints: int = Field(default=3, ge=2)
    early_checkpoints: bool = False
    trackers: tuple[str, ...] = ()

    watts: float | None = Field(default=None, gt=0)
    dollars_per_hour: float | None = Field(default=None, ge=0)
    grams_co2_per_kwh: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _has_a_budget(self) -> TrainConfig:
        if self.steps is None and self.tokens is None and self.epochs is None and self.seconds is None:
            raise ValueError("the run has no end: give one of steps, tokens, epochs or seconds")
        return self
