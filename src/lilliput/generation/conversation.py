"""Conversation: messages with a model, its replies piece by piece, and the tools that it calls."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import ConfigError
from lilliput.generation.tools import Call, CallReader, descriptions, run

if TYPE_CHECKING:
    from lilliput.generation.text_generator import TextGenerator

ROUNDS = 4
"""Most times that tools are run for one message of the user. A model that goes on calling would never end."""
ROOM = 4
"""A prompt leaves at least one part in so many of the context for the reply."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that was run, and its answer."""

    call: Call
    answer: str


Replies = Generator[str | Answered, None, None]


class Conversation:
    """Messages of a user and the model's replies.

    messages  what was written so far, without the system prompt, as chat templates take messages
    system    the system prompt, or None
    tools     names of tools that the model may call (see generation.tools): a call is run, its answer becomes a
              message, and the model goes on
    dropped   messages at the beginning that the last reply did not see, because the context was full
    sampling  as in SamplingConfig

    Raises ConfigError for an unknown tool, and where `TextGenerator.chat` does.
    """

    def __init__(self, generator: TextGenerator, system: str | None = None, tools: Sequence[str] = (), **sampling: Any):
        self.generator, self.system, self.tools, self.sampling = generator, system, tuple(tools), sampling
        self.messages: list[dict[str, Any]] = []
        self.dropped = 0
        self._described = descriptions(self.tools)
        self._again = 0

    def ask(self, text: str) -> Replies:
        """Send a message, and yield the reply in pieces, with every call that was run. A reply that is left in the
        middle stays as far as it was generated."""
        self._again = 0
        self.messages.append({"role": "user", "content": text})
        yield from self._reply()

    def regenerate(self) -> Replies:
        """Drop the last reply and generate another one. Raises ConfigError before the first message."""
        last = self._last_question()
        if last is None:
            raise ConfigError("there is no message to reply to yet")
        del self.messages[last + 1 :]
        self._again += 1
        yield from self._reply()

    def undo(self) -> bool:
        """Drop the last message of the user and everything behind it; whether there was one."""
        last = self._last_question()
        if last is not None:
            del self.messages[last:]
        return last is not None

    def reset(self) -> None:
        """Drop all messages. The system prompt stays."""
        self.messages.clear()

    @property
    def reply(self) -> str:
        """The text of the last message, where that is the assistant's; else nothing."""
        last = self.messages[-1] if self.messages else {}
        return (last.get("content") or "") if last.get("role") == "assistant" else ""

    def _last_question(self) -> int | None:
        places = (place for place in range(len(self.messages) - 1, -1, -1) if self.messages[place]["role"] == "user")
        return next(places, None)

    def _reply(self) -> Replies:
        for round_number in range(ROUNDS + 1):
            calls: list[Call] = []
            yield from self._message(calls)
            if not calls or round_number == ROUNDS:
                return
            for call in calls:
                answer = run(call, self.tools)
                self.messages.append({"role": "tool", "name": call.name, "content": answer})
                yield Answered(call, answer)

    def _message(self, calls: list[Call]) -> Iterator[str]:
        """Generate one message of the assistant, and put its calls into `calls`."""
        seed = int(self.sampling.get("seed", 0)) + self._again
        seen = self._fitting()
        pieces = self.generator.stream_chat(seen, tools=self._described, **{**self.sampling, "seed": seed})
        reader, text, ended = CallReader() if self.tools else None, "", False
        try:
            for piece in pieces:
                shown, found = reader.push(piece) if reader else (piece, [])
                text += shown
                calls += found
                if shown:
                    yield shown
            rest = reader.flush() if reader else ""
            text += rest
            ended = True
            if rest:
                yield rest
        finally:  # the reader of the pieces may leave, by Ctrl-C
            message: dict[str, Any] = {"role": "assistant", "content": text}
            if calls:
                message["tool_calls"] = [call.message for call in calls]
            if text or calls or ended:
                self.messages.append(message)

    def _fitting(self) -> list[dict[str, Any]]:
        """The system prompt and the newest messages that leave room for a reply, from a message of the user on."""
        head = [{"role": "system", "content": self.system}] if self.system else []
        room = self.generator.model.config.context_length * (ROOM - 1) // ROOM
        starts = [place for place, message in enumerate(self.messages) if message["role"] == "user"]
        seen = [*head, *self.messages]
        for self.dropped in (0, *starts[1:]):
            seen = [*head, *self.messages[self.dropped :]]
            if self.generator.prompt_length(seen, self._described) <= room:
                break
        return seen
