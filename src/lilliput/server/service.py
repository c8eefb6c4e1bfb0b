"""Service: the served models, each with its worker, and the counts of their work so far."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request
from starlette.exceptions import HTTPException

from lilliput.base.errors import nearest
from lilliput.server.errors import UnknownModel
from lilliput.server.worker import Worker

if TYPE_CHECKING:
    from lilliput.server.served import Served

T = TypeVar("T")
CLIENT_LEFT = 499  # as web servers log it; nobody reads the answer


class Service:
    """Workers by model name, in the order in which the models were given."""

    def __init__(self, models: Sequence[Served], slots: int, queue_length: int):
        self._workers = {served.name: Worker(served, slots, queue_length) for served in models}

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def worker(self, name: str | None) -> Worker:
        """Return the worker of a model, for None the worker of the first model. Raises UnknownModel."""
        if name is None:
            return next(iter(self))
        if name not in self._workers:
            raise UnknownModel(
                f"there is no model '{name}' here{nearest(name, self._workers)}; there is: {', '.join(self._workers)}"
            )
        return self._workers[name]


async def unless_left(request: Request, work: Coroutine[None, None, T]) -> T:
    """Return the result of `work`, which is cancelled as soon as the client has left. For use after the body has been
    read."""
    task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise HTTPException(CLIENT_LEFT, "the client left")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.wait({task, gone})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
