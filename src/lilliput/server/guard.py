"""Guard: checks a request before it is read: its Host, its key, its size, and the time in which it arrives. The Guard
also counts and times requests, and ends them when the server ends."""

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
"""Paths that need no key. The page asks its user for the key, and a monitor of the server need not have it."""

BODY_SECONDS = 60.0
"""Long enough for 4 MiB over a line of half a megabit a second."""


@dataclass(frozen=True)
class Rules:
    """hosts       names that the Host header may hold (without the port), or None for any name. A foreign page whose
                name was rebound to this machine sends its own name
    api_key     the key that requests carry, or None
    body_bytes  the most bytes of a request
    body_seconds  the most seconds in which a request's body may arrive"""

    hosts: frozenset[str] | None
    api_key: str | None
    body_bytes: int
    body_seconds: float = BODY_SECONDS


class Calls:
    """The requests under way. When the server ends, it can end them with an answer."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[object]] = set()
        self.ended = False

    def end(self) -> None:
        """Cancel all requests. The Guard answers the requests that have no answer yet."""
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
            # The route's own path, never a path that a client made up, because it becomes a label.
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
        """Return a `receive` that fails once a body without a stated size has grown too large, or takes too long."""
        total, whole = 0, False
        deadline = time.monotonic() + self.rules.body_seconds

        async def counted() -> Message:
            nonlocal total, whole
            if whole:  # the next message is that the client has left
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
    """Return `localhost` of `localhost:8000`, `[::1]` of `[::1]:8000`."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()
