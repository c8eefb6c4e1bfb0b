"""Drafters: a model behind an OpenAI-compatible endpoint, or a run of one's own that was trained to chat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from lilliput.base.endpoint import Judge


@dataclass
class Cost:
    """What drafting and checking took: questions that were sent, characters of them and of the answers, seconds."""

    questions: int = 0
    characters_in: int = 0
    characters_out: int = 0
    seconds: float = 0.0
    lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, question: str, answer: str, seconds: float) -> None:
        """Count a question and its answer."""
        with self.lock:
            self.questions += 1
            self.characters_in += len(question)
            self.characters_out += len(answer)
            self.seconds += seconds


@dataclass(frozen=True)
class Drafter:
    """A model that answers questions; `sample` numbers several answers to one question."""

    name: str
    ask: Callable[[str, int], str]
    cost: Cost = field(default_factory=Cost)
    parallel: int = 8

    def answer(self, question: str, sample: int = 0) -> str:
        """Return an answer, and count its cost."""
        began = time.monotonic()
        answer = self.ask(question, sample)
        self.cost.add(question, answer, time.monotonic() - began)
        return answer


def endpoint_drafter(address: str, model: str, temperature: float = 0.7) -> Drafter:
    """Return a drafter behind an endpoint. Answers are cached. Raises JudgeError for no address."""
    judge = Judge(address, model, temperature)
    return Drafter(f"{model} at {address}", lambda question, sample: judge.ask(_messages(question), str, sample))


def model_drafter(run: str, temperature: float = 0.7) -> Drafter:
    """Return a run of one's own as a drafter. Raises ConfigError for a model that was not trained to chat."""
    from lilliput.generation.loading import load

    generator = load(run)
    generator.check_chats()

    def ask(question: str, sample: int) -> str:
        return generator.chat(_messages(question), temperature=temperature, seed=sample)

    return Drafter(run, ask, parallel=1)


def _messages(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]
