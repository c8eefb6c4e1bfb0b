"""A run records what computes it, and a resume under something else prints one line before it goes on."""

import json
from pathlib import Path

import pytest

from lilliput import api
from lilliput.base.runtime import switch
from lilliput.model.kernels import library
from lilliput.runs.run_folder import RunFolder
from lilliput.training.callbacks import Callback
from tests.cli.conftest import TINY, write_tales

SETTINGS = [*TINY, "train.steps=4", "evaluate.steps=4", "train.precision=fp32", "evaluate.baselines=[]"]


class Stop(Callback):
    """Interrupts at step 2."""

    def on_step(self, trainer, record) -> None:
        if trainer.step == 2:
            trainer.interrupt("interrupted for a test")


def _train(folder: Path, callbacks: tuple[Callback, ...] = ()) -> list[str]:
    """The lines that training prints."""
    lines: list[str] = []
    given = {"data": str(folder / "tales.txt"), "runs": folder, "live": False, "notify": lines.append}
    api.train("story", SETTINGS, name="tiny", callbacks=callbacks, **given)
    return lines


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    write_tales(tmp_path / "tales.txt")
    _train(tmp_path, (Stop(),))
    return tmp_path


def test_the_option_of_before_still_shows_lines(tmp_path: Path):
    write_tales(tmp_path / "tales.txt")
    lines: list[str] = []
    given = {"data": str(tmp_path / "tales.txt"), "runs": tmp_path, "live": False, "say": lines.append}
    with pytest.warns(DeprecationWarning, match=r"say of lilliput\.train is called notify"):
        api.train("story", SETTINGS, name="tiny", callbacks=(Stop(),), **given)
    assert any("tales.txt" in line for line in lines)


def _differing(lines: list[str]) -> list[str]:
    return [line for line in lines if "last bits" in line]


def test_the_same_runtime_is_resumed_without_a_word(interrupted: Path):
    assert _differing(_train(interrupted)) == []
    run = RunFolder(interrupted / "tiny")
    kept, summary = json.loads(run.settings.read_text()), run.read_summary()
    assert {name: summary[name] for name in ("kernels", "products", "allocator", "precision", "threads")} == {
        name: kept[name] for name in ("kernels", "products", "allocator", "precision", "threads")
    }
    assert summary["compiled"] == kept["compile"]
    assert summary["versions"] == {name: kept[name] for name in ("torch", "lilliput", "python")}


def test_another_runtime_is_named_before_training_goes_on(interrupted: Path, monkeypatch: pytest.MonkeyPatch):
    run = RunFolder(interrupted / "tiny")
    before = json.loads(run.settings.read_text())["kernels"]
    monkeypatch.setenv(switch.PLAIN, "1")
    monkeypatch.setattr(library, "library", library.library.__wrapped__)
    library.has_openmp.cache_clear()
    lines = _train(interrupted)
    library.has_openmp.cache_clear()
    if before == "pytorch":
        pytest.skip("no C++ compiler: nothing differs")
    (line,) = _differing(lines)
    assert f"kernels pytorch (was {before})" in line
    assert lines.index(line) < next(n for n, text in enumerate(lines) if text.startswith("resumed "))
    assert run.read_summary()["kernels"] == json.loads(run.settings.read_text())["kernels"] == "pytorch"
