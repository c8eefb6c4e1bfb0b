"""time_to_loss: its arithmetic, the search, what is kept, LitGPT's weights in our model; runs of known outcome."""

import importlib.util
import json
import math
from pathlib import Path

import pytest
import torch

import goals
import time_to_loss
from goals import reach
from lilliput.base.console import use_json
from lilliput.base.errors import ConfigError, LilliputError
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from pretraining import LITGPT_NAMES, Bench, Outcome, Task, carried_over, logit_difference, on_edge, search
from rounds import Absent
from workers.litgpt_pretrain import clock, plan

SMALL = ModelConfig(d_model=32, n_layers=2, n_heads=2, vocab_size=64, context_length=16)


def outcome(task: Task, bits: float, seconds: float | None = None) -> Outcome:
    return Outcome(task, task.tokens or 1000, 10, 1, seconds or task.seconds or 5.0, None, bits)


def test_time_to_a_loss_is_read_between_runs_on_a_logarithmic_clock():
    points = [(60.0, 1.0), (240.0, 0.8), (600.0, 0.7)]
    assert reach(points, 0.9) == (pytest.approx(120.0), "")  # half way from 60 to 240 by the logarithm
    assert reach(points, 0.8) == (pytest.approx(240.0), "")
    assert reach(points, 1.2) == (60.0, "at most")
    assert reach(points, 0.69) == (None, "not reached")
    assert reach([(60.0, math.nan), *points[1:]], 0.75)[0] == pytest.approx(240 * math.sqrt(600 / 240))
    assert reach([], 1.0) == (None, "not reached")


def test_goals_compare_the_longest_runs():
    ours = [outcome(Task("ours", 1, 60.0), 1.0), outcome(Task("ours", 1, 600.0), 0.5)]
    shipped = [outcome(Task("litgpt_shipped", 1, s), bits, s) for s, bits in ((600.0, 1.4), (1800.0, 1.0))]
    times = goals.time_goals(ours, shipped)
    assert [row["goal"] for row in times] == [None, 12.0]
    assert times[1]["ratio"] == pytest.approx(30.0)
    assert times[1]["bound"] == "at most"
    assert times[1]["met"] is True
    (bits,) = goals.bits_goals(ours, shipped)  # only 600 s is a budget of both
    assert bits["fewer"] == pytest.approx(1 - 0.5 / 1.4)
    assert bits["met"]
    (missed,) = goals.time_goals(ours, [outcome(Task("litgpt_tuned", 1, 600.0), 0.4)])
    assert (missed["ratio"], missed["met"]) == (None, False)


def test_equal_tokens_are_a_mean_and_a_deviation_over_seeds():
    runs = [outcome(Task("ours", seed, tokens=5), bits) for seed, bits in ((1, 0.5), (2, 0.7))]
    (row,) = goals.equal_tokens(runs)
    assert (row["mean"], row["seeds"]) == (pytest.approx(0.6), [1, 2])
    assert row["deviation"] == pytest.approx(math.sqrt(0.02))
    assert goals.equal_tokens(runs[:1])[0]["deviation"] is None


def test_warm_up_and_clock_of_the_litgpt_worker():
    assert plan(131_072 * 50.4, 131_072) == (50, 5)
    assert plan(1e9, 2048) == (488_281, 1000)
    assert plan(10, 2048) == (1, 0)
    assert clock([0.0, 31.0, 32.0, 33.0]) == (pytest.approx(3.0), pytest.approx(30.0))
    assert clock([0.0, 0.5, 1.5, 2.5]) == (pytest.approx(2.5), 0.0)
    assert clock([0.0, 4.0]) == (4.0, 0.0)  # one iteration: what of it was compiling cannot be known


def test_the_search_puts_the_best_first_and_reports_a_best_on_the_edge():
    bits = {(1, 0.1): 0.9, (1, 0.2): math.nan, (2, 0.1): 0.8, (2, 0.2): 0.7, (4, 0.1): 0.95, (4, 0.2): 1.0}
    found = search(lambda t: outcome(t, bits[t.batch_tokens, t.learning_rate]), 5.0, [1, 2, 4], [0.1, 0.2])  # pyright: ignore[reportArgumentType]
    assert (found[0].task.batch_tokens, found[0].task.learning_rate) == (2, 0.2)
    assert math.isnan(found[-1].bits_per_byte)
    assert on_edge(found[0].task, [1, 2, 4], [0.1, 0.2]) == ["the learning rate: 0.2 is the largest tried"]
    assert on_edge(found[0].task, [2], [0.2]) == []


def litgpt_weights(model: Model) -> dict[str, torch.Tensor]:
    """The weights of our model under LitGPT's names."""
    found = {}
    for name, tensor in model.state_dict().items():
        layer = name.split(".")[1]
        theirs = LITGPT_NAMES[name.replace(f".{layer}.", ".#.", 1) if name.startswith("blocks.") else name]
        for part, piece in zip(theirs, tensor.chunk(len(theirs)), strict=True):
            found[part.replace("#", layer)] = piece
    return found


