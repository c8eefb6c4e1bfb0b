"""Runs, checkpoints and Hugging Face folders served behind one API and one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.base.errors import ConfigError
from lilliput.generation.adapters import with_adapter
from lilliput.generation.loading import load
from lilliput.generation.text_generator import TextGenerator
from lilliput.runs.finding import RUNS, model_folder, model_name
from lilliput.server.served import Served
from lilliput.server.server import serve as run_server
from lilliput.server.worlds import world_in


def serve(
    paths: Sequence[str | Path],
    device: str = "auto",
    notify: Callable[[str], None] = print,
    int8: bool = False,
    adapters: Mapping[str, str | Path] | None = None,
    **settings: Any,
) -> None:
    """Serve the models at `paths` until interrupted, by an OpenAI-compatible API and a page to use in a browser.

    `device` and `int8` are as in `load`. `adapters` are served beside the one model that they stand on, each under its
    name: adapters' folders, checkpoints or runs. `settings` are `host` (this machine unless an `api_key` is given),
    `port` (0: any free port), `api_key`, `slots` (texts that each model generates at once) and `queue` (further texts
    that may wait). Raises ConfigError for two models of one name and an address that cannot be used, MissingExtra
    without the `serve` extra, and as `load` does."""
    models = [load_served(path, device, notify, int8) for path in paths]
    models += adapted(models, paths, adapters or {}, device, notify, int8)
    names = [served.name for served in models]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two of the models would be called '{name}'", "requests choose a model by its name: rename a folder"
            )
    run_server(models, runs_folder=RUNS, notify=notify, **settings)


def adapted(
    models: Sequence[Served],
    paths: Sequence[str | Path],
    adapters: Mapping[str, str | Path],
    device: str = "auto",
    notify: Callable[[str], None] = print,
    int8: bool = False,
) -> list[Served]:
    """Return each adapter on the one model, which was loaded from the one path, ready to be served by its name. The
    adapters share the weights that they do not change; with `int8` they share those of a copy in fp32. Raises
    ConfigError for several models, and as `with_adapter` does."""
    if not adapters:
        return []
    if len(models) != 1:
        raise ConfigError(
            f"adapters stand on one model, and {len(models)} are named", "serve one model with its adapters"
        )
    folder = model_folder(paths[0], notify)
    base = load(folder, device, notify, compile=False) if int8 else models[0].generator
    return [_ready(name, with_adapter(base, folder, path, notify, int8)) for name, path in adapters.items()]


def load_served(
    path: str | Path, device: str = "auto", notify: Callable[[str], None] = print, int8: bool = False
) -> Served:
    """Return a model ready to be served, named after its run or folder, and after its step where a checkpoint is
    named."""
    folder = model_folder(path, notify)
    return _ready(model_name(path, folder), load(folder, device, notify, int8), folder)


def _ready(name: str, generator: TextGenerator, folder: Path | None = None) -> Served:
    # Known from now on, also where somebody removes the folder.
    world = None if folder is None else world_in(folder, generator.objective)
    if not generator.objective.generates and world is None:
        raise generator.objective.no_text()
    if generator.chat_template is not None:
        generator.chat_template.check()  # an invalid template is reported now, not at the first conversation
    _ = generator.decoder  # built before the first request waits for it
    return Served(name, generator, folder, world)
