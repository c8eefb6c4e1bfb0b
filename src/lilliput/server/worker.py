"""Worker: the one thread that owns a model's Engine, and the calls by which requests reach it and get answers."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from lilliput.base.errors import ConfigError, LilliputError
from lilliput.decoding.engine import Engine
from lilliput.server.altered import AlteredEngine, Off
from lilliput.server.errors import Busy, Stopping

if TYPE_CHECKING:
    from lilliput.decoding.engine import Job, Request, Token
    from lilliput.server.served import Served

T = TypeVar("T")
log = logging.getLogger("lilliput.server")

STOP_SECONDS = 10.0
KEPT_SHARE = 8
"""For each so many slots and places of the queue, one more place is kept for clients with few texts."""


@dataclass(frozen=True, slots=True)
class Event:
    """One token of the request at `index` of its call."""

    index: int
    token: Token
    job: Job


class Call:
    """Requests that came together, while they are under way, with the parts of the model that are `off` for them.
    Iterating yields their events until all requests have ended or been cancelled. A call belongs to the event loop,
    except `jobs`, which belongs to the worker's thread."""

    def __init__(self, worker: Worker, requests: Sequence[Request], client: str, off: Off | None = None):
        self.requests, self.client, self.off = tuple(requests), client, off
        self.jobs: dict[int, Job] = {}
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._worker = worker
        self._left = set(range(len(requests)))
        self._events: asyncio.Queue[Event | Exception] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while self._left:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            if event.index not in self._left:
                continue  # generated before the cancellation reached the engine
            if event.token.finish is not None:
                self._ended(event.index)
            yield event

    def cancel(self, index: int | None = None) -> None:
        """Free the slot of the request at `index`, or the slots of all requests that still run."""
        indices = list(self._left) if index is None else [index] if index in self._left else []
        for each in indices:
            self._ended(each)
        if indices:
            self._worker.ask(lambda: self._worker.drop(self, indices))

    def hear(self, event: Event | Exception) -> None:
        """Take an event from the worker. This is called on the event loop."""
        self._events.put_nowait(event)

    def _ended(self, index: int) -> None:
        self._left.remove(index)
        self._worker.count(self.client, -1)


