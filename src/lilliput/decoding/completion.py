"""Completions: an engine's tokens turned into text, and cut at stop strings."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lilliput.decoding.engine import Engine, Finish, Request, Token
from lilliput.decoding.stops import StopText

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


@dataclass
class Completion:
    """The text that follows one prompt, growing.

    text    the text after the prompt, up to a stop string where one was found
    tokens  all tokens that the model generated, a stop id and the tokens of a stop string included
    finish  as in Token; "stop" for a stop string too. None while the text grows
    """

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    finish: Finish | None = None

    @property
    def ids(self) -> list[int]:
        """The ids of the text without a stop id; the ids of a stop string are in it."""
        return [token.id for token in self.tokens if token.id is not None and token.finish != "stop"]


def complete(
    engine: Engine, requests: Sequence[Request], tokenizer: Tokenizer, stop: Sequence[str] = (), continuing: bool = True
) -> Iterator[list[Completion]]:
    """Generate for all requests side by side. Yields their completions, in order, after every step in which a text
    grew, the same objects each time. `continuing` as in Tokenizer.decode."""
    completions = [Completion() for _ in requests]
    decoders = [tokenizer.stream(continuing) for _ in requests]
    stops = [StopText(stop) for _ in requests]
    rows = {engine.submit(request): row for row, request in enumerate(requests)}
    while not engine.idle:
        for job, token in engine.step():
            if job.error is not None:
                raise job.error
            row = rows[job]
            text = completions[row]
            text.tokens.append(token)
            new = "" if token.id is None or token.finish == "stop" else decoders[row].push(token.id)
            new += decoders[row].flush() if token.finish else ""
            shown, stopped = stops[row].push(new)
            text.text += shown
            text.finish = "stop" if stopped else token.finish
            if stopped:
                engine.cancel(job)
            elif token.finish:
                text.text += stops[row].flush()
        yield completions


def finished(steps: Iterator[list[Completion]]) -> list[Completion]:
    """Return the completions of `complete` when all have ended."""
    return next(iter(deque(steps, maxlen=1)), [])
