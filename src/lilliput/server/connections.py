"""Bounds on connections: their number, for one client and in all, and the time that a client may keep the server idle.

A connection costs a descriptor before the server asks for a key. Beyond the bounds, the connection that has been idle
longest is closed. Where no connection is idle, the new connection gets 503 and is closed, but /health is answered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from lilliput.server.errors import answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("lilliput.server")

DESCRIPTORS = 8192
"""The requested soft limit, where the hard limit allows it."""

CONNECTIONS = 1024
SPARE_DESCRIPTORS = 48
"""Descriptors kept for everything else: files of runs, connections that are being refused."""

HEAD_SECONDS = 10.0
"""From a connection, or from the first byte of a later request, to the end of the request's head."""

STALLED_SECONDS = 30.0
"""A client that reads nothing of its answer for this time counts as gone."""

QUIET_SECONDS = 60.0
"""The same warning is logged once in this time."""


@dataclass(frozen=True)
class Limits:
    """connections       connections at once
    of_one_client     connections at once from one address
    refusals          further connections that may wait for their 503; beyond them a connection is closed unanswered
    head_seconds, stalled_seconds  as HEAD_SECONDS and STALLED_SECONDS"""

    connections: int = CONNECTIONS
    of_one_client: int = CONNECTIONS * 3 // 4
    refusals: int = SPARE_DESCRIPTORS // 3
    head_seconds: float = HEAD_SECONDS
    stalled_seconds: float = STALLED_SECONDS

    @classmethod
    def here(cls) -> Limits:
        """Return limits for the descriptors that this process has, CONNECTIONS at most. An address may have three
        quarters."""
        room = _descriptors_left()
        count = max(8, min(CONNECTIONS, room - SPARE_DESCRIPTORS))
        return cls(count, max(1, count * 3 // 4))


def raise_descriptors() -> None:
    """Raise the soft limit of open files as far as needed and allowed: 256 (macOS) or 1024 are too few."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _descriptors_left() -> int:
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return DESCRIPTORS if soft == resource.RLIM_INFINITY else soft - len(os.listdir("/dev/fd"))
    except (ImportError, OSError):
        return DESCRIPTORS


def client_of(address: str) -> str:
    """Return the name of a client: an IPv4 address, or the 64 bits of an IPv6 address that name a network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)


class Quiet:
    """Logs each kind of warning once in QUIET_SECONDS, with the number of warnings that were left out."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._last: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def warn(self, kind: str, message: str) -> None:
        now = self._clock()
        if now - self._last.get(kind, -QUIET_SECONDS) < QUIET_SECONDS:
            self._left_out[kind] += 1
            return
        more = f" ({self._left_out.pop(kind)} more like it since the last line)" if self._left_out[kind] else ""
        self._last[kind] = now
        log.warning("%s%s", message, more)


class QuietLogger(logging.LoggerAdapter[logging.Logger]):
    """uvicorn's logger of a connection. Any client can cause its warnings at will, by bytes that are not HTTP."""

    def __init__(self, logger: logging.Logger, quiet: Quiet):
        super().__init__(logger, {})
        self.level, self._quiet = logger.level, quiet

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        self._quiet.warn(str(msg), str(msg) % args)


class Connections:
    """The connections of one server."""

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop):
        self.limits, self.loop = limits, loop
        self.quiet = Quiet(loop.time)
        self._admitted: dict[Connection, None] = {}  # in the order in which they came
        self._refused: set[Connection] = set()
        self._of_client: Counter[str] = Counter()

    def admit(self, new: Connection) -> bool:
        """Add `new`, and close an idle connection where there is no room. Returns False where `new` has to be
        refused."""
        limits, now = self.limits, self.loop.time()
        theirs = self._of_client[new.peer]
        if theirs >= limits.of_one_client:
            full, candidates = "client", [one for one in self._admitted if one.peer == new.peer]
        elif len(self._admitted) >= limits.connections:
            full, candidates = "all", list(self._admitted)
        else:
            full, candidates = "", []
        if full:
            what = f"{limits.of_one_client} from {new.peer}" if full == "client" else f"{limits.connections}"
            idle = [one for one in candidates if one.idle]
            if not idle:
                self.quiet.warn(full, f"connections are refused: there are {what}, and every one of them is in use")
                return False
            # The client with the most connections loses one: the connection that has been idle longest.
            longest = max(idle, key=lambda one: (self._of_client[one.peer], now - one.waits_since))
            self.quiet.warn(f"{full} idle", f"idle connections are closed to make room: there are {what}")
            self.forget(longest)
            longest.transport.abort()
        self._admitted[new] = None
        self._of_client[new.peer] += 1
        return True

    def refuse(self, new: Connection) -> None:
        """Answer `new` with 503, or close it where too many connections wait for their 503."""
        if len(self._refused) >= self.limits.refusals:
            new.transport.abort()
            return
        self._refused.add(new)

    def forget(self, gone: Connection) -> None:
        """Forget a connection that is closed or about to be closed."""
        self._refused.discard(gone)
        if gone in self._admitted:
            del self._admitted[gone]
            self._of_client[gone.peer] -= 1
            if not self._of_client[gone.peer]:
                del self._of_client[gone.peer]

    def sweep(self) -> None:
        """Close every connection whose client keeps the server waiting for too long."""
        now = self.loop.time()
        for one in [*self._admitted, *self._refused]:
            if one.overdue(now):
                one.transport.abort()


