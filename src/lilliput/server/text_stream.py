"""TextStream: makes pieces of text that are safe to send, from the engine's tokens of one text."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lilliput.decoding.engine import Token
from lilliput.decoding.stops import StopText
from lilliput.server.errors import about

if TYPE_CHECKING:
    from lilliput.decoding.decode import Finish
    from lilliput.decoding.engine import Request
    from lilliput.objectives.reader import Reader
    from lilliput.server.altered import Off
    from lilliput.server.worker import Worker


@dataclass(frozen=True)
class Order:
    """One text to generate.

    echoed    how many ids of the prompt, counted from its end, are part of the text (the forced ones among them)
    forced    how many ids at the prompt's end count as generated: stop strings are looked for in them
    scores_only  whether the text ends with the prompt: tokens that the engine generates after it are neither shown nor
              counted
    source    the request's field that the prompt comes from
    forwards  whether the text grows at its end; otherwise it grows at its beginning
    off       the parts of the model that are off; None: no part. The orders of a request have the same parts off
    """

    request: Request
    reader: Reader
    stops: tuple[str, ...] = ()
    echoed: int = 0
    forced: int = 0
    scores_only: bool = False
    source: str = "prompt"
    forwards: bool = True
    off: Off | None = None


@dataclass(frozen=True, slots=True)
class TextToken:
    """A token of the text. `offset` is the number of characters between the token and the place where the text started
    to grow."""

    token: Token
    offset: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to put behind the text sent before (in front of it, for a text generated backwards), the tokens whose text
    is now whole, and the reason where the text ends with this piece."""

    text: str = ""
    tokens: tuple[TextToken, ...] = ()
    finish: Finish | None = None

    def joined(self, later: Piece, forwards: bool) -> Piece:
        """Return this piece and the next piece as one piece."""
        text = self.text + later.text if forwards else later.text + self.text
        return Piece(text, self.tokens + later.tokens, later.finish)


class TextStream:
    """Makes the pieces of one text. It holds back text that may be the beginning of a stop string, and parts of a
    character."""

    def __init__(self, order: Order):
        self._order, self._reader = order, order.reader
        # A text generated backwards grows at its front. Mirrored letter by letter, it grows at its end.
        self._turn = slice(None) if order.forwards else slice(None, None, -1)
        self._stops = StopText([stop[self._turn] for stop in order.stops])
        self._begun = False
        self._shown = 0  # characters
        self._waiting: deque[tuple[TextToken, int]] = deque()  # tokens that are not whole, with where they end

    def hear(self, token: Token, scores: Sequence[Token | None] | None) -> Iterator[Piece]:
        """Yield the pieces that the engine's next token adds. A piece with a finish is the last piece. `scores` are the
        prompt's, where the prompt was scored."""
        if not self._begun:
            self._begun = True
            for piece in self._begin(scores):
                yield piece
                if piece.finish:
                    return
        yield self._end("length") if self._order.scores_only else self._push(token)

    def _begin(self, scores: Sequence[Token | None] | None) -> Iterator[Piece]:
        """Yield the part of the prompt that belongs to the text."""
        prompt = self._order.request.prompt
        for place in range(len(prompt) - self._order.echoed, len(prompt)):
            token = (scores[place] if scores else None) or Token(prompt[place], math.nan)
            yield self._add(token, matched=place >= len(prompt) - self._order.forced)

    def _push(self, token: Token) -> Piece:
        if token.id is None:
            return self._end("stop")
        if token.finish == "stop":
            last = TextToken(token, self._reader.characters)
            piece = self._end("stop")
            return Piece(piece.text, (*piece.tokens, last), "stop")
        piece = self._add(token, matched=True)
        if piece.finish or token.finish is None:
            return piece
        return piece.joined(self._end(token.finish), self._order.forwards)

    def _add(self, token: Token, matched: bool) -> Piece:
        assert token.id is not None
        shown = TextToken(token, self._reader.characters)
        text = self._reader.push(token.id)
        self._waiting.append((shown, self._reader.characters))
        return self._show(text, matched)

    def _show(self, text: str, matched: bool) -> Piece:
        """Return the part of new text that is safe to show, after a search for stop strings."""
        found = False
        if matched:
            text, found = self._stops.push(text[self._turn])
            text = text[self._turn]
        self._shown += len(text)
        return Piece(text, self._whole(found) if text or found else (), "stop" if found else None)

    def _whole(self, last: bool) -> tuple[TextToken, ...]:
        """Return the tokens whose text has been shown whole (for the last piece, also in part). A token without text of
        its own (the middle of a character) belongs to the token after it."""
        count = 0
        for place, (shown, end) in enumerate(self._waiting, start=1):
            if end > self._shown and not (last and shown.offset < self._shown):
                break
            if end > shown.offset or last:
                count = place
        return tuple(self._waiting.popleft()[0] for _ in range(count))

    def _end(self, finish: Finish) -> Piece:
        """Return the text that was held back, as the last piece."""
        piece = self._show(self._reader.flush(), matched=True)
        if piece.finish:
            return piece
        held = self._stops.flush()[self._turn]
        self._shown += len(held)
        return piece.joined(Piece(held, self._whole(last=True), finish), self._order.forwards)


@dataclass
class Usage:
    """Tokens read and generated so far."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


async def generate(
    worker: Worker, orders: Sequence[Order], usage: Usage, client: str
) -> AsyncGenerator[tuple[int, Piece], None]:
    """Yield (index, piece) of every order of `client` as the pieces come. Closing it early frees all its slots at once.

    Raises as `Worker.submit` does before the first piece, and the engine's error in the middle."""
    streams = [TextStream(order) for order in orders]
    with about(orders[0].source):
        call = await worker.submit([order.request for order in orders], client, orders[0].off)
    first = [order.request for order in orders if order.request.sample == 0]
    usage.prompt_tokens = sum(len(request.prompt) + len(request.source) for request in first)
    worker.prompt_tokens += usage.prompt_tokens
    try:
        with about("response_format"):  # the engine refuses a text under way only for its constraint
            async for event in call:
                generated = event.token.id is not None and not orders[event.index].scores_only
                usage.completion_tokens += generated
                worker.completion_tokens += generated
                for piece in streams[event.index].hear(event.token, event.job.prompt_scores):
                    if piece.finish:
                        call.cancel(event.index)
                    if piece != Piece():
                        yield event.index, piece
    finally:
        call.cancel()
