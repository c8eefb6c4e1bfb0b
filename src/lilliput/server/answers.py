"""Code that completions and chats share: sampling, constraints, and an answer as one body or as a stream of events."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from lilliput.base.config import validate
from lilliput.base.errors import LilliputError
from lilliput.decoding.sampling import SamplingConfig
from lilliput.server.connections import client_of
from lilliput.server.errors import Refused, about, explain, problem
from lilliput.server.schemas import UsageReport
from lilliput.server.service import unless_left
from lilliput.server.text_stream import Order, Piece, Usage, generate

if TYPE_CHECKING:
    from lilliput.decoding.constrained import Constraint
    from lilliput.server.schemas import Draw, FinishReason
    from lilliput.server.served import Served
    from lilliput.server.worker import Worker

log = logging.getLogger("lilliput.server")
DRAWN = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed")
Pieces = AsyncGenerator[tuple[int, Piece], None]


def sampling(draw: Draw, max_tokens: int) -> SamplingConfig:
    """The sampling settings of a request, with OpenAI's defaults."""
    given = {name: value for name in DRAWN if (value := getattr(draw, name)) is not None}
    defaults = {"temperature": 1.0, "seed": secrets.randbelow(2**31)}
    return validate(SamplingConfig, {**defaults, **given, "max_tokens": max_tokens}, "the request")


def stops(draw: Draw) -> tuple[str, ...]:
    """Return the request's stop strings."""
    return (draw.stop,) if isinstance(draw.stop, str) else tuple(draw.stop or ())


def constraint(draw: Draw, served: Served) -> Constraint | None:
    """Return the constraint of `response_format`. Raises ConfigError for a schema that the constraint cannot enforce,
    and MissingExtra without llguidance."""
    form = draw.response_format
    if form is None or form.type == "text":
        return None
    if not served.objective.reads_forwards:
        message = f"'{served.name}' reads backwards, so it cannot keep to a response_format"
        raise Refused(message, param="response_format")
    if form.type == "json_schema" and form.json_schema is None:
        hint = 'add "json_schema": {"schema": {...}}'
        raise Refused("response_format lacks the schema", hint, param="response_format.json_schema")
    from lilliput.decoding.constrained import Constraint

    schema = form.json_schema.schema_ if form.json_schema else {"type": "object"}
    with about("response_format"):
        return Constraint.json_schema(schema, served.tokenizer)


def alternatives(count: int | None, served: Served, param: str) -> int:
    """Return the number of likeliest tokens that the field `param` asks for. Raises Refused for more than the
    vocabulary has."""
    known = served.model.config.vocab_size
    if (count or 0) > known:
        raise Refused(f"{param} asks for {count} tokens; '{served.name}' knows {known}", param=param)
    return count or 0


def finish_reason(piece: Piece) -> FinishReason | None:
    """Return the engine's reason in OpenAI's words; None for a text that has not ended. A full context is 'length'."""
    if piece.finish is None:
        return None
    return "stop" if piece.finish == "stop" else "length"


def report(usage: Usage) -> UsageReport:
    """Return the usage of an answer."""
    read, generated = usage.prompt_tokens, usage.completion_tokens
    return UsageReport(prompt_tokens=read, completion_tokens=generated, total_tokens=read + generated)


class Answer(Protocol):
    """Formats pieces of text as one route answers."""

    def chunk(self, index: int, piece: Piece) -> BaseModel:
        """Return one event of a stream."""
        ...

    def last(self, usage: UsageReport) -> BaseModel:
        """Return the event that holds the usage and no piece."""
        ...

    def whole(self, pieces: Sequence[Piece], usage: UsageReport) -> BaseModel:
        """Return the whole answer. `pieces` has one joined piece for each text."""
        ...


async def respond(request: Request, draw: Draw, worker: Worker, orders: Sequence[Order], answer: Answer) -> Response:
    """Generate the ordered texts. The answer is a stream, or one body after the last token, as the request asks."""
    if draw.stream_options is not None and not draw.stream:
        raise Refused("stream_options is for streams", 'add "stream": true, or leave it out', param="stream_options")
    usage = Usage()
    pieces = generate(worker, orders, usage, client(request))
    if draw.stream:
        first = await unless_left(request, anext(pieces))
        wanted = draw.stream_options is not None and draw.stream_options.include_usage is True
        return EventStream(first, pieces, answer, usage if wanted else None)
    answers = await unless_left(request, _all(pieces, orders))
    return Response(answer.whole(answers, report(usage)).model_dump_json(), media_type="application/json")


async def _all(pieces: Pieces, orders: Sequence[Order]) -> list[Piece]:
    answers = [Piece()] * len(orders)
    async with aclosing(pieces):
        async for index, piece in pieces:
            answers[index] = answers[index].joined(piece, orders[index].forwards)
    return answers


def client(request: Request) -> str:
    """Return the client's address, by which slots and queue are shared. For a proxy on this machine, uvicorn takes the
    address in X-Forwarded-For."""
    return client_of(request.client.host) if request.client else ""


def identifier(kind: str) -> str:
    """Return a new id of an answer, such as cmpl-0123abcd."""
    return f"{kind}-{secrets.token_hex(12)}"


class EventStream(StreamingResponse):
    """Server-sent events, one a chunk, then [DONE]. `pieces` are closed when the last event is sent or the client has
    left; this frees their slots."""

    def __init__(self, first: tuple[int, Piece], pieces: Pieces, answer: Answer, usage: Usage | None):
        super().__init__(self._events(first, answer, usage), media_type="text/event-stream")
        self.headers["Cache-Control"] = "no-store"
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces):
            await super().__call__(scope, receive, send)

    async def _events(self, first: tuple[int, Piece], answer: Answer, usage: Usage | None) -> AsyncIterator[str]:
        try:
            yield _event(answer.chunk(*first))
            async for index, piece in self._pieces:
                yield _event(answer.chunk(index, piece))
        except Exception as error:
            if not isinstance(error, LilliputError):
                log.exception("a stream failed in the middle")
            yield _event(problem(*explain(error)))
            return
        if usage is not None:
            yield _event(answer.last(report(usage)))
        yield "data: [DONE]\n\n"


def _event(value: BaseModel) -> str:
    return f"data: {value.model_dump_json()}\n\n"
