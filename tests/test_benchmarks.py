"""The training-step benchmark: its arithmetic on workers of known speed, its JSON, and real workers at a tiny size."""

import io
import json
import math
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

import train_step
from comparison import CEILING, LITGPT, Case, as_json, compare, notes, table, token_batches
from lilliput.base.console import use_json
from lilliput.base.errors import LilliputError
from lilliput.model.config import ModelConfig, resolve
from lilliput.model.counts import flops_per_token, parameters
from products import products
from rounds import Arm, Turn, Worker, interleave, ratio

SMALL = ModelConfig(d_model=32, n_layers=1, n_heads=2, vocab_size=64, context_length=16)
GPT2_LIKE = resolve("gpt2_124m", d_model=32, n_layers=1, n_heads=2, d_mlp=128, vocab_size=64, context_length=16)
CASE = Case("small", SMALL, context=16, rows=4, micro_rows=2, precision="fp32", device="cpu", threads=1)

# A worker that computes nothing: its steps take `paces` seconds in turn, over and over.
FAKE = """
import itertools, json, sys
job = json.loads(sys.stdin.readline())
paces, done = itertools.cycle({paces}), 0
print(json.dumps({{"parameters": {parameters}, "versions": {{"fake": "1.0"}}}}), flush=True)
for line in sys.stdin:
    steps = json.loads(line)["steps"]
    done += steps
    print(json.dumps({{"seconds": sum(next(paces) for _ in range(steps)), "loss": {loss} - 0.01 * done}}), flush=True)
"""


@pytest.fixture
def fake(tmp_path: Path):
    def make(name: str, *paces: float, parameters: int = 1000, loss: float = math.log(64)) -> Arm:
        script = tmp_path / f"{name}.py"
        script.write_text(FAKE.format(paces=paces, parameters=parameters, loss=loss))
        return Arm(name, sys.executable, script, "type: make bench")

    return make


def test_figures_are_medians_and_ratios_of_what_the_workers_report(fake):
    # Two warm-up steps, then 3 rounds of 2 steps: 'ours_eager' takes 0.5 s for each step; 'transformers' 2, 1 and 4.
    slow = fake("transformers", 9.0, 2.0, 2.0, 2.0, 1.0, 1.0, 4.0, 4.0)
    outcome = compare(CASE, [fake("ours_eager", 0.5), slow], {}, rounds=3, seconds=4.0)
    figures = as_json(outcome, peak=1e9)

    assert figures["steps_per_round"] == 2  # the slowest needs 2 s for its second step
    assert figures["ours"] == pytest.approx(4 * 16 / 0.5)
    assert figures["rounds"]["transformers"] == pytest.approx([32, 64, 16])
    assert figures["transformers"] == pytest.approx(32)
    assert figures["ratios"] == {"ours_eager/transformers": pytest.approx(4.0)}
    assert figures["matmul_fraction"] == pytest.approx(128 * flops_per_token(SMALL, 16).training / 1e9)
    assert figures["ours_compiled"] is None
    assert figures["litgpt"] is None
    assert figures["first_loss"]["ours_eager"] == pytest.approx(math.log(64) - 0.01)
    assert figures["last_loss"]["ours_eager"] == pytest.approx(math.log(64) - 0.08)
    json.dumps(figures, allow_nan=False)


def test_a_ratio_is_taken_within_rounds():
    ours = [Turn(seconds, 0.0) for seconds in (1, 4, 9)]
    peer = [Turn(seconds, 0.0) for seconds in (9, 4, 18)]
    assert ratio(ours, peer) == 2.0  # of 9, 1 and 2; the ratio of the medians is 2.25


def test_every_worker_has_a_turn_in_every_round_and_the_first_place_passes_on():
    class Quick:
        def __init__(self, name: str):
            self.arm = SimpleNamespace(name=name)

        def run(self, steps: int) -> Turn:
            return Turn(float(steps), 1.0)

    order: list[str] = []
    workers = [Quick(name) for name in "abc"]
    turns = interleave(workers, 4, 5, lambda number, worker, turn: order.append(worker.arm.name))  # pyright: ignore[reportArgumentType]
    assert "".join(order) == "abcbcacababc"
    assert turns == {name: [Turn(5.0, 1.0)] * 4 for name in "abc"}


