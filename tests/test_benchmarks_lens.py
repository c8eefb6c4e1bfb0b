"""lens: ratios of known seconds, and a real measurement at a tiny size."""

import json
from typing import Any

import pytest
import torch

import lens as benchmark
from lilliput.base.console import use_json
from tests.lens.outside import needs_bridge


def test_ratios_are_medians_of_ratios_within_a_round():
    found = benchmark.ratios({"plain": [1.0, 2.0, 4.0], "everything": [1.5, 3.0, 4.0]})
    assert found["plain"] == {"milliseconds": 2000.0, "ratio": 1.0}
    assert found["everything"] == {"milliseconds": 3000.0, "ratio": 1.5}


def test_contestants_take_turns_after_a_warm_up():
    calls = []
    mine = {name: lambda name=name: calls.append(name) for name in "ab"}
    found = benchmark.in_turns([lambda: benchmark.one_round(mine), lambda: {"plain": float(len(calls))}], 2)
    assert calls == ["a", "b"] * 3
    assert {name: len(each) for name, each in found[0].items()} == {"a": 2, "b": 2}
    assert found[1] == {"plain": [4.0, 6.0]}


def measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> dict[str, Any]:
    """The figures of one round at a tiny size."""
    monkeypatch.setattr(benchmark, "ROWS", 1)
    monkeypatch.setattr(benchmark, "LENGTH", 8)
    threads = torch.get_num_threads()
    try:
        benchmark.main(["--style", "story_1m", "--vocabulary", "64", "--repeats", "1", "--json"])
    finally:
        use_json(False)
        torch.set_num_threads(threads)
    return json.loads(capsys.readouterr().out)


def test_a_real_measurement_without_the_peer(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(benchmark, "PEER", str(tmp_path / "none"))
    found = measured(monkeypatch, capsys)
    assert found["transformerlens"] is None
    assert "make lens-check" in found["absent"]
    assert found["ours"].keys() == {"plain", "plain again", "everything", "the residual stream", "one name"}
    assert found["ours"]["plain"]["ratio"] == 1.0


@needs_bridge
@pytest.mark.timeout(1800)
def test_a_real_measurement_beside_the_peer(monkeypatch, capsys):
    found = measured(monkeypatch, capsys)
    assert not found["absent"]
    assert found["transformerlens"].keys() == {"plain", "everything", "one name"}
    assert found["transformerlens"]["everything"]["milliseconds"] > 0
    assert found["versions"]["transformerlens"]["transformer-lens"].startswith("4.")
