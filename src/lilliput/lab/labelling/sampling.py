"""Sampling: the replies of a model to a prompt, and a thread that generates them while a person reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lilliput.base import seeds
from lilliput.base.errors import LilliputError
from lilliput.lab.labelling.record import HALF, Candidate, Prompt

if TYPE_CHECKING:
    from lilliput.generation.text_generator import TextGenerator

AHEAD = 4
"""Prompts whose replies are generated before they are asked for."""
DRAWS = 3
"""A reply that equals another one is drawn again, until there are this many times the wanted number."""


class Unusable(Exception):
    """A prompt that cannot be shown; the message is the reason."""


@dataclass(frozen=True)
class Sampler:
    """Generates `samples` different replies to a prompt, the same ones for the same seed.

    generator  the loaded model
    model      its name, and `sha256` of its weights
    sampling   temperature, max_tokens
    """

    generator: TextGenerator
    model: str
    sha256: str | None
    samples: int
    seed: int
    sampling: dict[str, float | int]

    def __call__(self, prompt: Prompt) -> tuple[Candidate, ...]:
        """Raises Unusable where the model does not take the prompt, or gives fewer different replies."""
        seed = seeds.derive(self.seed, "label", repr(prompt)) % HALF
        found: dict[str, Candidate] = {}
        for round_number in range(DRAWS):
            for candidate in self._draw(prompt, seed, round_number * self.samples):
                found.setdefault(candidate.text.strip(), candidate)
            if len(found) >= self.samples:
                return tuple(found.values())[: self.samples]
        raise Unusable(f"the model gave {len(found)} different replies, and {self.samples} are compared")

    def _draw(self, prompt: Prompt, seed: int, first: int) -> list[Candidate]:
        """`samples` replies. A draw of its own has a seed of its own, `seed + first`."""
        options: dict[str, Any] = {**self.sampling, "seed": seed + first}
        try:
            if isinstance(prompt, str):
                found = self.generator.generate_detailed(prompt, None, **options, n=self.samples)
                return [self._candidate(text.text, {**options, "sample": sample}) for sample, text in enumerate(found)]
            return [
                self._candidate(self.generator.chat(prompt, **options, n=1), options)
                for options in ({**options, "seed": seed + first + sample} for sample in range(self.samples))
            ]
        except LilliputError as error:
            raise Unusable(error.message) from None

    def _candidate(self, text: str, sampling: dict[str, float | int]) -> Candidate:
        return Candidate(text=text, model=self.model, sha256=self.sha256, sampling=sampling)


class Ahead:
    """Makes the replies to `prompts` in order, in a thread, at most `ahead` of them before they are taken.

    A prompt that is asked for out of its turn is made next."""

    def __init__(
        self,
        make: Callable[[Prompt], tuple[Candidate, ...]],
        prompts: Sequence[Prompt],
        ahead: int = AHEAD,
    ):
        self._make, self._waiting, self._ahead = make, list(prompts), ahead
        self._made: dict[str, tuple[Candidate, ...] | BaseException] = {}
        self._taken: set[str] = set()
        self._changed, self._closed = threading.Condition(), False
        self._thread = threading.Thread(target=self._work, name="samples", daemon=True)
        self._thread.start()

    def get(self, prompt: Prompt, timeout: float | None = None) -> tuple[Candidate, ...] | None:
        """The replies to a prompt, or None where they are not there after `timeout` seconds. Raises Unusable for a
        prompt that the model does not take, and whatever else generating raised."""
        key = repr(prompt)
        with self._changed:
            if key not in self._made and prompt in self._waiting and self._waiting[0] != prompt:
                self._waiting.remove(prompt)
                self._waiting.insert(0, prompt)
            self._taken.add(key)
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: key in self._made or self._closed, timeout):
                return None
            found = self._made.get(key)
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """End the thread after the prompt that it works on. The thread is not waited for for long."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _work(self) -> None:
        while (prompt := self._next()) is not None:
            try:
                found: tuple[Candidate, ...] | BaseException = self._make(prompt)
            except BaseException as error:  # raised again where the replies are taken
                found = error
            with self._changed:
                self._made[repr(prompt)] = found
                self._changed.notify_all()

    def _next(self) -> Prompt | None:
        """The next prompt, once so few are in store; None when all are made or the work is closed."""

        def free() -> bool:
            wanted = bool(self._waiting) and repr(self._waiting[0]) in self._taken
            return self._closed or not self._waiting or wanted or len(self._made.keys() - self._taken) < self._ahead

        with self._changed:
            self._changed.wait_for(free)
            return self._waiting.pop(0) if self._waiting and not self._closed else None