def test_an_absent_peer_is_named_with_what_to_type(fake, tmp_path: Path):
    says_so = tmp_path / "absent.py"
    says_so.write_text("import json; input(); print(json.dumps({'absent': 'no module litgpt'}))")
    arms = [
        fake("ours_eager", 1.0),
        Arm("transformers", sys.executable, says_so, "pip install transformers"),
        Arm("litgpt", str(tmp_path / "nowhere" / "python"), says_so, "type: make bench"),
    ]
    figures = as_json(compare(CASE, arms, {"ours_compiled": "install g++"}, rounds=1, seconds=2.0), peak=1e9)
    assert figures["litgpt"] is None
    assert figures["transformers"] is None
    assert figures["absent"]["ours_compiled"] == "install g++"
    assert "no module litgpt" in figures["absent"]["transformers"]
    assert "nowhere" in figures["absent"]["litgpt"]
    assert "make bench" in figures["absent"]["litgpt"]

    facts = {"precision": "fp32", "threads": 1, "matmul_flops_per_second": 1e9}
    shown = io.StringIO()
    Console(width=200, file=shown).print(table("small", figures, facts))
    assert shown.getvalue().count("absent") == 3
    assert sum("absent" in note for note in notes(figures, facts)) == 3


def test_a_worker_that_dies_gives_its_last_words(fake, tmp_path: Path):
    script = tmp_path / "dies.py"
    script.write_text("input(); raise SystemExit('the disk is full of sand')")
    with pytest.raises(LilliputError, match="full of sand"):
        compare(CASE, [fake("ours_eager", 1.0), Arm("litgpt", sys.executable, script, "")], {}, rounds=1, seconds=2.0)


def test_arms_that_do_other_work_are_refused(fake):
    with pytest.raises(LilliputError, match=r"differ in size.*1000.*1001"):
        compare(CASE, [fake("ours_eager", 1.0), fake("litgpt", 1.0, parameters=1001)], {}, rounds=1, seconds=2.0)
    with pytest.raises(LilliputError, match="litgpt starts at 9"):
        compare(CASE, [fake("ours_eager", 1.0), fake("litgpt", 1.0, loss=9.5)], {}, rounds=1, seconds=2.0)


def test_cases_follow_the_command_line():
    asked = train_step.options(["--contexts", "256", "1024"])
    found = train_step.cases(asked, "fp32", torch.device("cpu"), 2)
    assert list(found) == ["llama_6L_6H_288D", "llama_6L_6H_288D@1024", "story_7m", "story_7m@1024"]
    assert [case.tokens for case in found.values()] == [4096, 4096, 8192, 8192]
    assert found["story_7m@1024"].model.context_length == 1024
    assert found["story_7m"].micro_rows == 16
    fixed = train_step.cases(train_step.options(["--rows", "3", "--micro-rows", "8"]), "bf16", torch.device("cpu"), 2)
    assert {(case.rows, case.micro_rows, case.precision) for case in fixed.values()} == {(3, 3, "bf16")}
    on_gpu = train_step.cases(train_step.options(["--contexts", "1024"]), "bf16", torch.device("cuda"), 2)
    assert {(case.rows, case.micro_rows) for case in on_gpu.values()} == {(64, 64)}
    with pytest.raises(SystemExit):
        train_step.options(["--rounds", "0"])


def test_who_cannot_build_a_shape_is_left_out_with_the_reason():
    assert train_step.unable(resolve("story_7m")) == {}
    gpt2 = train_step.unable(resolve("gpt2_124m"))
    assert set(gpt2) == set(LITGPT)
    assert "position=learned" in gpt2["litgpt"]
    assert "transformers" in train_step.unable(ModelConfig(norm="layer", qk_norm=True))
    assert "transformers" in train_step.unable(resolve("gpt_6L_6H_288D"))  # GPT-NeoX always has biases


def test_a_pass_that_is_too_large_for_someone_is_halved_for_all(fake, tmp_path: Path):
    greedy = tmp_path / "greedy.py"
    greedy.write_text(
        "import json, sys\n"
        "job = json.loads(input())\n"
        "if job['micro_rows'] > 1: raise SystemExit('torch.OutOfMemoryError: CUDA out of memory')\n"
        "print(json.dumps({'parameters': 1000, 'versions': {}}), flush=True)\n"
        "for line in sys.stdin: print(json.dumps({'seconds': 1.0, 'loss': 4.15}), flush=True)\n"
    )
    everyone = [fake("ours_eager", 1.0), Arm("transformers", sys.executable, greedy, "")]
    outcome = train_step.fitting(CASE, everyone, {}, rounds=1, seconds=2.0)
    assert CASE.micro_rows > 1
    assert outcome.case.micro_rows == 1
    assert set(outcome.turns) == {"ours_eager", "transformers"}
    greedy.write_text("input(); raise SystemExit('the disk is full of sand')")
    with pytest.raises(LilliputError, match="full of sand"):
        train_step.fitting(CASE, everyone, {}, rounds=1, seconds=2.0)


