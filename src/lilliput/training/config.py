"""TrainConfig: the `train` section of a recipe: how long, how fast, how careful."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lilliput.base.config import Config
from lilliput.base.registered import Named
from lilliput.base.runtime.threads import MOST_THREADS
from lilliput.training.trackers import TRACKERS

MOST_BATCH_TOKENS = 2**26
"""The most tokens of a step, because they are in memory together. The largest known runs take as many."""


class OptimizerConfig(Config):
    """`train.optimizer`: AdamW, or Muon (Jordan et al. 2024) for the matrices of the blocks with AdamW for all other
    parameters."""

    kind: Literal["adamw", "muon"] = Field(
        default="adamw",
        description="adamw: AdamW for every parameter; muon: Muon for the matrices inside the blocks, AdamW elsewhere",
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="AdamW's peak learning rate")
    embedding_learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="AdamW's peak learning rate of the token embedding, whose rows are updated only when their token "
        "occurs; null: learning_rate",
    )
    betas: tuple[float, float] = Field(
        default=(0.9, 0.95), description="the decay at each step of AdamW's means of gradients and of their squares"
    )
    eps: float = Field(default=1e-8, gt=0, description="added to AdamW's divisor")
    weight_decay: float = Field(default=0.1, ge=0, description="decoupled weight decay of matrices")
    decay_embeddings: bool = Field(default=False, description="weight decay of the embedding and the head too")
    muon_learning_rate: float = Field(
        default=0.02, gt=0, description="Muon's peak learning rate: the spectral norm of a step"
    )
    muon_momentum: float = Field(
        default=0.95, ge=0, lt=1, description="the decay at each step of Muon's mean of gradients"
    )

    @model_validator(mode="after")
    def _betas_are_fractions(self) -> OptimizerConfig:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), and are {self.betas}")
        return self


class ScheduleConfig(Config):
    """`train.schedule`: the learning rate as a multiple of its peak, over the run's progress from 0 to 1."""

    kind: Literal["cosine", "linear", "wsd", "constant"] = Field(
        default="cosine",
        description="shape of the decay after warm-up; wsd (warm-up, stable, decay): constant, then linear",
    )
    warmup_steps: int = Field(default=20, ge=0, description="steps of linear warm-up")
    final_fraction: float = Field(
        default=0.0, ge=0, le=1, description="learning rate at the end of the run, as a fraction of its peak"
    )
    decay_fraction: float = Field(
        default=0.2, gt=0, le=1, description="for wsd: the last fraction of the run, in which the learning rate decays"
    )
    decay_from: Literal["start", "warmup"] = Field(
        default="start",
        description="where the decay begins; start: at the run's start; warmup: after warm-up, as nanoGPT and LitGPT",
    )


class GrowthConfig(Config):
    """`train.growth`: sizes that start small and double, in equal parts of the run's first `fraction`, up to their full
    size (batch size warm-up; sequence length warm-up, Li et al. 2022)."""

    batch_tokens: int | None = Field(
        default=None, gt=0, le=MOST_BATCH_TOKENS, description="tokens of the first steps; null: train.batch_tokens"
    )
    context: int | None = Field(
        default=None,
        gt=0,
        description="tokens of the pieces into which the rows of the first steps are cut: the context length over "
        "2, 4, 8 ...; null: whole rows",
    )
    fraction: float = Field(default=0.3, gt=0, le=1, description="fraction of the run after which the size is full")


class PrivacyConfig(Config):
    """`train.privacy`: DP-SGD (Abadi et al. 2016). The gradient of each example is clipped and noise is added to their
    sum. An example is a document: a row of a table, or all rows of an entity."""

    epsilon: float | None = Field(
        default=None, gt=0, description="the epsilon that the whole run may spend: the noise follows from it"
    )
    noise: float | None = Field(
        default=None, gt=0, description="deviation of the noise, as a multiple of `clip`: the epsilon follows from it"
    )
    delta: float = Field(
        default=1e-5, gt=0, lt=1, description="the delta at which epsilon is counted: below 1 / examples"
    )
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient of an example")

    @model_validator(mode="after")
    def _either(self) -> PrivacyConfig:
        if (self.epsilon is None) == (self.noise is None):
            raise ValueError("give one of epsilon and noise: the other one follows from it")
        return self


