"""growth, overhead, step_kernels and tokenizing: their arithmetic on known figures, and real runs at a tiny size."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import growth
import overhead
import profiled
import step_kernels
import tokenizing
from lilliput.base.console import use_json
from lilliput.base.errors import LilliputError
from pictures import write_svg
from tokenizing import Contestant, check_ids, rates


def test_the_exponent_is_the_slope_through_the_logarithms():
    assert growth.exponent([(x, 3 * x**1.5) for x in (1, 10, 100)]) == pytest.approx(1.5)
    assert growth.exponent([(1, 1), (2, 4), (4, 4)]) == pytest.approx(1.0)
    assert growth.exponent([(2, 5)]) is None


def test_growth_measures_both_lines(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def measured(case, arm, seconds):
        parameters = {"story_1m": 1e6, "story_3m": 3e6}[case.name]
        pace = parameters * case.context / 1e9
        return {
            "name": case.name,
            "parameters": parameters,
            "context": case.context,
            "rows": case.rows,
            "tokens_per_second": 1e6 / pace,
            "seconds_per_million_tokens": pace,
            "peak_bytes": 1e8,
            "flops_per_second": 1e9,
        }

    monkeypatch.setattr(growth, "measure", measured)
    words = ["--sizes", "story_1m", "story_3m", "--size", "story_1m", "--contexts", "128", "512", "--threads", "1"]
    try:
        growth.main([*words, "--precision", "fp32", "--svg", str(tmp_path / "g.svg"), "--json"])
    finally:
        use_json(False)
    printed = json.loads(capsys.readouterr().out)
    assert printed["exponents"]["sizes"]["seconds_per_million_tokens"] == pytest.approx(1.0)
    assert printed["exponents"]["contexts"]["peak_bytes"] == pytest.approx(0.0)
    assert [row["rows"] for row in printed["contexts"]] == [32, 8]
    assert (tmp_path / "g.svg").read_text().count("<circle") == 8
    assert growth.table("sizes", printed["sizes"]).row_count == 2


def test_every_size_of_growth_is_a_known_style():
    cases = [growth.case(style, 128, 256, "cpu", "fp32", 1) for style in growth.SIZES]
    assert [case.rows for case in cases] == [2] * len(growth.SIZES)


def test_shares_of_a_step():
    clock = overhead.Clock()
    clock.seconds.update({"step": 11.0, "evaluation": 1.0, "update": 9.5, "metrics": 0.2, "terminal": 0.05})
    clock.seconds["making batches"] = 0.4
    clock.calls.update({"step": 100, "making batches": 101})
    parts = overhead.shares(clock)["parts"]
    assert parts["metrics"]["share"] == pytest.approx(0.02)
    assert (parts["metrics"]["met"], parts["terminal"]["met"], parts["update"]["met"]) == (False, True, None)
    assert parts["rest"]["milliseconds"] == pytest.approx(2.5)
    assert sum(part["share"] for part in parts.values()) == pytest.approx(1.0)


def test_a_clock_times_and_passes_on():
    clock = overhead.Clock()
    assert clock.timing("a", lambda x, y=1: x + y)(2, y=3) == 5
    with pytest.raises(ZeroDivisionError):
        clock.timing("a", lambda: 1 / 0)()
    assert clock.calls["a"] == 2
    assert clock.seconds["a"] > 0


def test_overhead_of_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path))
    words = ["data.sources.0.stories=80", "tokenizer.vocab_size=300", "model.d_model=32", "model.n_layers=1"]
    words += ["train.threads=1", "train.precision=fp32", "train.compile=false", "evaluate.tokens=256"]
    threads = torch.get_num_threads()
    try:
        overhead.main([*words, "--steps", "12", "--json"])
    finally:
        use_json(False)
        torch.set_num_threads(threads)
    printed = json.loads(capsys.readouterr().out)
    assert printed["steps"] == 12
    parts = printed["parts"]
    assert parts["update"]["share"] > 0.3
    assert all(part["milliseconds"] > 0 for part in parts.values())
    assert printed["making_batches_milliseconds"] > 0


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["aten::mm", "aten::linear"], "matrix products"),
        (["aten::mm", "GeneratedBackwardFor_lilliput_linear_cross_entropy_default"], "matrix products"),
        (["aten::exp_", "lilliput::linear_cross_entropy"], "the head's softmax and loss"),
        (["aten::_scaled_dot_product_flash_attention_for_cpu"], "attention"),
        (["aten::bmm", "aten::baddbmm", "Optimizer.step#Muon.step"], "Muon's step"),
        (["aten::_fused_adamw_", "Optimizer.step#AdamW.step"], "AdamW's step"),
        (["aten::silu", "aten::mul"], "norms, activations, sums, copies"),
    ],
)
def test_an_operation_belongs_to_one_group(names: list[str], expected: str):
    event = None
    for name in reversed(names):
        event = SimpleNamespace(name=name, cpu_parent=event)
    assert profiled.group(event) == expected


@pytest.mark.study
def test_the_groups_of_a_real_step_add_up(capsys: pytest.CaptureFixture):
    words = ["--rows", "1", "--context", "32", "--steps", "2", "--threads", "1", "--precision", "fp32"]
    threads = torch.get_num_threads()
    try:
        step_kernels.main([*words, "--optimizer", "muon", "--eager", "--json"])
    finally:
        use_json(False)
        torch.set_num_threads(threads)
    printed = json.loads(capsys.readouterr().out)
    groups = printed["groups"]
    assert sum(groups.values()) == pytest.approx(printed["profiled_seconds"])
    everywhere = {"matrix products", "attention", "the head's softmax and loss", "Muon's step", "AdamW's step"}
    assert everywhere <= groups.keys()
    assert all(groups[name] > 0 for name in everywhere)
    assert step_kernels.table("a step", printed).row_count == len(groups)


def test_rates_are_medians_and_ratios_within_a_round():
    seconds = {"encode": {"ours": [1.0, 2.0, 4.0], "tiktoken": [2.0, 2.0, 2.0], "rustbpe": [1.0, 4.0, 8.0]}}
    figures = rates(seconds, 8.0)
    assert figures["megabytes_per_second"]["encode"] == {"ours": 4.0, "tiktoken": 4.0, "rustbpe": 2.0}
    assert figures["ours_to_fastest"]["encode"] == 1.0  # of 1, 1 and 0.5
    assert figures["met"]["encode"]


def test_other_ids_are_refused():
    ours = Contestant("ours", lambda texts: [[8, 9]])
    check_ids(
        [ours, Contestant("tiktoken", lambda texts: [[0, 1]], shift=8), Contestant("rustbpe", lambda t: [[5]])], "a"
    )
    with pytest.raises(LilliputError, match="tiktoken gives other ids"):
        check_ids([ours, Contestant("tiktoken", lambda texts: [[0, 2]], shift=8)], "a")


def test_tokenizing_measures_the_real_libraries(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tiktoken")
    pytest.importorskip("rustbpe")
    monkeypatch.setenv("LILLIPUT_CACHE", "")  # the benchmark sets both, and this puts them back
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    words = ["--megabytes", "0.2", "--distinct", "60", "--vocab-size", "400", "--threads", "1", "--rounds", "1"]
    try:
        tokenizing.main([*words, "--json"])
    finally:
        use_json(False)
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["megabytes_per_second"]["path"]) == {"ours", "tiktoken", "rustbpe"}
    assert set(printed["megabytes_per_second"]["train"]) == {"ours", "rustbpe"}
    assert all(rate > 0 for arms in printed["megabytes_per_second"].values() for rate in arms.values())
    assert tokenizing.table(printed).row_count == 3


def test_a_picture_of_several_charts_is_one_file(tmp_path: Path):
    chart = growth.Chart("a", [growth.Series("a", [(1.0, 2.0), (2.0, 3.0)])])
    text = write_svg(tmp_path / "folder" / "a.svg", [chart, chart]).read_text()
    assert text.count("<svg") == 3
    assert 'height="640"' in text
