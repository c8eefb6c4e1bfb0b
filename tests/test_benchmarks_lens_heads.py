"""lens: ratios of known seconds, and a real measurement at a tiny size."""

import json
import sys

import pytest
import torch

import lens as benchmark
from lilliput.base.console import use_json


def test_ratios_are_medians_of_ratios_within_a_round():
    found = benchmark.ratios({"plain": [1.0, 2.0, 4.0], "everything": [1.5, 3.0, 4.0]})
    assert found["plain"] == {"milliseconds": 2000.0, "ratio": 1.0}
    assert found["everything"] == {"milliseconds": 3000.0, "ratio": 1.5}


def test_works_take_turns_after_a_warm_up():
    calls = []
    found = benchmark.cpu_seconds({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert [len(each) for each in found.values()] == [2, 2]


def test_a_real_measurement(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(benchmark, "ROWS", 1)
    monkeypatch.setattr(benchmark, "LENGTH", 8)
    monkeypatch.setitem(sys.modules, "transformer_lens.model_bridge", None)
    threads = torch.get_num_threads()
    try:
        benchmark.main(["--style", "story_1m", "--vocabulary", "64", "--repeats", "1", "--json"])
    finally:
        use_json(False)
        torch.set_num_threads(threads)
    printed = json.loads(capsys.readouterr().out)
    assert printed["transformerlens"] is None
    assert printed["ours"].keys() == {"plain", "plain again", "everything", "the residual stream", "one name"}
    assert printed["ours"]["plain"]["ratio"] == 1.0
