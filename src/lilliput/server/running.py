"""Server: uvicorn with bounded connections. It ends requests under way before it waits for connections to close."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from fastapi import FastAPI

from lilliput.server.connections import Connection, Connections, Limits, report_once

GRACE_SECONDS = 2
STUCK_SECONDS = 1.0
"""A request still under way this long after every text has ended waits for its client, and is ended as well."""

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection (httpx, and so OpenAI's client: 5 s). A request on a connection that the
server is closing fails, so the client should close first."""

AT_ONCE = 32
"""Connections that asyncio accepts at once, before any of them is counted. There are more spare descriptors."""

BACKLOG = 2048
"""Connections that the system keeps waiting to be accepted."""


class Server(uvicorn.Server):
    """Runs an application of `create_app`. The default `limits` suit the descriptors that this process has."""

    def __init__(self, app: FastAPI, limits: Limits | None = None):
        super().__init__(
            uvicorn.Config(
                app,
                # Its own configuration would close every handler of the process, and with them what they write to;
                # without one its warnings go where the process' go, else to standard error.
                log_config=None,
                log_level="warning",
                access_log=False,
                http=Connection,
                backlog=AT_ONCE,
                timeout_graceful_shutdown=GRACE_SECONDS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self._service, self._calls, self._limits = app.state.service, app.state.calls, limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._connections = Connections(self._limits or Limits.here(), loop)
        self.config.connections = self._connections  # type: ignore[attr-defined]  # where each Connection finds it
        loop.set_exception_handler(report_once(self._connections))
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(BACKLOG)

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # once a second
            self._connections.sweep()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for worker in self._service:
            worker.give_up()
        ending = asyncio.create_task(self._end_stuck())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    async def _end_stuck(self) -> None:
        """End the requests that do not end by themselves. A request without an answer yet gets 503. Where the client
        does not read its answer, the connection is closed."""
        await asyncio.sleep(STUCK_SECONDS)
        self._calls.end()
        await asyncio.sleep(STUCK_SECONDS / 4)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
