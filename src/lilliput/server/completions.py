"""/v1/completions: text that continues a prompt, that leads to an ending, or that stands between two texts."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response

from lilliput.decoding.ends import special_ids
from lilliput.decoding.engine import Request as EngineRequest
from lilliput.decoding.engine import Token
from lilliput.server import altered, answers
from lilliput.server.errors import Refused, about
from lilliput.server.schemas import Choice, Completion, CompletionRequest, Logprobs, TopToken, UsageReport
from lilliput.server.served import Served
from lilliput.server.service import Service
from lilliput.server.text_stream import Order, Piece, TextToken

DEFAULT_TOKENS = 16  # OpenAI's


def router(service: Service) -> APIRouter:
    """Return the route for the models of `service`."""
    routes = APIRouter()

    @routes.post(
        "/v1/completions",
        response_model=Completion,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def completions(request: Request, body: CompletionRequest) -> Response:
        worker = service.worker(body.model)
        prompts, n = len(_several(body.prompt)), body.n or 1
        with about("n" if n > prompts else "prompt"):
            worker.check_room(prompts * n, answers.client(request))  # before anything is made of each of them
        orders = await asyncio.to_thread(make_orders, worker.served, body)
        return await answers.respond(request, body, worker, orders, _Answer(worker.served, body, orders))

    return routes


# ---------------------------------------------------------------------------- the request


@dataclass(frozen=True)
class _Prompt:
    """A prompt as ids. The last `given` ids stand for text, and a mark may stand before them. The text, where it is
    known, is an opening, an ending, or both around a missing middle. The encoder of a model that has one reads
    `source`."""

    ids: list[int]
    given: int
    opening: str | None = None
    ending: str | None = None
    forbidden: tuple[int, ...] = ()
    source: tuple[int, ...] = ()


def make_orders(served: Served, body: CompletionRequest) -> list[Order]:
    """Return `n` orders for each prompt, in OpenAI's order. Raises LilliputError for a request that cannot be
    answered."""
    if not served.objective.generates:
        refusal = served.objective.no_text()
        raise Refused(refusal.message, refusal.hint, param="model")
    forced = body.forced_token_ids or []
    _check_ids(served, forced, "forced_token_ids", param="forced_token_ids")
    limit = answers.constraint(body, served)
    if forced and limit is not None:
        message = "forced_token_ids and response_format cannot be had together"
        raise Refused(message, "leave one of them out", param="forced_token_ids")
    new = DEFAULT_TOKENS if body.max_tokens is None else body.max_tokens
    if not new and not body.echo and not forced:
        raise Refused("max_tokens 0 generates no text", 'add "echo": true to score the prompt', param="max_tokens")
    sampling = answers.sampling(body, max(new, 1))
    stops = (*answers.stops(body), *served.objective.stops(body.suffix or ""))
    alternatives = answers.alternatives(body.logprobs, served, "logprobs")
    parts_off = altered.off(served, body.ablate, body.ablation)
    orders = []
    if served.objective.reads_source and (body.echo or forced):
        param = "echo" if body.echo else "forced_token_ids"
        raise Refused(f"'{served.name}' answers a source, and has no '{param}'", f"leave '{param}' out", param=param)
    for prompt in _prompts(served, body):
        echoed = len(forced) + (prompt.given if body.echo else 0)
        ids = (*prompt.ids, *forced)
        sides = (None, None) if body.echo else (prompt.opening, prompt.ending)
        orders += [
            Order(
                EngineRequest(
                    ids,
                    sampling,
                    sample=sample,
                    stop_ids=served.stop_ids | special_ids(stops, served.tokenizer),
                    forbidden_first=() if forced else prompt.forbidden,
                    alternatives=alternatives,
                    prompt_log_probabilities=body.logprobs is not None and echoed > 0,
                    constraint=limit,
                    source=prompt.source,
                ),
                served.objective.reader(served.tokenizer, *sides),
                stops,
                echoed=echoed,
                forced=len(forced),
                scores_only=not new,
                source="prompt" if body.ending is None else "ending",
                forwards=served.objective.reads_forwards,
                off=parts_off,
            )
            for sample in range(body.n or 1)
        ]
    return orders


def _prompts(served: Served, body: CompletionRequest) -> list[_Prompt]:
    if body.suffix:
        return _around(served, body, body.suffix)
    if body.ending is not None:
        if body.prompt is not None:
            raise Refused("the request holds both 'prompt' and 'ending'", "give one of them", param="ending")
        return [_from_text(served, None, body.ending)]
    several = _several(body.prompt)
    return [_from_ids(served, one) if isinstance(one, list) else _from_text(served, one, None) for one in several]


def _around(served: Served, body: CompletionRequest, suffix: str) -> list[_Prompt]:
    """Return the prompts for texts between each prompt and the suffix."""
    if not served.objective.fills:
        kind = served.objective.kind
        message = f"'{served.name}' takes no 'suffix': its objective '{kind}' fills in no middle"
        raise Refused(message, "leave 'suffix' out, or ask a model of objective.kind=fim", param="suffix")
    if body.ending is not None or body.echo:
        other = "ending" if body.ending is not None else "echo"
        raise Refused(f"the request holds both 'suffix' and '{other}'", "give one of them", param=other)
    several = _several(body.prompt)
    if any(isinstance(one, list) for one in several):
        raise Refused("the text before a suffix is a text, and no ids", "give 'prompt' as a text", param="prompt")
    with about("prompt"):
        made = [served.objective.prompt(served.tokenizer, one, suffix) for one in several]
    return [_Prompt(prompt.ids, 0, one, suffix) for prompt, one in zip(made, several, strict=True)]


def _several(prompt: Any) -> list[Any]:
    """Return the prompts of a field that may hold one prompt or several. Each is a text or a list of ids."""
    if isinstance(prompt, list) and not isinstance(prompt[0], int):
        return prompt
    return ["" if prompt is None else prompt]


def _from_ids(served: Served, ids: list[int]) -> _Prompt:
    _check_ids(served, ids, "the prompt", param="prompt")
    if served.objective.reads_source:
        return _Prompt([served.tokenizer.pad_id], 0, source=tuple(ids))
    return _Prompt(ids, len(ids), opening=served.tokenizer.decode(ids) if served.objective.reads_forwards else None)


def _from_text(served: Served, opening: str | None, ending: str | None) -> _Prompt:
    forwards = served.objective.reads_forwards
    if forwards and ending is not None:
        message = f"'{served.name}' reads forwards: it cannot lead to a given ending"
        raise Refused(message, "give 'prompt' instead", param="ending")
    if not forwards and opening:
        message = f"'{served.name}' reads backwards: it cannot go on from a prompt"
        raise Refused(message, "give 'ending' instead, or token ids", param="prompt")
    opening = opening if forwards else None
    with about("prompt" if ending is None else "ending"):
        prompt = served.objective.prompt(served.tokenizer, opening, ending)
    if prompt.source:
        return _Prompt(prompt.ids, 0, opening, None, tuple(prompt.forbidden), tuple(prompt.source))
    given = len(prompt.ids) - (1 if served.tokenizer.begins or not (opening or ending) else 0)
    return _Prompt(prompt.ids, given, opening, ending, tuple(prompt.forbidden))


def _check_ids(served: Served, ids: Sequence[int], where: str, param: str) -> None:
    size = min(served.tokenizer.vocab_size, served.model.config.vocab_size)
    if max(ids, default=0) >= size:
        raise Refused(f"{where} holds the id {max(ids)}; '{served.name}' knows 0 to {size - 1}", param=param)


# ---------------------------------------------------------------------------- the answer


@dataclass
class _Answer:
    """Formats pieces as OpenAI's completions."""

    served: Served
    body: CompletionRequest
    orders: Sequence[Order]
    id: str = field(default_factory=lambda: answers.identifier("cmpl"))
    created: int = field(default_factory=lambda: int(time.time()))
    begun: set[int] = field(default_factory=set)

    def chunk(self, index: int, piece: Piece) -> Completion:
        return self._completion([self._choice(index, piece)])

    def last(self, usage: UsageReport) -> Completion:
        return self._completion([], usage)

    def whole(self, pieces: Sequence[Piece], usage: UsageReport) -> Completion:
        return self._completion([self._choice(index, piece) for index, piece in enumerate(pieces)], usage)

    def _completion(self, choices: list[Choice], usage: UsageReport | None = None) -> Completion:
        return Completion(id=self.id, created=self.created, model=self.served.name, choices=choices, usage=usage)

    def _choice(self, index: int, piece: Piece) -> Choice:
        choice = Choice(index=index, text=piece.text, finish_reason=answers.finish_reason(piece))
        if self.body.logprobs is not None:
            choice.logprobs = self._logprobs(piece.tokens)
        if self.body.return_token_ids:
            choice.token_ids = [shown.token.id for shown in piece.tokens if shown.token.id is not None]
            if index not in self.begun:
                request = self.orders[index].request
                choice.prompt_token_ids = list(request.prompt[: len(request.prompt) - self.orders[index].echoed])
        self.begun.add(index)
        return choice

    def _logprobs(self, shown: Sequence[TextToken]) -> Logprobs:
        tokens = [one.token for one in shown]
        logprobs = Logprobs(
            tokens=[self.served.spell(token.id) for token in tokens if token.id is not None],
            token_logprobs=[None if math.isnan(token.log_probability) else token.log_probability for token in tokens],
            top_logprobs=[None if math.isnan(token.log_probability) else self._likeliest(token) for token in tokens],
            text_offset=[one.offset for one in shown],
        )
        if self.body.return_token_ids:
            logprobs.top_tokens = [
                [
                    TopToken(id=number, token=self.served.spell(number), logprob=score)
                    for number, score in token.alternatives
                ]
                for token in tokens
            ]
        return logprobs

    def _likeliest(self, token: Token) -> dict[str, float]:
        """Return the log-probabilities of the likeliest tokens and of the generated token. Of two tokens with one
        spelling, the likelier token counts."""
        found: dict[str, float] = {}
        for number, score in (*token.alternatives, (token.id, token.log_probability)):
            if number is not None:
                found.setdefault(self.served.spell(number), score)
        return found
