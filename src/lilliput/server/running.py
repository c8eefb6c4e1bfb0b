"""Server: uvicorn, with bounded connections; it ends what is under way before it waits for connections to close."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from fastapi import FastAPI

from lilliput.server.connections import Connection, Connections, Limits, report_once

GRACE_SECONDS = 2
STUCK_SECONDS = 1.0
"""What is still under way this long after every text has been ended waits for a client, and is ended as well."""

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection (httpx, so OpenAI's: 5 s): who closes first is who knows of it, and a
request on a connection that the server is closing fails."""

AT_ONCE = 32
"""Connections that asyncio takes at once, before any of them is counted: fewer than there are spare descriptors."""

BACKLOG = 2048
"""Connections that the system lets wait to be taken."""


class Server(uvicorn.Server):
    """Runs an application of `create_app`; `limits` are by default what this process has descriptors for."""

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
        """End the requests that do not end by themselves: those that are not answered yet with 503, and those whose
        client takes nothing of the answer by closing their connection."""
        await asyncio.sleep(STUCK_SECONDS)
        self._calls.end()
        await asyncio.sleep(STUCK_SECONDS / 4)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
