"""Guard: what a request must pass before it is read: its Host, its key, its size, and how long it takes to come. It
counts and times them as well, and ends them when the server ends."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from lilliput.server.errors import answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lilliput.server.meters import Meters

OPEN_PATHS = re.compile(r"/|/health|/page/[a-z]+\.(css|js)")
"""What is answered without a key: the page asks for it, and who keeps the server running need not have it."""

BODY_SECONDS = 60.0
"""4 MiB come in that time over a line of half a megabit a second."""


@dataclass(frozen=True)
class Rules:
    """hosts       names that the Host header may give (without the port), or None for any: a page elsewhere whose name
                was rebound to this machine gives its own name
    api_key     the key that requests bear, or None
    body_bytes  the largest request
    body_seconds  the longest that a request's body may take to come"""

    hosts: frozenset[str] | None
    api_key: str | None
    body_bytes: int
    body_seconds: float = BODY_SECONDS


class Calls:
    """The requests that are under way, so that they can be ended with an answer when the server ends."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[object]] = set()
        self.ended = False

    def end(self) -> None:
        """Cancel all of them; the Guard answers those that have no answer yet."""
        self.ended = True
        for task in self.tasks:
            task.cancel()


class Guard:
    """ASGI middleware that answers 421, 401, 408 and 413 by itself, and 503 when the server ends."""

    def __init__(self, app: ASGIApp, rules: Rules, meters: Meters, calls: Calls):
        self.app, self.rules, self.meters, self.calls = app, rules, meters, calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.monotonic(), 0
        task = asyncio.current_task()
        assert task is not None
        self.calls.tasks.add(task)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope["path"], Headers(scope=scope))
            await (refusal or self.app)(scope, self._counted(receive), watched)
        except asyncio.CancelledError:
            if not self.calls.ended:
                raise
            task.uncancel()
            if not status:
                stopping = answer(503, "the server is being stopped", headers={"Connection": "close"})
                await stopping(scope, receive, watched)
        finally:
            self.calls.tasks.discard(task)
            # The route's own path, never what a client made up: it becomes a label.
            path = getattr(scope.get("route"), "path", "other")
            self.meters.request(path, status or 500, time.monotonic() - began)

    def _refusal(self, path: str, headers: Headers) -> ASGIApp | None:
        rules = self.rules
        host = _without_port(headers.get("host", ""))
        if rules.hosts is not None and host not in rules.hosts:
            return answer(421, f"this server answers to {', '.join(sorted(rules.hosts))}, not to '{host}'")
        scheme, _, key = headers.get("authorization", "").partition(" ")
        wanted = None if OPEN_PATHS.fullmatch(path) else rules.api_key
        # RFC 9110: a scheme is spelled in any case, and spaces follow it. The key's bytes come as Latin-1.
        given = key.strip(" ").encode("latin-1") if scheme.lower() == "bearer" else b""
        if wanted is not None and not secrets.compare_digest(given, wanted.encode()):
            message = "the API key is missing or wrong. send it as: Authorization: Bearer KEY"
            return answer(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > rules.body_bytes:
            return answer(413, self._too_large(int(length)))
        return None

    def _counted(self, receive: Receive) -> Receive:
        """`receive`, which fails once a body that did not say its size has grown too large, or takes too long."""
        total, whole = 0, False
        deadline = time.monotonic() + self.rules.body_seconds

        async def counted() -> Message:
            nonlocal total, whole
            if whole:  # what comes now is that the client leaves
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                message = f"the request took longer than {self.rules.body_seconds:g} seconds to come"
                raise HTTPException(408, message, headers={"Connection": "close"}) from None
            total += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if total > self.rules.body_bytes:
                raise HTTPException(413, self._too_large(total))
            return message

        return counted

    def _too_large(self, size: int) -> str:
        return f"the request has {size:,} bytes or more, and this server reads {self.rules.body_bytes:,}"


def _without_port(host: str) -> str:
    """`localhost` of `localhost:8000`, `[::1]` of `[::1]:8000`."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()
