"""Sessions over replies that no model has to generate, and a clock that the test turns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lilliput.lab.labelling.record import Candidate, Mode, Prompt
from lilliput.lab.labelling.sampling import Ahead
from lilliput.lab.labelling.session import Session, Task
from lilliput.lab.labelling.store import Store

PROMPTS = ("One day Tom", "There was a fox.", "Anna saw a kite")
SAMPLING: dict[str, float | int] = {"temperature": 0.8, "max_tokens": 20}


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def replies(prompt: Prompt, count: int = 4, model: str = "story") -> tuple[Candidate, ...]:
    """Replies that name their number: candidate 0 of 'One day Tom' is ' saw 0'."""
    sampling = {**SAMPLING, "seed": 7}
    return tuple(Candidate(text=f" saw {n}", model=model, sampling={**sampling, "sample": n}) for n in range(count))


@dataclass
class Labelling:
    """Opens sessions on one labels file, as several starts of the command would."""

    path: Path
    clock: Clock = field(default_factory=Clock)
    printed: list[str] = field(default_factory=list)
    opened: list[Ahead] = field(default_factory=list)

    def session(
        self,
        mode: Mode = "rank",
        labeller: str = "ada",
        samples: int = 2,
        prompts: Sequence[Prompt] = PROMPTS,
        seed: int = 0,
        make: Callable[[Prompt], tuple[Candidate, ...]] | None = None,
    ) -> Session:
        task = Task(mode, labeller, samples, "story", seed, SAMPLING)
        ahead = None
        if mode != "demonstrate":
            ahead = Ahead(make or (lambda prompt: replies(prompt, samples)), prompts)
            self.opened.append(ahead)
        return Session(task, task.items(prompts), Store(self.path), ahead, self.printed.append, self.clock)


@pytest.fixture
def labelling(tmp_path: Path) -> Iterator[Labelling]:
    made = Labelling(tmp_path / "labels" / "story.jsonl")
    yield made
    for ahead in made.opened:
        ahead.close()
