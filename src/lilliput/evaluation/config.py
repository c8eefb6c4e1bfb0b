"""EvaluateConfig: the `evaluate` section of a recipe, for the measurements and samples of a run."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from lilliput.base.config import Config
from lilliput.base.registered import Named
from lilliput.evaluation.benchmarks.task import TASKS, Likelihood


def _by_likelihood(name: str) -> str:
    if not issubclass(TASKS[name], Likelihood):
        raise ValueError(
            f"'{name}' needs generated answers, which are too slow to score during a run; "
            f"score it afterwards: lilliput evaluate RUN --tasks {name}"
        )
    return name


class EvaluateConfig(Config):
    """`evaluate`: validation, samples, benchmarks and the end of a run that no longer improves."""

    steps: int | None = Field(default=None, gt=0, description="steps between evaluations; null: ten evaluations a run")
    tokens: int = Field(default=32768, gt=0, description="tokens of the fixed set that is scored during the run")
    final_tokens: int | None = Field(
        default=None, gt=0, description="tokens that are scored at the end; null: the whole validation split"
    )
    old_domain: bool = Field(
        default=True,
        description="at the end of a run that began with another run's weights, score that run's validation text with "
        "the weights of before and after",
    )
    baselines: tuple[int, ...] = Field(
        default=(1, 2, 3), description="orders of the n-gram models that are scored on the same tokens for comparison"
    )
    samples: int | None = Field(
        default=None,
        ge=0,
        description="steps between samples from the prompts; null: at every evaluation; 0: no samples",
    )
    prompts: tuple[str, ...] = Field(
        default=(),
        description="openings of the samples (endings, for a reversed model); []: the story world's own, or first "
        "words of validation documents",
    )
    sample_tokens: int = Field(default=160, gt=0, le=2**20, description="most tokens of a sample")
    sample_temperature: float = Field(
        default=0.7, ge=0, le=2, description="divides the logits of samples; 0: always the likeliest token"
    )
    heroes: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="number of stories about named children at every evaluation; val_hero_kept is the share "
        "of these stories that keep their hero; 0: none",
    )
    final_heroes: int = Field(
        default=0, ge=0, le=100_000, description="number of stories about named children at the end of the run; 0: none"
    )
    watch: int | None = Field(
        default=0,
        ge=0,
        description="steps between measurements of the attention heads, which go to heads.jsonl, beside those at steps "
        "1, 2, 4 ... 512; null: 30 measurements a run; 0: none",
    )
    tasks: tuple[Annotated[str, Named(TASKS), AfterValidator(_by_likelihood)], ...] = Field(
        default=(), description="benchmarks by likelihood that are scored at every evaluation"
    )
    task_data: str | None = Field(
        default=None, description="file or folder that holds the benchmarks; null: the Hugging Face hub"
    )
    task_items: int = Field(
        default=200, gt=0, description="items of each benchmark at most, the same items at every evaluation"
    )
    patience: int | None = Field(
        default=None,
        gt=0,
        description="evaluations in a row without an improvement after which the run ends; null: no such end",
    )
    min_improvement: float = Field(
        default=0.0, ge=0, description="least decrease in bits per byte that counts as an improvement"
    )