class Worker:
    """Steps one Engine in a thread of its own. Further engines are for texts with parts of the model off; the engines
    step one after another. `submit`, `compute` and `outstanding` belong to the event loop that calls `start`.

    slots        texts that are generated at once
    queue        further texts that may wait
    outstanding  texts that run or wait
    prompt_tokens, completion_tokens  tokens read and generated so far
    """

    def __init__(self, served: Served, slots: int, queue_length: int):
        self.served, self.slots, self.queue_length = served, slots, queue_length
        self.engine = Engine(served.model, slots, fair=True)
        self._altered: dict[Off, AlteredEngine] = {}  # in the thread; an engine without texts is dropped
        self.outstanding = self.prompt_tokens = self.completion_tokens = 0
        self._of_client: Counter[str] = Counter()
        self._taken = threading.Event()  # the event loop has taken the last step's tokens
        self._taken.set()
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._calls: dict[int, tuple[Call, int]] = {}  # by id of the job, which the engine keeps alive
        self._thread = threading.Thread(target=self._run, name=f"engine of {served.name}", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def give_up(self) -> None:
        """End every text that is under way; its request gets the error Stopping."""
        self.ask(lambda: self._fail(Stopping("the server is being stopped")))

    def stop(self) -> None:
        """End the thread after its present step. A step longer than STOP_SECONDS ends with the process."""
        self._tasks.put(None)
        self._thread.join(STOP_SECONDS)

    def check_room(self, texts: int, client: str) -> None:
        """Raise ConfigError for more texts than the server ever has room for, and Busy where there is none now. A few
        places beyond the queue are for clients with fewer texts than that, so that no client keeps the others out.
        """
        room, kept = self.slots + self.queue_length, (self.slots + self.queue_length) // KEPT_SHARE
        places = f"{self.slots} slots and a queue of {self.queue_length}"
        if texts > room:
            raise ConfigError(
                f"{texts} texts are requested at once; the server has {places} places", "request fewer texts at a time"
            )
        if self._of_client[client] + texts <= kept:
            room += kept
        if self.outstanding + texts > room:
            raise Busy(
                f"{self.outstanding} texts run or wait, and {texts} more do not fit into {places}", "ask again later"
            )

    def count(self, client: str, texts: int) -> None:
        """Count texts of `client` that begin to run or wait; a negative number counts texts that have ended."""
        self.outstanding += texts
        self._of_client[client] += texts
        if not self._of_client[client]:
            del self._of_client[client]

    async def submit(self, requests: Sequence[Request], client: str, off: Off | None = None) -> Call:
        """Queue requests that belong together, all of them or none, to be generated with the parts `off`.
        Raises as `check_room` does, and ConfigError for a request that the engine refuses."""
        self.check_room(len(requests), client)
        call = Call(self, requests, client, off)
        self.count(client, len(requests))
        self.ask(lambda: self._accept(call))
        try:
            await call.accepted
        except BaseException:  # refused, or the client left meanwhile
            call.cancel()
            raise
        return call

    @property
    def texts(self) -> dict[str, int]:
        """The texts of all engines that run, and those that wait, by the words for these states."""
        engines = self._engines()
        running, waiting = sum(one.running for one in engines), sum(one.waiting for one in engines)
        return {"running": running, "waiting": waiting}

    async def compute(self, work: Callable[[], T], client: str) -> T:
        """Return what `work` returns in the thread, between two steps. It takes a place of `client` like a text. Raises
        as `check_room` does, and the errors of `work`."""
        self.check_room(1, client)
        self.count(client, 1)
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def finish(act: Callable[[], None]) -> None:
            self.count(client, -1)
            if not done.done():  # the client may have left
                act()

        def task() -> None:
            try:
                result = work()
            except Exception as error:
                self._post(lambda error=error: finish(lambda: done.set_exception(error)))
            else:
                self._post(lambda: finish(lambda: done.set_result(result)))

        self.ask(task)
        return await done

    def ask(self, task: Callable[[], None]) -> None:
        """Have the thread do this before its next step."""
        self._tasks.put(task)

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        while True:
            try:
                task = self._tasks.get(block=all(engine.idle for engine in self._engines()))
            except queue.Empty:
                self._step()
                continue
            if task is None:
                return
            task()

    def _engines(self) -> list[Engine]:
        return [self.engine, *self._altered.values()]

    def _engine(self, off: Off | None) -> Engine:
        """Return the engine for texts with these parts off. Its cache is freed when it has no text."""
        if off is None:
            return self.engine
        if off not in self._altered:
            self._altered[off] = AlteredEngine(self.served, off)
        return self._altered[off]

    def _accept(self, call: Call) -> None:
        try:
            engine = self._engine(call.off)
            for index, request in enumerate(call.requests):
                call.jobs[index] = job = engine.submit(request, client=call.client, call=call)
                self._calls[id(job)] = call, index
        except Exception as error:
            self.drop(call, list(call.jobs))
            self._post(lambda error=error: call.accepted.done() or call.accepted.set_exception(error))
        else:
            self._post(lambda: call.accepted.done() or call.accepted.set_result(None))

    def drop(self, call: Call, indices: Sequence[int]) -> None:
        for index in indices:
            job = call.jobs.pop(index, None)
            if job is not None and self._calls.pop(id(job), None):
                self._engine(call.off).cancel(job)

    def _step(self) -> None:
        sent: list[tuple[Call, Event | Exception]] = []
        for engine in self._engines():
            sent += self._stepped(engine)
        self._altered = {off: engine for off, engine in self._altered.items() if not engine.idle}
        # The thread is never more than a step ahead. Otherwise, under load, its tokens would wait for the event loop in
        # a growing queue, and new requests behind them.
        self._taken.wait(STOP_SECONDS)
        self._taken.clear()
        self._post(lambda: self._deliver(sent))

    def _stepped(self, engine: Engine) -> list[tuple[Call, Event | Exception]]:
        """Step one engine, and return its tokens. Where it fails, its texts are given up."""
        if engine.idle:
            return []
        try:
            events = engine.step()
        except Exception as error:
            known = isinstance(error, LilliputError)
            log.error("the engine of '%s' failed: %s", self.served.name, error, exc_info=None if known else error)
            self._fail(error, engine)
            return []
        sent: list[tuple[Call, Event | Exception]] = []
        for job, token in events:
            call, index = self._calls[id(job)]
            if token.finish is not None:
                del self._calls[id(job)], call.jobs[index]
            sent.append((call, job.error or Event(index, token, job)))
        return sent

    def _deliver(self, sent: Sequence[tuple[Call, Event | Exception]]) -> None:
        """On the event loop."""
        for call, event in sent:
            call.hear(event)
        self._taken.set()

    def _fail(self, error: Exception, engine: Engine | None = None) -> None:
        """Give up every text, or those of one engine, and report the reason to each call."""
        for call in {id(call): call for call, _ in self._calls.values()}.values():
            if engine is not None and self._engine(call.off) is not engine:
                continue
            self.drop(call, list(call.jobs))
            self._post(lambda call=call: call.hear(error))

    def _post(self, task: Callable[[], object]) -> None:
        assert self._loop is not None
        # The loop is closed where the server was ended at once (a second Ctrl-C). No request waits then.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(task)
