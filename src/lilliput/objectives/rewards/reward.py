"""The contract of every reward: a config that is an entry of `objective.rewards`, and the function that it builds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lilliput.base.config import Config
from lilliput.base.errors import TrainingError
from lilliput.base.registry import Registry
from lilliput.data.examples import Turns

if TYPE_CHECKING:
    from lilliput.objectives.workshop import Workshop

Score = Callable[..., Sequence[float | None]]
"""`reward(prompts, completions, **columns) -> list[float]`. Prompts and completions are texts, or lists of messages
where the examples are conversations; each further column is a list with one value a completion. None for a completion
that this reward does not judge."""


class Reward(Config):
    """One reward. Subclass it in a file of `lilliput/objectives/rewards/`, give `kind` a Literal, register it with
    @REWARDS.add(NAME), and give `build`."""

    kind: Any = None
    weight: float = Field(
        default=1.0, description="factor of this reward in the sum; 0 records it without training on it"
    )

    @property
    def name(self) -> str:
        """The name under which it is recorded: `rewards/NAME/mean`."""
        return str(self.kind)

    @property
    def models(self) -> dict[str, str]:
        """The runs, checkpoints and model folders that this reward loads, by the setting that names each."""
        return {}

    def build(self, workshop: Workshop) -> Score:
        """Return the function that scores completions. Raises LilliputError where it cannot be had."""
        raise NotImplementedError


REWARDS: Registry[type[Reward]] = Registry("reward", "lilliput.objectives.rewards")


def text_of_completion(completion: Turns) -> str:
    """The text of a completion: itself, or the contents of its messages."""
    if isinstance(completion, str):
        return completion
    return "\n".join(str(message.get("content") or "") for message in completion)


def _copies(values: Sequence[Any]) -> list[Any]:
    """A copy of each value, so that a function that changes its arguments changes nothing for another one. Values that
    are one object, as the prompts of a group are, become separate objects."""
    return [copy.deepcopy(value) for value in values]


def scored(
    name: str,
    score: Score,
    prompts: Sequence[Turns],
    completions: Sequence[Turns],
    columns: Mapping[str, Sequence[Any]],
) -> list[float | None]:
    """The scores of all completions. Raises TrainingError where the function fails, or returns another number of
    scores, or values that are no finite numbers."""
    try:
        own = {name: _copies(values) for name, values in columns.items()}
        found = list(score(prompts=_copies(prompts), completions=_copies(completions), **own))
        scores = [None if value is None else float(value) for value in found]
    except Exception as error:  # a user's function may fail in any way
        raise TrainingError(
            f"the reward '{name}' failed: {type(error).__name__}: {error}",
            f"it was given prompts, completions and the columns {', '.join(columns) or 'none'}",
        ) from error
    if len(scores) != len(completions):
        raise TrainingError(f"the reward '{name}' returned {len(scores)} scores for {len(completions)} completions")
    wrong = next((value for value in scores if value is not None and value - value != 0), None)
    if wrong is not None:
        raise TrainingError(f"the reward '{name}' returned {wrong}, and a score is a finite number or None")
    return scores
