"""A small trained run that other runs begin from."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lilliput import api
from lilliput.generation.run import Run
from lilliput.training.callbacks import Callback
from tests.cli.conftest import TINY, write_tales

SHORT = [
    *(word for word in TINY if not word.startswith(("model.", "tokenizer."))),
    *("train.steps=6", "evaluate.steps=6", "train.precision=fp32", "evaluate.baselines=[]", "train.log_steps=1"),
    *("train.optimizer.kind=adamw", "train.optimizer.embedding_learning_rate=null", "train.least_steps=null"),
]
"""Overrides of a run that begins with another run's weights: a second."""


@pytest.fixture(scope="session")
def _source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    before = os.environ.get("LILLIPUT_CACHE")
    os.environ["LILLIPUT_CACHE"] = str(folder / "cache")
    write_tales(folder / "tales.txt")
    options = [*TINY, "model.n_layers=2", "evaluate.baselines=[]"]
    try:
        run = api.train("story", options, data=str(folder / "tales.txt"), name="source", runs=folder, live=False)
    finally:
        os.environ.pop("LILLIPUT_CACHE")
        if before is not None:
            os.environ["LILLIPUT_CACHE"] = before
    return run.path


@pytest.fixture
def source(_source: Path, tmp_path: Path) -> Path:
    """A copy of a trained run."""
    return Path(shutil.copytree(_source, tmp_path / "source"))


@pytest.fixture
def begin(source: Path, tmp_path: Path) -> Callable[..., Run]:
    """Trains a run that begins with `source`: `begin(*overrides, name=..., **options of lilliput.train)`."""
    write_tales(tmp_path / "new.txt", count=100)

    def train(*overrides: str, name: str = "next", **options: Any) -> Run:
        given = {"data": str(tmp_path / "new.txt"), "runs": tmp_path, "live": False, "from_": source}
        given |= {"notify": lambda text: None, **options}
        return api.train("story", [*SHORT, *overrides], name=name, **given)

    return train


class StopAt(Callback):
    """Interrupts a run at a step, as a signal does."""

    def __init__(self, step: int):
        self.step = step

    def on_step(self, trainer, record) -> None:
        if trainer.step == self.step:
            trainer.interrupt("interrupted for a test")
