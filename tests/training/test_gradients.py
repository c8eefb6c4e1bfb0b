"""`train.log_gradients`: the norm of each block's gradient in metrics.jsonl and in the report."""

from pathlib import Path

import pytest
import torch

import lilliput
from lilliput.runs.report import write_report
from lilliput.runs.run_folder import RunFolder
from lilliput.training.stepper import blocks_of
from tests.model.families import read, stirred, tokens

TINY = (
    *("model.d_model=32", "model.n_layers=3", "model.n_heads=2", "model.d_mlp=32", "data.sources.0.stories=60"),
    *("train.batch_tokens=512", "evaluate.baselines=[]", "evaluate.tokens=256", "evaluate.final_tokens=256"),
    *("evaluate.heroes=0", "evaluate.final_heroes=0", "evaluate.sample_tokens=4", "train.log_steps=2"),
)


@pytest.mark.parametrize("asked", [True, False])
def test_a_run_measures_and_draws_them_where_asked(asked: bool, tmp_path: Path) -> None:
    more = [f"train.log_gradients={str(asked).lower()}", "train.steps=6"]
    lilliput.train("story", [*TINY, *more], name="run", runs=tmp_path, notify=lambda text: None)
    lines = [line for line in RunFolder(tmp_path / "run").read_metrics() if "grad_norm_by_block" in line]
    assert len(lines) >= 3 if asked else not lines
    for line in lines:
        assert len(line["grad_norm_by_block"]) == 3
        # The blocks are a part of the model, and are measured before clipping, as the whole is.
        assert 0 < sum(norm**2 for norm in line["grad_norm_by_block"]) ** 0.5 <= line["grad_norm"] * 1.001
    assert ("<h2>Gradients</h2>" in write_report(tmp_path / "run").read_text()) == asked


def test_the_blocks_of_an_encoder_come_first() -> None:
    model = stirred("t5")
    read(model, tokens()).square().sum().backward()
    blocks = blocks_of(model)
    assert len(blocks) == model.config.encoder_layers + model.config.n_layers
    assert model.encoder is not None
    assert blocks[0] is model.encoder.blocks[0]
    assert all(torch.isfinite(parameter.grad).all() for block in blocks for parameter in block.parameters())  # pyright: ignore