class TrainConfig(Config):
    """`train`: the budget (whichever of steps, tokens, epochs, seconds is reached first ends the run), the batch,
    the optimiser, and the files that are saved.

    A run that the clock (`seconds`) ends repeats only roughly. All other runs repeat bit for bit."""

    steps: int | None = Field(default=None, gt=0, description="the run ends after this many steps")
    tokens: int | None = Field(default=None, gt=0, description="the run ends after this many training tokens")
    epochs: float | None = Field(default=None, gt=0, description="the run ends after this many readings of the text")
    seconds: float | None = Field(default=None, gt=0, description="the run ends after this many seconds of wall time")
    least_steps: int | None = Field(
        default=None,
        gt=0,
        description="the least number of steps on a small text, where epochs would end the run sooner",
    )

    batch_tokens: int = Field(default=8192, gt=0, le=MOST_BATCH_TOKENS, description="tokens of a step")
    growth: GrowthConfig = Field(
        default=GrowthConfig(), description="sizes that start small and grow to their full size"
    )
    micro_batch_tokens: int | None = Field(
        default=None,
        gt=0,
        le=MOST_BATCH_TOKENS,
        description="tokens of one pass; a step takes as many passes as it needs; null: chosen by the device",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="type of the numbers; auto: bf16 where bf16 is faster on this machine, else fp32"
    )
    compile: bool | Literal["auto"] = Field(
        default="auto",
        description="use torch.compile; auto: where the run is long enough to repay the time of compiling",
    )
    threads: int | None = Field(
        default=None,
        gt=0,
        le=MOST_THREADS,
        description="processor threads; null: $OMP_NUM_THREADS, else one for each physical core",
    )
    activation_checkpointing: bool = Field(
        default=False, description="compute activations again in the backward pass: less memory, more time"
    )

    freeze: tuple[str, ...] = Field(
        default=(),
        description="parts of the model that are not trained, such as [embed, blocks.0-3] or [blocks.0-7.mlp]",
    )
    optimizer: OptimizerConfig = Field(default=OptimizerConfig(), description="the optimiser and its rates")
    schedule: ScheduleConfig = Field(default=ScheduleConfig(), description="the learning rate over the run")
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient; a larger gradient is scaled down")
    privacy: PrivacyConfig | None = Field(
        default=None,
        description="clip the gradient of each example, and add noise to their sum (DP-SGD); null: train as usual",
    )
    skip_limit: int = Field(
        default=5,
        gt=0,
        description="steps in a row without a finite gradient after which the last checkpoint is loaded",
    )

    log_steps: int | None = Field(
        default=None, gt=0, description="steps between lines of metrics.jsonl; null: 200 lines a run"
    )
    log_gradients: bool = Field(
        default=False, description="the norm of each block's gradient in metrics.jsonl and in the report"
    )
    checkpoint_steps: int | None = Field(
        default=None, gt=0, description="steps between checkpoints; null: ten checkpoints a run"
    )
    checkpoint_seconds: float = Field(default=600.0, gt=0, description="most seconds between two checkpoints")
    keep_checkpoints: int = Field(default=3, ge=2, description="number of newest checkpoints that are kept")
    early_checkpoints: bool = Field(default=False, description="also keep the checkpoints of steps 1, 2, 4 ... 512")
    trackers: tuple[Annotated[str, Named(TRACKERS)], ...] = Field(
        default=(), description="trackers that also get the numbers of metrics.jsonl"
    )

    watts: float | None = Field(
        default=None,
        gt=0,
        description="power of the machine, in watts, for the run's energy; null: measured, else estimated",
    )
    dollars_per_hour: float | None = Field(
        default=None, ge=0, description="price of the machine; null: no cost is shown"
    )
    grams_co2_per_kwh: float | None = Field(
        default=None, ge=0, description="grams of CO2 a kWh of the local grid; null: the world's average of 2023"
    )

    @model_validator(mode="after")
    def _has_a_budget(self) -> TrainConfig:
        if self.steps is None and self.tokens is None and self.epochs is None and self.seconds is None:
            raise ValueError("the run has no end: give one of steps, tokens, epochs or seconds")
        return self

    @model_validator(mode="after")
    def _fits_privacy(self) -> TrainConfig:
        if self.privacy is None:
            return self
        wrong = {
            "growth": (self.growth != GrowthConfig(), "each step counts as many examples as the last"),
            "compile: true": (self.compile is True, "gradients of single examples are not compiled"),
            "precision: bf16": (self.precision == "bf16", "clipped norms need fp32"),
            "activation_checkpointing": (self.activation_checkpointing, "gradients of examples are computed at once"),
            "clip": (self.clip != TrainConfig.model_fields["clip"].default, "privacy.clip clips each example instead"),
            "seconds": (self.seconds is not None, "the number of steps decides the noise: give steps or epochs"),
        }
        for key, (given, reason) in wrong.items():
            if given:
                raise ValueError(f"{key} and privacy cannot be used together: {reason}")
        return self
