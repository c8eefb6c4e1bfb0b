"""benchmarks/families.py runs whole, and its measures are what they say."""

import json
from pathlib import Path

import pytest
import torch

import families as bench
from lilliput.base.console import use_json
from lilliput.model.transformer import Model
from tests.model.families import config, stirred, tokens


@pytest.mark.study
def test_experts_run_whole_and_are_not_trained_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ["dense", "experts, equal work"]
    for _ in range(2):
        capsys.readouterr()
        bench.main("experts", 1, tmp_path, 4096, only, True, True)
    found = json.loads(capsys.readouterr().out)
    use_json(False)
    assert list(found["arms"]) == only
    for (row,) in found["arms"].values():
        assert 0 < row["bits"] < 12
        assert all(norm > 0 for norm in (*row["early"], *row["late"]))
    dense, sparse = (found["arms"][arm][0] for arm in only)
    assert dense["active"] == dense["parameters"]
    assert sparse["active"] < sparse["parameters"]


def test_a_part_without_native_steps_prints_nothing_beside_the_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.main("blocks", 1, tmp_path, 4096, ["pre-norm, BatchNorm"], True, True)
    (row,) = json.loads(capsys.readouterr().out)["arms"]["pre-norm, BatchNorm"]
    use_json(False)
    assert "leak" in row


def test_batch_norm_leaks_the_future_and_other_norms_do_not(tmp_path: Path) -> None:
    rows = tokens(6, 20)
    for family, leaks in (("own_batch_norm", True), ("story", False)):
        model: Model = stirred(family).train()
        with torch.no_grad():
            own, other = (bench._first_half(model, each, 10) for each in (rows, bench._exchanged(rows, 10)))
        assert (abs(own - other) > 1e-4) == leaks
    assert config("own_batch_norm").norm == "batch"
