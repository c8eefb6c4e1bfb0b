"""Web: the page on which a person labels in a browser on this machine.

The address holds a random token, so that no other page in the browser can know it. Requests are answered only under a
loopback name, and answers are taken only from this page (the header Origin). Nothing in a request names a file."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from lilliput.base.errors import ConfigError, FileError, LilliputError, MissingExtra
from lilliput.base.local_pages import HEADERS, listen, page_files
from lilliput.base.reading import from_json
from lilliput.lab.labelling.prompts import prompt_text
from lilliput.lab.labelling.session import Session, Stale, Waiting

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.responses import Response
    from starlette.routing import Route
except ImportError as error:
    raise MissingExtra(error.name or "starlette", "serve", "the labelling page") from None

if TYPE_CHECKING:
    from starlette.requests import Request

BODY_BYTES = 1024 * 1024
"""Most bytes of a request: a demonstration of two hundred thousand words."""
BODY_SECONDS = 30.0
WAIT_SECONDS = 1.0
"""Longest time that a request waits for replies. The page then asks again."""
NO_STORE = {**HEADERS, "Cache-Control": "no-store"}
ACTIONS: dict[str, frozenset[str]] = {
    "answer": frozenset({"item", "answer"}),
    "skip": frozenset({"item"}),
    "undo": frozenset(),
    "quit": frozenset(),
}
"""What a page may ask for, and the keys of each request."""


class Handler(Protocol):
    def __call__(self, request: Request) -> Awaitable[Response]: ...


def serve(session: Session, port: int, notify: Callable[[str], None]) -> None:
    """Serve the page until the person quits there or presses Ctrl-C here. Raises ConfigError for a port that cannot be
    used."""
    token = secrets.token_urlsafe(24)
    listener = listen("127.0.0.1", port)
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    notify(f"open this address in a browser on this machine: http://{address}/{token}/")
    notify("q on the page, or Ctrl-C here, ends it; every answer is stored at once")
    server = make_server(create_app(session, token, listener.getsockname()[1]))
    with listener, suppress(KeyboardInterrupt):  # uvicorn raises it again once all has ended
        server.run(sockets=[listener])


def make_server(app: Starlette) -> uvicorn.Server:
    """A server of the app, which the page's q ends."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            http="h11",
            ws="none",
            lifespan="off",
            limit_concurrency=64,
            timeout_graceful_shutdown=2,
        )
    )

    def end() -> None:
        server.should_exit = True

    app.state.end = end
    return server


def create_app(session: Session, token: str, port: int) -> Starlette:
    """The ASGI application of the page at /`token`/ on `port`; `app.state.end` is called when the person quits."""
    guard = _Guard(token, port)

    async def item(request: Request) -> Response:
        return _answer(await run_in_threadpool(_present, session))

    def acting(action: str) -> Handler:
        async def act(request: Request) -> Response:
            body = await _body(request, ACTIONS[action])
            if action == "quit":
                app.state.end()
                return _answer({"ended": True, **_progress(session)})
            await run_in_threadpool(_act, session, action, body)
            return _answer(await run_in_threadpool(_present, session))

        return act

    routes = [Route(f"/{{token}}/{path}", guard(_file(*file)), methods=["GET"]) for path, file in _files().items()]
    routes.append(Route("/{token}/item", guard(item), methods=["GET"]))
    routes += [Route(f"/{{token}}/{action}", guard(acting(action)), methods=["POST"]) for action in ACTIONS]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _failed})
    app.router.redirect_slashes = False
    return app


class _Guard:
    """Refuses a request under another name, with another token, or from another page, before it is read."""

    def __init__(self, token: str, port: int):
        self.token = token
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    def __call__(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            host = request.headers.get("host", "").lower()
            if host not in self.hosts:
                return _refusal(421, "this page answers to its loopback address alone")
            given = request.path_params["token"].encode("utf-8", errors="replace")
            if not secrets.compare_digest(given, self.token.encode()):
                return _refusal(404, "there is no such page")
            if request.method == "POST" and request.headers.get("Origin") != f"http://{host}":
                return _refusal(403, "answers are taken from the labelling page alone")
            return await handler(request)

        return guarded


def _files() -> dict[str, tuple[bytes, str]]:
    """The page's files by their address below the token."""
    return {"" if name == "index.html" else name: file for name, file in page_files("lilliput.lab.labelling").items()}


def _file(content: bytes, kind: str) -> Handler:
    async def send(request: Request) -> Response:
        return Response(content, media_type=kind, headers=NO_STORE)

    return send


async def _body(request: Request, keys: frozenset[str]) -> dict[str, Any]:
    """The request's JSON object, with these keys and no others. Raises HTTPException."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "the request is not application/json")
    try:
        content = await asyncio.wait_for(_bounded(request), BODY_SECONDS)
    except TimeoutError:
        raise HTTPException(408, f"the request took longer than {BODY_SECONDS:g} seconds to come") from None
    try:
        value = from_json(content.decode("utf-8"))
    except (UnicodeDecodeError, FileError):
        raise HTTPException(400, "the request is not JSON") from None
    if not isinstance(value, dict) or value.keys() != keys:
        raise HTTPException(400, f"the request is an object with the keys: {', '.join(sorted(keys)) or 'none'}")
    return value


async def _bounded(request: Request) -> bytes:
    length = request.headers.get("content-length", "0")
    content = b""
    if not (length.isdecimal() and int(length[:20]) > BODY_BYTES):
        async for part in request.stream():
            content += part
            if len(content) > BODY_BYTES:
                break
        else:
            return content
    raise HTTPException(413, f"a request holds {BODY_BYTES:,} bytes at most", headers={"Connection": "close"})


def _act(session: Session, action: str, body: dict[str, Any]) -> None:
    """Store an answer or a skip, or take the last one back. Raises HTTPException for what does not fit."""
    try:
        if action == "undo":
            session.undo()
        elif not isinstance(body["item"], str):
            raise HTTPException(400, "'item' is a text")
        elif action == "skip":
            session.skip(body["item"])
        else:
            session.answer(body["item"], body["answer"])
    except Stale as error:
        raise HTTPException(409, str(error.message)) from None
    except ConfigError as error:
        raise HTTPException(400, str(error.message)) from None
    except LilliputError as error:  # a full disk: the item stays, and the page shows the reason
        raise HTTPException(507, str(error.message)) from None


def _present(session: Session) -> dict[str, Any]:
    """What the page shows. It holds nothing of where a reply comes from."""
    try:
        present = session.present(WAIT_SECONDS)
    except Waiting:
        return {"waiting": True, **_progress(session)}
    if present is None:
        return {"done": True, **_progress(session)}
    prompt = present.item.prompt
    return {
        "item": present.item.key,
        "prompt": prompt_text(prompt),
        "continues": isinstance(prompt, str),
        "replies": present.replies,
        **_progress(session),
    }


def _progress(session: Session) -> dict[str, Any]:
    return {
        "mode": session.task.mode,
        "labeller": session.task.labeller,
        "total": len(session.items),
        "answered": session.answered,
        "skipped": session.skipped,
        "left_out": session.left_out,
    }


def _answer(value: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    content = json.dumps(value, ensure_ascii=True).encode()
    return Response(content, status, media_type="application/json", headers={**NO_STORE, **(headers or {})})


def _refusal(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return _answer({"error": message}, status, headers)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _refusal(error.status_code, str(error.detail), dict(error.headers or {}))
