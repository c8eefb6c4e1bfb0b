"""The labelling page behind a real server on a free loopback port."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from lilliput.base.local_pages import listen
from lilliput.lab.labelling.session import Session
from lilliput.lab.labelling.web import create_app, make_server

TOKEN = "a-token-of-the-test"


@dataclass
class Served:
    origin: str
    server: uvicorn.Server
    thread: threading.Thread

    @property
    def page(self) -> str:
        return f"{self.origin}/{TOKEN}/"

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.page + path, timeout=20, **options)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """As the page posts, but for the headers that are given."""
        return httpx.post(self.page + path, json=body or {}, headers={"Origin": self.origin, **headers}, timeout=20)


@contextmanager
def serving(session: Session) -> Iterator[Served]:
    """A running server; it has stopped when the block is left."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        server = make_server(create_app(session, TOKEN, port))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        served = Served(f"http://127.0.0.1:{port}", server, thread)
        try:
            served.get("item").raise_for_status()
            yield served
        finally:
            server.should_exit = True
            thread.join()
