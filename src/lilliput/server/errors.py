"""Errors as answers in OpenAI's shape. Each gives what happened, with the numbers, and what to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_type_hints

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lilliput.base.config import Config, validate
from lilliput.base.errors import ConfigError, LilliputError, ModelError
from lilliput.server.schemas import ErrorBody, Problem

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger("lilliput.server")

TYPES = {401: "authentication_error", 429: "rate_limit_error"}
RETRY_SECONDS = 1


class Busy(LilliputError):
    """All slots are taken and the queue is full. The same request may be served later."""


class Stopping(LilliputError):
    """The server ends before the text does."""


class UnknownModel(LilliputError):
    """A name that no served model has."""


class Refused(ConfigError):
    """A request that cannot be answered; `param` is the field that prevents it."""

    def __init__(self, message: str, hint: str | None = None, *, param: str):
        super().__init__(message, hint)
        self.param = param


@contextmanager
def about(param: str) -> Iterator[None]:
    """Give errors of the block the request's field `param`, unless an inner block named another field."""
    try:
        yield
    except LilliputError as error:
        if isinstance(error, Refused) or explain(error)[0] != 400:
            raise
        raise Refused(error.message, error.hint, param=param) from error


class AsciiJSON(JSONResponse):
    """JSON in ASCII alone. Text quoted from a request may hold half a character, which has no UTF-8 form."""

    def render(self, content: object) -> bytes:
        return json.dumps(content, ensure_ascii=True, allow_nan=False).encode()


def problem(status: int, message: str, code: str | None = None, param: str | None = None) -> ErrorBody:
    """Return the error object of a status; `param` is the field that caused the error."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return ErrorBody(error=Problem.model_validate({"message": message, "type": kind, "param": param, "code": code}))


def answer(
    status: int,
    message: str,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsciiJSON:
    """Return an error as a response."""
    return AsciiJSON(problem(status, message, code, param).model_dump(), status, dict(headers or {}))


def explain(error: Exception) -> tuple[int, str, str | None, str | None]:
    """Return (status, message, code, param) of an error that Lilliput raised."""
    if not isinstance(error, LilliputError):
        return 500, "the server failed; its log has the reason", None, None
    message = ". ".join(filter(None, (error.message, error.hint)))
    if isinstance(error, Busy):
        return 429, message, "queue_full", None
    if isinstance(error, UnknownModel):
        return 404, message, "model_not_found", "model"
    if isinstance(error, Stopping):
        return 503, message, None, None
    if isinstance(error, ModelError):
        return 500, message, None, None
    return 400, message, None, error.param if isinstance(error, Refused) else None


def install(app: FastAPI) -> None:
    """Have `app` answer every error in this shape."""

    @app.exception_handler(LilliputError)
    async def ours(request: Request, error: LilliputError) -> AsciiJSON:
        status, message, code, param = explain(error)
        return answer(
            status, message, code, param, headers={"Retry-After": str(RETRY_SECONDS)} if status == 429 else None
        )

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> AsciiJSON:
        return answer(400, _what_is_wrong(request, error), param=_where(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> AsciiJSON:
        return answer(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> AsciiJSON:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answer(*explain(error))


def _what_is_wrong(request: Request, error: RequestValidationError) -> str:
    """Return the error in our words, with the nearest known name for an unknown name."""
    if isinstance(error.body, dict):
        kind = get_type_hints(request.scope["route"].endpoint).get("body")
        if isinstance(kind, type) and issubclass(kind, Config):
            try:
                validate(kind, error.body, "the request")
            except LilliputError as found:
                return found.message
    places = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return f"the request is not JSON of the right shape: {'; '.join(places)}"


def _where(error: RequestValidationError) -> str | None:
    """Return the first wrong field as OpenAI spells it, such as `messages[0].role`; None where no field is wrong. Of a
    field that may have several types, the deepest place counts, because that type was meant."""
    problems = error.errors()
    same = [one for one in problems if one["loc"][1:2] == problems[0]["loc"][1:2]]
    path = max((_path(one, error.body) for one in same), key=len)
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".") or None


def _path(problem: Any, value: Any) -> list[str | int]:
    """Return a problem's place in the request, without the names of types that were tried."""
    path: list[str | int] = []
    for part in problem["loc"][1:]:  # after 'body'
        if isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif isinstance(value, Mapping) and (part in value or problem["type"] == "missing"):
            value = value.get(part)
        else:
            continue
        path.append(part)
    return path
