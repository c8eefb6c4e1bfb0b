"""Guard: what a request must pass before it is read: its Host, its key, its size. It counts and times them as well."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from lilliput.serve.errors import answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lilliput.serve.meters import Meters

OPEN_PATHS = re.compile(r"/|/health|/page/[a-z]+\.(css|js)")
"""What is answered without a key: the page asks for it, and who keeps the server running need not have it."""


@dataclass(frozen=True)
class Rules:
    """hosts       names that the Host header may give (without the port), or None for any: a page elsewhere whose name
                was rebound to this machine gives its own name
    api_key     the key that requests bear, or None
    body_bytes  the largest request"""

    hosts: frozenset[str] | None
    api_key: str | None
    body_bytes: int


class Guard:
    """ASGI middleware that answers 421, 401 and 413 by itself."""

    def __init__(self, app: ASGIApp, rules: Rules, meters: Meters):
        self.app, self.rules, self.meters = app, rules, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.monotonic(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope["path"], Headers(scope=scope))
            await (refusal or self.app)(scope, self._counted(receive), watched)
        finally:
            # The route's own path, never what a client made up: it becomes a label.
            path = getattr(scope.get("route"), "path", "other")
            self.meters.request(path, status, time.monotonic() - began)

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
        """`receive`, which fails once a body that did not say its size has grown too large."""
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
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
