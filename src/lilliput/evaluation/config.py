"""EvaluateConfig: the `evaluate` section of a recipe: what is measured and told during a run."""

from __future__ import annotations

from pydantic import Field

from lilliput.base.config import Config


class EvaluateConfig(Config):
    """`evaluate`.

    steps         every how many steps; None is ten times a run
    tokens        size of the fixed set that is scored during the run, in tokens
    final_tokens  the same at the end; None is the whole validation split
    baselines     orders of the n-gram models counted on the same tokens for comparison
    samples       every how many steps the prompts are continued; None is at every evaluation, 0 never
    prompts       openings (endings, for a model trained in reverse); empty means the story world's own
    heroes        stories about children of the story world that are generated at every evaluation; the share of them
                  that keep their hero is `val_hero_kept` (storybook/hero.py). 0: none
    final_heroes  the same at the end
    tasks         benchmarks by likelihood that are scored during the run as well (see evaluate/benchmarks)
    task_data     the file or folder that holds them; None is the Hugging Face hub
    task_items    how many items of each: the same ones every time
    patience      evaluations without an improvement of `min_improvement` bits a byte after which the run ends
    """

    steps: int | None = Field(default=None, gt=0)
    tokens: int = Field(default=32768, gt=0)
    final_tokens: int | None = Field(default=None, gt=0)
    baselines: tuple[int, ...] = (1, 2, 3)
    samples: int | None = Field(default=None, ge=0)
    prompts: tuple[str, ...] = ()
    sample_tokens: int = Field(default=160, gt=0, le=2**20)
    sample_temperature: float = Field(default=0.7, ge=0, le=2)
    heroes: int = Field(default=0, ge=0, le=100_000)
    final_heroes: int = Field(default=0, ge=0, le=100_000)
    tasks: tuple[str, ...] = ()
    task_data: str | None = None
    task_items: int = Field(default=200, gt=0)
    patience: int | None = Field(default=None, gt=0)
    min_improvement: float = Field(default=0.0, ge=0)
