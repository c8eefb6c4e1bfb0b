"""The application: every route, its errors and its limits, for models that are loaded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Response

from lilliput import __version__
from lilliput.base.local_pages import HEADERS, page_files
from lilliput.server import calling, chats, completions, errors, looking, runs, worlds
from lilliput.server.errors import Refused
from lilliput.server.guard import BODY_SECONDS, Calls, Guard, Rules
from lilliput.server.meters import Meters
from lilliput.server.schemas import (
    Detokenized,
    DetokenizeRequest,
    ErrorBody,
    ModelCard,
    ModelList,
    TokenizeRequest,
    Tokens,
)
from lilliput.server.served import Served
from lilliput.server.service import Service

BODY_BYTES = 4 * 1024 * 1024


def create_app(
    models: Sequence[Served],
    *,
    slots: int = 32,
    queue: int = 256,
    api_key: str | None = None,
    hosts: frozenset[str] | None = None,
    runs_folder: Path = Path("runs"),
    body_bytes: int = BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
) -> FastAPI:
    """Return an ASGI application that serves `models`.

    slots       texts that each model generates at once
    queue       further texts that may wait for each model; a request beyond them gets 429
    api_key     the key that requests must carry; None: no key
    hosts       names that the Host header may hold; None: any name
    body_bytes  the most bytes of a request; a larger request gets 413
    body_seconds  the most seconds in which a request's body may arrive; a slower request gets 408
    """
    service = Service(models, slots, queue)
    meters = Meters(service)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for worker in service:
            worker.start()
        yield
        for worker in service:
            worker.stop()

    failures: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorBody}}
    app = FastAPI(
        title="Lilliput",
        version=__version__,
        summary="Tiny language models behind OpenAI's API.",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        responses=failures,
    )
    app.state.service, app.state.calls = service, Calls()
    rules = Rules(hosts, api_key, body_bytes, body_seconds)
    app.add_middleware(Guard, rules=rules, meters=meters, calls=app.state.calls)
    errors.install(app)
    for router in (
        completions.router(service),
        chats.router(service),
        calling.router(),
        looking.router(service),
        worlds.router(service),
        _about(service, meters),
        _tokenizing(service),
        runs.router(runs_folder),
        _page(),
    ):
        app.include_router(router)
    return app


def _about(service: Service, meters: Meters) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v1/models")
    def models() -> ModelList:
        return ModelList(data=[_card(worker.served) for worker in service])

    @routes.get("/v1/models/{model:path}")
    def model(model: str) -> ModelCard:
        return _card(service.worker(model).served)

    @routes.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/metrics", response_class=Response)
    def metrics() -> Response:
        return Response(meters.text(), media_type="text/plain; version=1.0.0")

    return routes


def _card(served: Served) -> ModelCard:
    return ModelCard(
        id=served.name,
        created=served.created,
        context_length=served.context_length,
        parameters=sum(parameter.numel() for parameter in served.model.parameters()),
        generates=served.objective.generates,
        world=served.world,
        reads_forwards=served.objective.reads_forwards,
        fills_middle=served.objective.fills,
        reads_source=served.objective.reads_source,
        chat=served.chat is not None,
        tools=served.chat is not None and served.chat.takes_tools,
    )


def _tokenizing(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/tokenize")
    def tokenize(body: TokenizeRequest) -> Tokens:
        served = service.worker(body.model).served
        ids = served.tokenizer.encode(body.prompt)
        if body.add_special_tokens is not False:
            ids = [*served.tokenizer.beginning, *ids]
        spelled = [served.spell(number) for number in ids] if body.return_token_strs else None
        return Tokens(count=len(ids), max_model_len=served.context_length, tokens=ids, token_strs=spelled)

    @routes.post("/detokenize")
    def detokenize(body: DetokenizeRequest) -> Detokenized:
        served = service.worker(body.model).served
        size = served.tokenizer.vocab_size
        if max(body.tokens, default=0) >= size:
            raise Refused(
                f"there is no token {max(body.tokens)}; '{served.name}' knows 0 to {size - 1}", param="tokens"
            )
        return Detokenized(prompt=served.tokenizer.decode(body.tokens))

    return routes


def _page() -> APIRouter:
    """Add the page's routes. Each file in page/ has its own address."""
    routes = APIRouter(include_in_schema=False)
    for name, (content, kind) in page_files("lilliput.server").items():

        def page(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind, headers=HEADERS)

        routes.add_api_route("/" if name == "index.html" else f"/page/{name}", page, methods=["GET"])
    return routes
