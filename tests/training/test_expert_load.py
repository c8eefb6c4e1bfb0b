"""The load of experts: in metrics.jsonl and the report of a run, and a collapsed router that is reported."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import lilliput
from lilliput.runs.expert_section import idle
from lilliput.runs.report import write_report
from lilliput.runs.run_folder import RunFolder
from lilliput.training.expert_load import ExpertLoad, collapsed

TINY = (
    *("model.d_model=32", "model.n_layers=2", "model.n_heads=2", "model.mlp=experts", "model.n_experts=4"),
    *("model.d_mlp=32", "data.sources.0.stories=200", "evaluate.heroes=0", "evaluate.final_heroes=0"),
    *("train.batch_tokens=512", "evaluate.baselines=[]", "evaluate.tokens=256", "evaluate.final_tokens=256"),
    *("evaluate.sample_tokens=4", "train.log_steps=5"),
)


def test_a_run_measures_and_draws_them(tmp_path: Path) -> None:
    lilliput.train("story", [*TINY, "train.steps=20"], name="run", runs=tmp_path, notify=lambda text: None)
    lines = [line for line in RunFolder(tmp_path / "run").read_metrics() if "expert_load" in line]
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    for line in lines:
        assert [len(layer) for layer in line["expert_load"]] == [4, 4]
        assert all(sum(layer) == pytest.approx(1, abs=0.001) for layer in line["expert_load"])
    page = write_report(tmp_path / "run").read_text()
    assert "<h2>Experts</h2>" in page
    assert "of the even share" in page


def test_a_dense_run_has_none(tmp_path: Path) -> None:
    dense = [text for text in TINY if not text.startswith(("model.mlp", "model.n_exp"))]
    lilliput.train("story", [*dense, "train.steps=5"], name="run", runs=tmp_path, notify=lambda text: None)
    assert not any("expert_load" in line for line in RunFolder(tmp_path / "run").read_metrics())
    assert "<h2>Experts</h2>" not in write_report(tmp_path / "run").read_text()


def test_means_are_since_the_line_before_and_survive_a_resume() -> None:
    part = SimpleNamespace(load=torch.tensor([1.0, 0.0]))
    due = [False]
    trainer: Any = SimpleNamespace(
        due=lambda every, times: due[0],
        finished=False,
        config=SimpleNamespace(log_steps=None),
        counters=SimpleNamespace(progress=0.1),
    )
    before = ExpertLoad([part])  # pyright: ignore[reportArgumentType]
    before.on_step(trainer, {})
    after = ExpertLoad([part])  # pyright: ignore[reportArgumentType]
    after.load_state(before.state())
    part.load, due[0], record = torch.tensor([0.0, 1.0]), True, {}
    after.on_step(trainer, record)
    assert record == {"expert_load": [[0.5, 0.5]]}


def test_a_collapsed_router_is_reported_once() -> None:
    assert idle([0.97, 0.01, 0.01, 0.01]) == 3
    assert not collapsed([0.4, 0.4, 0.19, 0.01])
    said: list[str] = []
    trainer: Any = SimpleNamespace(
        due=lambda every, times: True,
        finished=False,
        config=SimpleNamespace(log_steps=None),
        counters=SimpleNamespace(progress=0.1),
        notify=said.append,
    )
    part = SimpleNamespace(load=torch.tensor([0.97, 0.01, 0.01, 0.01]))
    callback = ExpertLoad([part])  # pyright: ignore[reportArgumentType]
    callback.on_step(trainer, {})
    assert not said  # early routers are uneven
    trainer.counters.progress = 0.5
    callback.on_step(trainer, {})
    callback.on_step(trainer, {})
    assert len(said) == 1
    assert "layer 0: 3 of 4" in said[0]
