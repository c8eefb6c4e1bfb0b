"""The telling benchmark: its arithmetic, and real workers that say the same at a tiny size."""

import json

import pytest

import generate
from lilliput.base.console import use_json
from rounds import Turn


def test_figures_are_medians_and_ratios_within_rounds():
    turns = {"ours": [Turn(1.0, 7.0), Turn(2.0, 7.0), Turn(4.0, 7.0)]}
    turns["transformers"] = [Turn(9.0, 7.0), Turn(4.0, 7.0), Turn(8.0, 7.0)]
    first = {"ours": Turn(3.0, 7.0), "transformers": Turn(2.0, 7.5)}
    figures = generate.as_json(turns, first, tokens=100)
    assert figures["ours"] == 50
    assert figures["ours_int8"] is None
    assert figures["ratios"] == {"ours/transformers": 2.0}  # of 9, 2 and 2
    assert figures["same_tokens"] == {"ours": True, "transformers": False}


def test_what_makes_no_sense_is_refused():
    for given in (["--rounds", "0"], ["--batches", "0"], ["--arms", "nobody"]):
        with pytest.raises(SystemExit):
            generate.options(given)


@pytest.mark.study
def test_workers_of_all_kinds_say_the_same(capsys: pytest.CaptureFixture):
    pytest.importorskip("transformers")
    arms = ["ours", "ours_int8", "transformers", "llama_cpp_f32"]
    words = ["--size", "llama2c_260k", "--batches", "2", "--new-tokens", "6", "--rounds", "1", "--threads", "1"]
    try:
        generate.main([*words, "--json", "--arms", *arms])
    finally:
        use_json(False)
    figures = json.loads(capsys.readouterr().out)["batches"]["2"]
    assert figures["same_tokens"]["transformers"]
    assert all(figures[arm] > 0 for arm in arms[:3])
    assert figures["llama_cpp_f32"] is None
    assert "--tokenizer" in figures["absent"]["llama_cpp_f32"]