class Connection(H11Protocol):
    """uvicorn's connection, counted, with the time since which its client keeps the server waiting."""

    peer = ""
    waits_since = 0.0
    _stalled_since: float | None = None
    _closing_since: float | None = None
    counted: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.counted = self.config.connections  # type: ignore[attr-defined]
        self.logger = QuietLogger(logging.getLogger("uvicorn.error"), self.counted.quiet)  # type: ignore[assignment]
        self.peer = client_of(self.client[0]) if self.client else ""
        self.waits_since = self.loop.time()
        if not self.counted.admit(self):
            self.app = _refusing(self.app)  # type: ignore[assignment, arg-type]
            self.counted.refuse(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.counted.forget(self)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        if self.timeout_keep_alive_task is not None:  # the first byte of the next request
            self.waits_since = self.loop.time()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self.waits_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since = None
        super().resume_writing()

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def overdue(self, now: float) -> bool:
        """Whether the client has kept the server waiting for too long. The server waits for a request's head, for the
        client to read an answer, and for the client to close after the server has. Between requests uvicorn's own
        time-out counts."""
        limits = self.counted.limits
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            return now - self._closing_since > limits.head_seconds
        if self._stalled_since is not None:
            return now - self._stalled_since > limits.stalled_seconds
        return self.idle and self.timeout_keep_alive_task is None and now - self.waits_since > limits.head_seconds


def _refusing(app: ASGIApp) -> ASGIApp:
    """Return an application that answers /health as `app` does and every other request with 503, and closes the
    connection."""
    refusal = answer(503, "the server has as many connections as it can hold. ask again later", "too_many_connections")
    refusal.headers["Retry-After"] = "1"

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
            await send(message)

        await (app if scope.get("path") == "/health" else refusal)(scope, receive, closing)

    return refusing


def report_once(connections: Connections) -> Callable[[asyncio.AbstractEventLoop, Mapping[str, Any]], None]:
    """Return a handler of the event loop's exceptions that reports a lack of descriptors once a minute. asyncio itself
    reports it two thousand times a second, each time with a traceback."""

    def handle(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        if "out of system resource" in context.get("message", ""):
            connections.quiet.warn("descriptors", f"a connection cannot be taken: {context.get('exception')}")
        else:
            loop.default_exception_handler(dict(context))

    return handle