def test_weights_are_carried_over_and_a_wrong_map_is_noticed():
    model = Model(SMALL.model_copy(update={"init": "normal"}), seed=3).eval()
    probe = torch.arange(32).reshape(2, 16)
    with torch.no_grad():
        logits = model.logits(model(probe))
    theirs = litgpt_weights(model)
    assert logit_difference(carried_over(model.config, theirs), probe, logits) == 0.0
    for block in (0, 1):  # gate and up in each other's place
        names = [f"transformer.h.{block}.mlp.fc_{number}.weight" for number in (1, 2)]
        theirs |= dict(zip(names, [theirs[name] for name in reversed(names)], strict=True))
    with pytest.raises(LilliputError, match="other logits"):
        logit_difference(carried_over(model.config, theirs), probe, 10 * logits)


@pytest.fixture
def fake_runs(monkeypatch: pytest.MonkeyPatch):
    """Runs that take no time: bits per byte fall with the budget, ours fastest; every real run is noted."""
    done: list[Task] = []

    def train(bench: Bench, task: Task, *_: str) -> Outcome:
        done.append(task)
        budget = task.seconds or (task.tokens or 0) / 1000
        factor = {"ours": 1.0}.get(task.arm, 2.0) + (task.learning_rate or 0.0)
        return Outcome(task, int(budget * 1000), 7, 1, budget, None, factor / math.log(budget + 2))

    monkeypatch.setattr(Bench, "_lilliput", train)
    monkeypatch.setattr(Bench, "_litgpt", train)
    return done


WORDS = ["data.sources.0.stories=60", "tokenizer.vocab_size=300", "model.d_model=32", "model.n_layers=1", "--json"]
WORDS += ["--minutes", "0.5", "1", "--shipped-minutes", "1", "--tuned-minutes", "1", "--llama2c-minutes", "1"]
WORDS += ["--batches", "512", "--rates", "0.1", "0.2", "--tokens", "4000", "--seeds", "1", "2", "--threads", "1"]


def test_one_command_gives_every_figure_and_finished_runs_are_not_done_again(
    fake_runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    words = [*WORDS, "--precision", "fp32", "--folder", str(tmp_path / "kept"), "--svg", str(tmp_path / "t.svg")]
    printed = []
    try:
        for _ in range(2):
            time_to_loss.main(words)
            printed.append(json.loads(capsys.readouterr().out))
    finally:
        use_json(False)
    # The best run of the search has the budget of litgpt_tuned here, and is that run.
    assert len(fake_runs) == 2 + 1 + 2 + 1 + 4 * 2
    assert printed[0]["runs"] == printed[1]["runs"]
    assert printed[0]["search"]["runs"][0]["learning_rate"] == 0.1
    assert [run["arm"] for run in printed[0]["runs"]] == [
        "ours",
        "ours",
        "litgpt_shipped",
        "litgpt_tuned",
        "adamw_llama2c",
    ]
    assert {row["arm"] for row in printed[0]["equal_tokens"]} == set(time_to_loss.ARMS)
    assert all(row["fewer"] > 0.4 for row in printed[0]["bits_goals"])
    assert (tmp_path / "t.svg").read_text().count("<circle") == 5
    assert [table.row_count for table in goals.tables(printed[0])] == [5, 3, 3, 4]


def test_what_only_our_trainer_follows_runs_litgpt_not_again(
    fake_runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    words = [*WORDS, "--precision", "fp32", "--folder", str(tmp_path / "kept")]
    again: list[set[str]] = []
    try:
        for change in ("seed=1", "train.optimizer.learning_rate=0.5", "data.validation_fraction=0.1"):
            fake_runs.clear()
            time_to_loss.main([change, *words])
            again.append({task.arm for task in fake_runs})
    finally:
        use_json(False)
    assert again == [set(time_to_loss.ARMS), {"ours", "adamw_llama2c"}, set(time_to_loss.ARMS)]


def test_an_absent_litgpt_is_named(fake_runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def missing(bench: Bench, task: Task) -> Outcome:
        raise Absent("no litgpt; type: make bench")

    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Bench, "_litgpt", missing)
    try:
        time_to_loss.main([*WORDS, "--precision", "fp32", "--folder", str(tmp_path / "kept")])
    finally:
        use_json(False)
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["absent"]) == {"litgpt_shipped", "litgpt_tuned"}
    assert {run["arm"] for run in printed["runs"]} == {"ours", "adamw_llama2c"}


def test_shapes_that_litgpt_cannot_have_are_refused():
    with pytest.raises(ConfigError, match="layer"):
        time_to_loss.make_bench(time_to_loss.options(["model.norm=layer", "--threads", "1", "--precision", "fp32"]))
    with pytest.raises(SystemExit):
        time_to_loss.options(["--minutes", "0"])


def test_the_benchmarks_hide_no_module_of_python():
    names = [path.stem for path in Path(time_to_loss.__file__).parent.glob("*.py")]
    for name in names:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert Path(str(spec.origin)).parent == Path(time_to_loss.__file__).parent
