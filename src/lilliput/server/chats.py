"""/v1/chat/completions: the assistant's next message, from models that were trained to chat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, Request, Response

from lilliput.decoding.ends import special_ids
from lilliput.decoding.engine import Request as EngineRequest
from lilliput.objectives.reader import Reader
from lilliput.server import answers, calling
from lilliput.server.errors import Refused, about
from lilliput.server.schemas import (
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChatDelta,
    ChatLogprobs,
    ChatMessage,
    ChatRequest,
    ChatToken,
    ChatTopToken,
    UsageReport,
)
from lilliput.server.served import Served
from lilliput.server.service import Service
from lilliput.server.text_stream import Order, Piece, TextToken


def router(service: Service) -> APIRouter:
    """Return the route for the models of `service`."""
    routes = APIRouter()

    @routes.post(
        "/v1/chat/completions",
        response_model=ChatCompletion,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def chat_completions(request: Request, body: ChatRequest) -> Response:
        worker = service.worker(body.model)
        with about("n"):
            worker.check_room(body.n or 1, answers.client(request))
        orders = await asyncio.to_thread(make_orders, worker.served, body)
        return await answers.respond(request, body, worker, orders, _Answer(worker.served, body))

    return routes


def make_orders(served: Served, body: ChatRequest) -> list[Order]:
    """Return `n` orders for the conversation. Raises LilliputError for a request that cannot be answered."""
    if served.chat is None:
        message = f"'{served.name}' was not trained to chat: there is no chat template in its tokenizer's folder"
        raise Refused(message, "use /v1/completions", param="model")
    if body.top_logprobs and not body.logprobs:
        raise Refused("top_logprobs needs logprobs", 'add "logprobs": true', param="top_logprobs")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        message = "max_tokens and max_completion_tokens are two names of one thing"
        raise Refused(message, "give one of them", param="max_tokens")
    alternatives = answers.alternatives(body.top_logprobs, served, "top_logprobs")
    tools = calling.offered(served, body)
    with about("messages"):
        options = {"tools": tools} if tools else {}
        ids = tuple(served.chat.ids(calling.plain(body.messages), served.tokenizer, **options))
    sampling = answers.sampling(body, body.max_completion_tokens or body.max_tokens or served.context_length)
    limit, stops = answers.constraint(body, served), answers.stops(body)
    return [
        Order(
            EngineRequest(
                ids,
                sampling,
                sample=sample,
                stop_ids=served.stop_ids | special_ids(stops, served.tokenizer),
                alternatives=alternatives,
                constraint=limit,
            ),
            Reader(served.tokenizer, continuing=True),
            stops,
            source="messages",
        )
        for sample in range(body.n or 1)
    ]


@dataclass
class _Answer:
    """Formats pieces as OpenAI's chats."""

    served: Served
    body: ChatRequest
    id: str = field(default_factory=lambda: answers.identifier("chatcmpl"))
    created: int = field(default_factory=lambda: int(time.time()))
    begun: dict[int, calling.Reply] = field(default_factory=dict)

    def chunk(self, index: int, piece: Piece) -> ChatChunk:
        role = None if index in self.begun else "assistant"
        reply = self.begun.setdefault(index, calling.reply(self.body))
        text, calls = reply.take(piece)
        delta = ChatDelta(
            index=index,
            delta=ChatMessage(role=role, content=text, tool_calls=calls or None),
            logprobs=self._logprobs(piece.tokens),
            finish_reason=reply.finish_reason(piece),
        )
        return ChatChunk(id=self.id, created=self.created, model=self.served.name, choices=[delta])

    def last(self, usage: UsageReport) -> ChatChunk:
        return ChatChunk(id=self.id, created=self.created, model=self.served.name, choices=[], usage=usage)

    def whole(self, pieces: Sequence[Piece], usage: UsageReport) -> ChatCompletion:
        choices = [self._choice(index, piece) for index, piece in enumerate(pieces)]
        return ChatCompletion(id=self.id, created=self.created, model=self.served.name, choices=choices, usage=usage)

    def _choice(self, index: int, piece: Piece) -> ChatChoice:
        reply = calling.reply(self.body)
        text, calls = reply.take(piece)
        for call in calls:
            call.index = None
        content = None if calls and not text else text
        return ChatChoice(
            index=index,
            message=ChatMessage(role="assistant", content=content, tool_calls=calls or None),
            logprobs=self._logprobs(piece.tokens),
            finish_reason=reply.finish_reason(piece),
        )

    def _logprobs(self, shown: Sequence[TextToken]) -> ChatLogprobs | None:
        if not self.body.logprobs:
            return None
        content = []
        for token in (one.token for one in shown):
            assert token.id is not None
            own = self._top(token.id, token.log_probability)
            top = [self._top(number, score) for number, score in token.alternatives]
            content.append(ChatToken(**own.model_dump(), top_logprobs=top))
        return ChatLogprobs(content=content)

    def _top(self, number: int, score: float) -> ChatTopToken:
        return ChatTopToken(token=self.served.spell(number), logprob=score, bytes=list(self.served.data(number)))
