"""Server: uvicorn, which ends the texts that are under way before it waits for connections to close."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

GRACE_SECONDS = 2
KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection (httpx, so OpenAI's: 5 s): who closes first is who knows of it, and a
request on a connection that the server is closing fails."""


class Server(uvicorn.Server):
    """Runs an application of `create_app`."""

    def __init__(self, app: FastAPI):
        super().__init__(
            uvicorn.Config(
                app,
                # Its own configuration would close every handler of the process, and with them what they write to;
                # without one its warnings go where the process' go, else to standard error.
                log_config=None,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self._service = app.state.service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for worker in self._service:
            worker.give_up()
        await super().shutdown(sockets)
