"""Three tiny untrained models behind a real server on a free loopback port."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from openai import OpenAI

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.config import resolve
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.reversed import Reversed
from lilliput.server.app import create_app
from lilliput.server.connections import Limits
from lilliput.server.running import Server
from lilliput.server.served import Served
from lilliput.server.server import LOOPBACK_NAMES, listen
from tests.runs.made_run import make_run

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTEXT = 96


@dataclass(frozen=True)
class Address:
    """Where a server listens, and OpenAI's own client of it."""

    url: str
    client: OpenAI


def tiny(tokenizer: Tokenizer, seed: int = 0) -> Model:
    """A model of two random layers, sharp enough that it prefers some tokens to others."""
    shape = {"d_model": 32, "n_layers": 2, "n_heads": 4, "context_length": CONTEXT, "tied_embeddings": False}
    model = Model(resolve("story_1m", **shape, vocab_size=tokenizer.vocab_size))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=generator)
        assert model.unembed is not None
        for mark in ("eos", "im_end"):  # so that texts seldom end by themselves
            model.unembed.get_parameter("weight")[tokenizer.specials[mark]] = 0
    return model.eval()


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    names, things = ("Tom", "Lily", "Anna", "Ziggy"), ("ball", "kite", "crown", "lantern", "puddle")
    lines = [
        f"One day {name} saw a {thing}. Was it good? They were happy, and went home."
        for name in names
        for thing in things
    ]
    return Tokenizer.train(lines * 20, TokenizerConfig(vocab_size=310))


@pytest.fixture(scope="session")
def models(tokenizer: Tokenizer) -> dict[str, Served]:
    def served(name: str, seed: int, objective: ObjectiveConfig, template: str | None = None) -> Served:
        return Served(name, TextGenerator(tiny(tokenizer, seed), tokenizer.with_template(template), objective))

    made = [
        served("forwards", 0, Causal()),
        served("backwards", 1, Reversed()),
        served("chatty", 2, Causal(), TEMPLATE),
    ]
    return {one.name: one for one in made}


@contextmanager
def serving(
    *models: Served, runs_folder: Path = Path("no-runs"), limits: Limits | None = None, **settings: object
) -> Iterator[Address]:
    """A running server; it has stopped, and its engines' threads have ended, when the block is left."""
    app = create_app(models, hosts=LOOPBACK_NAMES, runs_folder=runs_folder, **settings)  # type: ignore[arg-type]
    with listen("127.0.0.1", 0) as listener:
        server = Server(app, limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            httpx.get(f"{url}/health").raise_for_status()
            with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
                yield Address(url, client)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "story")
    return folder


@pytest.fixture(scope="session")
def server(models: dict[str, Served], runs_folder: Path) -> Iterator[Address]:
    with serving(*models.values(), runs_folder=runs_folder, slots=8, queue=64) as address:
        yield address


@pytest.fixture
def folder(models: dict[str, Served], tmp_path: Path) -> Path:
    """A Hugging Face folder of the backwards model, as a run's checkpoint holds it."""
    from lilliput.model.huggingface import to_huggingface

    served, folder = models["backwards"], tmp_path / "tiny"
    ids: dict[str, Any] = {f"{role}_token_id": served.tokenizer.specials[role] for role in ("bos", "eos", "pad")}
    to_huggingface(served.model, folder, **ids, extra={"objective": served.objective.model_dump(mode="json")})
    served.tokenizer.save(folder)
    return folder