def test_the_ceiling_is_measured_beside_the_contestants_and_is_none_of_them(fake):
    ceiling = fake("products", 0.4, parameters=0, loss=0.0)
    figures = as_json(compare(CASE, [fake("ours_eager", 0.5), ceiling], {}, rounds=3, seconds=2.0), peak=1e9)
    assert figures["products_fraction"] == pytest.approx(0.8)
    assert figures["products"] == pytest.approx(4 * 16 / 0.4)
    assert figures["parameters"] == 1000
    assert set(figures["last_loss"]) == {"ours_eager"}
    facts = {"precision": "fp32", "threads": 1, "matmul_flops_per_second": 1e9}
    shown = io.StringIO()
    Console(width=200, file=shown).print(table("small", figures, facts))
    assert "products" in shown.getvalue()


@pytest.mark.parametrize("size", ["story_7m", "gpt2_124m"])
def test_the_ceiling_counts_the_products_that_the_rule_of_flops_counts(size: str):
    model = resolve(size, context_length=64)
    flops = sum(2 * batch * m * k * n for batch, m, k, n in products(model, rows=3, context=64))
    assert flops == pytest.approx(
        3 * 64 * flops_per_token(model).training, rel=0.01
    )  # norms and biases are no products


def test_json_is_one_object_on_standard_output(fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    vocab = math.log(4096)
    everyone = [fake(name, 1.0, loss=vocab) for name in ("ours_eager", "ours_compiled", "transformers", "litgpt")]
    monkeypatch.setattr(train_step, "arms", lambda device, python: (everyone, {}))
    monkeypatch.setattr(train_step.machine, "matmul_peak", lambda *_, **__: 1e12)
    try:
        train_step.main(["--sizes", "story_7m", "--rounds", "1", "--precision", "fp32", "--threads", "1", "--json"])
    finally:
        use_json(False)
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"sizes", "machine"}
    assert printed["machine"]["matmul_flops_per_second"] == 1e12
    figures = printed["sizes"]["story_7m"]
    assert [figures[name] for name in ("ours", "ours_compiled", "transformers", "litgpt")] == [8192.0] * 4
    assert set(figures["ratios"]) == {
        "ours_eager/transformers",
        "ours_eager/litgpt",
        "ours_compiled/transformers",
        "ours_compiled/litgpt",
    }
    assert 0 < figures["matmul_fraction"] < 1


def test_only_the_arms_asked_for_take_part(fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    everyone = [fake(name, 1.0, loss=math.log(4096)) for name in ("ours_eager", "transformers", "litgpt")]
    monkeypatch.setattr(train_step, "arms", lambda device, python: (everyone, {"ours_compiled": "install g++"}))
    monkeypatch.setattr(train_step.machine, "matmul_peak", lambda *_, **__: 1e12)
    asked = ["--sizes", "story_7m", "--rounds", "1", "--precision", "fp32", "--threads", "1", "--json"]
    try:
        train_step.main([*asked, "--arms", "ours_eager", "litgpt"])
    finally:
        use_json(False)
    figures = json.loads(capsys.readouterr().out)["sizes"]["story_7m"]
    assert set(figures["rounds"]) == {"ours_eager", "litgpt"}
    assert figures["absent"] == {}


def test_a_killed_worker_is_distinguished_from_a_failed_one(tmp_path: Path):
    for words, ending in (
        ("killed, as when memory runs out", "os.kill(os.getpid(), 9)"),
        ("exit code 3;", "os._exit(3)"),
    ):
        script = tmp_path / "ends.py"
        script.write_text(f"import os; input(); {ending}")
        with pytest.raises(LilliputError, match=words):
            Worker(Arm("ends", sys.executable, script, ""), {"threads": 1})


@pytest.mark.study
@pytest.mark.parametrize("model", [SMALL, GPT2_LIKE], ids=["llama", "gpt2"])
def test_the_real_workers_train_the_same_model(tmp_path: Path, model: ModelConfig):
    pytest.importorskip("transformers")
    case = replace(CASE, model=model)
    arms, _ = train_step.arms(torch.device("cpu"), Path("none"))
    token_batches(model.vocab_size, case.rows, case.context, tmp_path / "batches.npy")
    for arm in arms:
        if arm.name in ("ours_eager", "transformers"):
            with closing(Worker(arm, case.job(tmp_path / "batches.npy"))) as worker:
                assert worker.parameters == parameters(model).total
                first = worker.run(1).loss
                assert first == pytest.approx(math.log(64), abs=0.2)
                last = worker.run(79)
                assert last.loss < first - 0.2
                assert 50e6 < last.peak_bytes < 20e9
        elif arm.name == CEILING and model is SMALL:
            with closing(Worker(arm, case.job(tmp_path / "batches.npy"))) as worker:
                assert worker.run(2).seconds > 0


def test_a_worker_ends_with_its_input(fake):
    worker = Worker(fake("ours_eager", 1.0), CASE.job(Path("none")))
    worker.close()
    assert worker._process.returncode == 0
