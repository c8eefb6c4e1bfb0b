"""The loop on a small real model: it learns, resumes bit for bit, survives numbers that are not finite, and stops."""

import math
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lilliput.base.errors import ConfigError, TrainingError
from lilliput.base.machine import can_compile
from lilliput.data.rows import Rows
from lilliput.model.config import ModelConfig
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.causal import Causal, NextToken
from lilliput.objectives.objective import Objective
from lilliput.objectives.workshop import Workshop
from lilliput.runs import checkpoint
from lilliput.runs.run_folder import RunFolder
from lilliput.training.callbacks import Callback, Metrics, Phase, Record, keys
from lilliput.training.compiled import Compiled
from lilliput.training.config import GrowthConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from lilliput.training.settings import Settings
from lilliput.training.trainer import Trainer

SHAPE = ModelConfig(d_model=32, n_layers=1, n_heads=2, d_mlp=32, vocab_size=16, context_length=8)


class CountingLoader:
    """Rows that count upwards from a start that depends on the row's position alone."""

    context_length = 8
    row_tokens = 8
    rows_per_epoch = 50

    def take(self, position: int, count: int) -> Rows:
        starts = (np.arange(position, position + count) % self.rows_per_epoch * 5) % 16
        tokens = (starts[:, None] + np.arange(9)) % 16
        learn = np.ones(tokens.shape, dtype=np.float32)
        learn[:, 0] = 0
        documents = [(int(p), int(p)) for p in range(position, position + count)]
        return Rows(tokens.astype(np.int64), learn, None, documents)

    def document_ids(self, rows: Rows) -> list[str]:
        return [f"document {first}" for first, _ in rows.documents]


def objective(kind: type[Objective] = NextToken, model: Model | None = None) -> Objective:
    """A runtime of `kind` on a small model."""
    workshop = Workshop(cast(Any, None), Model(SHAPE, seed=0) if model is None else model, bytes_per_target=2.0)
    return kind(Causal(), workshop)


class Poisoned(NextToken):
    """A loss of NaN for the batches that hold a poisoned row."""

    bad: tuple[int, ...] = ()

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        batch = super().batch(rows, rng)
        if any(first in self.bad for first, _ in rows.documents):
            batch.weights[:] = math.nan
        return batch

    def weight(self, batch: Batch) -> float:
        return float(batch.tokens.numel())


def poisoned(*bad: int) -> type[Objective]:
    return type("Poisoned", (Poisoned,), {"bad": bad})


def trainer(path: Path, resume: bool = False, kind: type[Objective] = NextToken, **options: Any) -> Trainer:
    run = RunFolder(path)
    run.path.mkdir(parents=True, exist_ok=True)
    model = Model(SHAPE.model_copy(update={"dropout": options.pop("dropout", 0.0)}), seed=0)
    callbacks = [*options.pop("callbacks", []), Metrics()]
    settings = Settings(
        "fp32", options.pop("compile", False), options.pop("micro_batch_rows", 4), torch.get_num_threads()
    )
    optimizer = OptimizerConfig(kind="muon", learning_rate=0.01)
    config = {"steps": 12, "batch_tokens": 32, "checkpoint_steps": 4, "log_steps": 1, **options}

    def write_model(folder: Path) -> None:
        folder.mkdir()
        save_file(model.state_dict(), folder / "model.safetensors")

    return Trainer(
        objective(kind, model),
        CountingLoader(),  # type: ignore[arg-type]
        TrainConfig(optimizer=optimizer, schedule=ScheduleConfig(warmup_steps=2), **config),
        run,
        settings,
        seed=3,
        write_model=write_model,
        read_model=lambda folder: model.load_state_dict(load_file(folder / "model.safetensors")) and None,
        resume_from=checkpoint.newest_good(run, print, move_aside=True) if resume else None,
        callbacks=callbacks,
        notify=lambda text: printed.append(text),
    )


printed: list[str] = []


@pytest.fixture(autouse=True)
def nothing_said_before() -> None:
    printed.clear()


def weights(t: Trainer) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in t.model.parameters()]


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


class StopAt(Callback):
    def __init__(self, step: int, act: Any = None):
        self.at, self.act = step, act

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if trainer.step == self.at:
            (self.act or (lambda t: t.stop("enough")))(trainer)


def test_a_gpu_gets_its_batches_from_pinned_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(tmp_path / "run", steps=1)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 100)  # needs a GPU: here, a mark
    plain = made._make_batch(0, 0.0).batch
    made.device = torch.device("cuda")
    pinned = made._make_batch(0, 0.0).batch
    assert torch.equal(pinned.tokens, plain.tokens + 100)
    assert torch.equal(pinned.weights, plain.weights + 100)


def test_it_learns_and_logs(tmp_path: Path) -> None:
    t = trainer(tmp_path, steps=40)
    assert t.train().text == "finished"
    records = t.run.read_metrics()
    assert [record["step"] for record in records] == list(range(1, 41))
    assert records[0]["loss"] == pytest.approx(math.log(16), abs=0.3)
    assert records[-1]["loss"] < 0.5 * records[0]["loss"]
    assert records[-1]["tokens"] == 40 * 32
    assert records[0]["bits_per_byte"] == pytest.approx(records[0]["loss"] / math.log(2) / 2)
    assert {"seconds", "learning_rate", "grad_norm", "tokens_per_second"} <= records[0].keys()
    assert "step_seconds" not in records[0]


@pytest.mark.parametrize("stop", [4, 5, 11])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, stop: int) -> None:
    whole = trainer(tmp_path / "whole", dropout=0.1)
    whole.train()
    part = trainer(tmp_path / "part", dropout=0.1, callbacks=[StopAt(stop)])
    assert part.train().text == "enough"
    rest = trainer(tmp_path / "part", dropout=0.1, resume=True)
    assert rest.train().text == "finished"
    assert equal(weights(whole), weights(rest))
    same = ("step", "tokens", "loss", "grad_norm", "learning_rate")
    lines = [[{k: r[k] for k in same} for r in t.run.read_metrics()] for t in (whole, rest)]
    assert lines[0] == lines[1]


def test_batch_and_context_grow_and_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    shapes: list[tuple[int, ...]] = []

    class Seen(NextToken):
        def loss(self, batch: Batch) -> Loss:
            shapes.append(tuple(batch.tokens.shape))
            return super().loss(batch)

    growth = GrowthConfig(batch_tokens=8, context=4, fraction=0.5)
    whole = trainer(tmp_path / "whole", kind=Seen, growth=growth)
    whole.train()
    # 8 and 16 tokens a step for three steps each, then 32; rows of 4 tokens as long as something grows
    assert shapes == [(2, 4)] * 3 + [(4, 4)] * 3 + [(4, 8)] * 6
    assert [record["tokens"] for record in whole.run.read_metrics()][2:7] == [24, 40, 56, 72, 104]
    trainer(tmp_path / "part", growth=growth, callbacks=[StopAt(4)]).train()
    rest = trainer(tmp_path / "part", growth=growth, resume=True)
    rest.train()
    assert equal(weights(whole), weights(rest))


def test_pieces_of_rows_are_learnt_like_rows_of_their_length(tmp_path: Path) -> None:
    rows = CountingLoader().take(0, 4)
    batch = objective().batch(rows, np.random.default_rng(0))
    pieces = batch.cut(4)
    assert pieces.tokens.tolist()[:2] == [batch.tokens[0, :4].tolist(), batch.tokens[0, 4:].tolist()]
    assert pieces.targets.tolist()[1] == batch.targets[0, 4:].tolist()
    assert float(pieces.weights.sum()) == float(batch.weights.sum())
    assert batch.cut(8) is batch


def test_a_killed_run_repeats_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    def die(t: Trainer) -> None:
        raise KeyboardInterrupt  # as SIGKILL would: nothing is saved after step 4

    whole = trainer(tmp_path / "whole")
    whole.train()
    killed = trainer(tmp_path / "part", callbacks=[StopAt(7, die)])
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    assert killed.run.steps() == [4]
    rest = trainer(tmp_path / "part", resume=True)
    rest.train()
    assert equal(weights(whole), weights(rest))
    assert [record["step"] for record in rest.run.read_metrics()] == list(range(1, 13))


def test_micro_batches_do_not_change_the_gradient(tmp_path: Path) -> None:
    ends = []
    for rows in (1, 3, 4):
        t = trainer(tmp_path / str(rows), micro_batch_rows=rows, steps=1)
        t.train()
        ends.append((t.run.read_metrics()[0]["loss"], t.run.read_metrics()[0]["grad_norm"]))
    assert ends[1] == pytest.approx(ends[0], rel=1e-5)
    assert ends[2] == pytest.approx(ends[0], rel=1e-5)


def test_a_bad_batch_is_skipped_and_its_documents_named(tmp_path: Path) -> None:
    t = trainer(tmp_path, kind=poisoned(9))
    assert t.train().text == "finished"
    assert t.counters.skipped == 1
    assert "step 3 skipped" in printed[0]
    assert "document 8, document 9, document 10, document 11" in printed[0]
    assert all(torch.isfinite(parameter).all() for parameter in t.model.parameters())


def test_too_many_bad_batches_roll_back_and_go_on_past_them(tmp_path: Path) -> None:
    t = trainer(tmp_path, kind=poisoned(20, 24), skip_limit=2)
    assert t.train().text == "finished"
    assert any("rolled back to step 4" in line for line in printed)
    assert t.counters.rollbacks == 1
    assert t.counters.position == (12 + 3) * 4  # steps 5 to 7 were taken back, their rows are not read again
    assert [record["step"] for record in t.run.read_metrics()] == list(range(1, 13))


def test_diverging_again_stops_with_advice_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    t = trainer(tmp_path, kind=poisoned(*range(20, 200)), skip_limit=2)
    with pytest.raises(TrainingError, match="diverged: 2 steps in a row") as caught:
        t.train()
    assert "learning_rate" in (caught.value.hint or "")
    assert t.run.steps() == [4]
    checkpoint.verify(t.run.checkpoint(4))


def test_checkpoints_regular_and_early(tmp_path: Path) -> None:
    t = trainer(tmp_path, steps=24, early_checkpoints=True, keep_checkpoints=2)
    t.train()
    assert t.run.steps() == [1, 2, 4, 8, 16, 20, 24]


def test_a_clock_ends_a_run(tmp_path: Path) -> None:
    t = trainer(tmp_path, steps=None, seconds=0.3, checkpoint_steps=None)
    assert t.train().text == "finished"
    assert t.seconds >= 0.3
    assert t.step >= 1
    assert t.run.steps()


class FakeClock(Callback):
    """Stands in for the `time` of the trainer's file: only the end of a step makes it later, by `step_seconds`."""

    def __init__(self, step_seconds: float):
        self.step_seconds, self.now = step_seconds, 100.0

    def perf_counter(self) -> float:
        return self.now

    def on_step(self, trainer: Trainer, record: Record) -> None:
        self.now += self.step_seconds


class Evaluations(Callback):
    def __init__(self) -> None:
        self.at: list[int] = []

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if trainer.due(None):
            self.at.append(trainer.step)


def test_what_happens_ten_times_a_run_goes_by_the_clock_where_that_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cap of a thousand steps, and a clock that ends the run after a hundred: killed at 95 of them, it has nine
    checkpoints to go on from and nine evaluations; resumed, it has the tenth and none twice."""
    bounds: dict[str, Any] = {"steps": 1000, "seconds": 100.0, "checkpoint_steps": None, "keep_checkpoints": 20}

    def run(clock: FakeClock, *more: Callback, resume: bool = False) -> tuple[Trainer, Evaluations]:
        monkeypatch.setattr("lilliput.training.trainer.time", clock)
        seen = Evaluations()
        return trainer(tmp_path, callbacks=[*more, seen, clock], resume=resume, **bounds), seen

    def die(trainer: Trainer) -> None:
        raise KeyboardInterrupt

    killed, seen = run(FakeClock(1.0), StopAt(95, die))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    tenths = [11, 21, 31, 41, 51, 61, 71, 81, 91]  # a step sees the seconds of those before it alone
    assert seen.at == tenths
    assert killed.run.steps() == tenths
    resumed, seen = run(FakeClock(1.0), resume=True)
    assert resumed.train().text == "finished"
    assert resumed.step == 101
    assert seen.at == [101]


class SkippingClock(FakeClock):
    """A clock that goes on at skipped steps too, which callbacks do not see."""

    def document_ids(self, rows: Rows) -> list[str]:
        self.now += self.step_seconds
        return ["poisoned"]


def test_what_was_due_at_a_skipped_step_happens_at_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of four rows: the seventh, at which two tenths of the clock are over, holds row 24 and is skipped."""
    kind, clock, seen = poisoned(24), SkippingClock(1.0), Evaluations()
    monkeypatch.setattr("lilliput.training.trainer.time", clock)
    t = trainer(tmp_path, kind=kind, callbacks=[seen, clock], steps=1000, seconds=30.0, checkpoint_steps=None)
    monkeypatch.setattr(t.loader, "document_ids", clock.document_ids)
    t.train()
    assert t.counters.skipped == 1
    assert seen.at == [4, 8, *range(10, 32, 3)]


def test_a_clock_does_not_go_back_where_a_run_is_rolled_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, clock = poisoned(*range(24, 44)), SkippingClock(1.0)  # steps 7 to 11
    monkeypatch.setattr("lilliput.training.trainer.time", clock)
    t = trainer(tmp_path, kind=kind, callbacks=[clock], steps=1000, seconds=30.0, skip_limit=5)
    monkeypatch.setattr(t.loader, "document_ids", clock.document_ids)
    began = clock.now
    t.train()
    assert t.counters.rollbacks == 1
    assert t.seconds == pytest.approx(clock.now - began)


def test_a_slow_run_is_saved_every_so_many_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(30.0)
    monkeypatch.setattr("lilliput.training.trainer.time", clock)
    t = trainer(
        tmp_path, callbacks=[clock], checkpoint_steps=None, steps=100, keep_checkpoints=99, checkpoint_seconds=60
    )
    t.train()
    assert t.run.steps()[:5] == [2, 4, 6, 8, 10]


def test_metrics_have_some_two_hundred_lines_where_a_clock_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(0.1)
    monkeypatch.setattr("lilliput.training.trainer.time", clock)
    t = trainer(tmp_path, callbacks=[clock], steps=100_000, seconds=40, log_steps=None)
    t.train()
    assert 190 <= len(t.run.read_metrics()) <= 210


def test_callbacks_keep_their_state_and_see_each_moment(tmp_path: Path) -> None:
    class Diary(Callback):
        def __init__(self) -> None:
            self.days: list[str] = []

        def on_start(self, trainer: Trainer) -> None:
            self.days.append("start")

        def on_checkpoint(self, trainer: Trainer, folder: Path) -> None:
            self.days.append(folder.name)

        def on_end(self, trainer: Trainer) -> None:
            self.days.append("end")

        def state(self) -> dict[str, Any]:
            return {"days": self.days}

        def load_state(self, state: dict[str, Any]) -> None:
            self.days = state["days"]

    diary = Diary()
    trainer(tmp_path, callbacks=[diary, StopAt(4)]).train()
    assert diary.days == ["start", "step-0000004", "end"]
    diary = Diary()
    trainer(tmp_path, resume=True, callbacks=[diary], steps=8).train()
    assert diary.days == ["start", "start", "step-0000008", "end"]


def test_an_objectives_metrics_are_means_over_its_weight(tmp_path: Path) -> None:
    class Counting(NextToken):
        def loss(self, batch: Batch) -> Loss:
            plain = super().loss(batch)
            return Loss(plain.total, {"double": 2 * plain.total})

    t = trainer(tmp_path, kind=Counting, steps=1, micro_batch_rows=1)
    t.train()
    record = t.run.read_metrics()[0]
    assert record["double"] == pytest.approx(2 * record["loss"])


@pytest.mark.skipif(not can_compile(torch.device("cpu")), reason="no C++ compiler here")
def test_compiled_steps_are_the_eager_steps(tmp_path: Path) -> None:
    losses = []
    for compiled in (False, True):
        t = trainer(tmp_path / str(compiled), compile=compiled, steps=4)
        t.train()
        losses.append([record["loss"] for record in t.run.read_metrics()])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are traced as ever, and PyTorch's operators compute them: what the compiler makes of a graph takes ten
    seconds, and its number is the same."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("recompute", [False, True])
def test_one_compiled_block_serves_for_all(recompute: bool) -> None:
    # More layers than PyTorch's limit of compilations of one function, beyond which it would go on eagerly.
    model = Model(ModelConfig(d_model=32, n_layers=10, vocab_size=50, context_length=8))
    model.recompute = recompute
    tokens, weights = torch.arange(16).view(2, 8), torch.ones(2, 8)
    model.loss(model(tokens), tokens, weights).backward()
    eager = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    torch.compiler.reset()
    counters = torch._dynamo.utils.counters["stats"]
    before = counters["unique_graphs"]
    view = Compiled(model)
    view.loss(view(tokens), tokens, weights).backward()
    assert counters["unique_graphs"] == before + 1
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, eager[name], rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("traced")
def test_rows_of_varied_lengths_share_one_graph() -> None:
    model = Model(ModelConfig(d_model=32, n_layers=1, n_heads=2, vocab_size=50, context_length=64))
    torch.compiler.reset()
    counters = torch._dynamo.utils.counters["stats"]
    before = counters["unique_graphs"]
    view = Compiled(model, varied=True)
    with torch.no_grad():  # compiling the gradient too would take three times as long
        for rows, length in ((2, 20), (3, 21), (2, 37), (4, 50)):
            tokens = torch.randint(0, 50, (rows, length))
            torch.testing.assert_close(view(tokens), model(tokens), rtol=1e-3, atol=1e-4)
    assert counters["unique_graphs"] == before + 1


@pytest.mark.skipif(not can_compile(torch.device("cpu")), reason="no C++ compiler here")
@pytest.mark.parametrize("position", ["rotary", "learned"])
def test_compiled_gradients_are_the_same_bits_each_time(position: str) -> None:
    model = Model(ModelConfig(d_model=128, n_layers=1, vocab_size=200, context_length=256, position=position))
    tokens = torch.randint(0, 200, (2, 256), generator=torch.Generator().manual_seed(0))
    segments = (torch.arange(256) >= 40).long().expand(2, 256)
    view, weights = Compiled(model), torch.ones(2, 256)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = []
        for _ in range(20):
            model.zero_grad(set_to_none=True)
            view.loss(view(tokens, Sight(segments=segments)), tokens, weights).backward()
            found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    finally:
        torch.set_num_threads(before)
    for gradients in found[1:]:
        assert all(torch.equal(gradients[name], first) for name, first in found[0].items())


class Measuring(Callback):
    """Adds a number at the steps that it is given."""

    def __init__(self, name: str, at: tuple[int, ...], phase: Phase = "measure"):
        self.name, self.at, self.phase = name, at, phase  # type: ignore[misc]
        self.seen: list[int] = []

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if trainer.step in self.at:
            record[self.name] = trainer.step
            self.seen.append(trainer.step)

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state(self, state: dict[str, Any]) -> None:
        self.seen = state.get("seen", [])


def test_what_a_callback_adds_is_written_whoever_gave_it_and_whenever(tmp_path: Path) -> None:
    t = trainer(tmp_path, callbacks=[], log_steps=5)
    t.callbacks.append(Measuring("mine", (3, 10)))  # after those that write
    t.train()
    records = {record["step"]: record for record in t.run.read_metrics()}
    assert sorted(records) == [3, 5, 10, 12]
    assert {step: record.get("mine") for step, record in records.items()} == {3: 3, 5: None, 10: 10, 12: None}


def test_phases_decide_the_order(tmp_path: Path) -> None:
    order: list[str] = []

    class Noting(Callback):
        def __init__(self, phase: Phase):
            self.phase = phase  # type: ignore[misc]

        def on_step(self, trainer: Trainer, record: Record) -> None:
            order.append(self.phase)

    trainer(tmp_path, steps=1, callbacks=[Noting("show"), Noting("record"), Noting("measure")]).train()
    assert order == ["measure", "record", "show"]
    with pytest.raises(ConfigError, match="has the phase 'late'"):
        trainer(tmp_path, callbacks=[Noting("late")])  # type: ignore[arg-type]


def test_what_is_added_too_late_to_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="Measuring added mine to the record after it was written"):
        trainer(tmp_path, callbacks=[Measuring("mine", (2,), "show")]).train()


def test_callbacks_of_one_class_keep_states_of_their_own(tmp_path: Path) -> None:
    trainer(tmp_path, steps=4, callbacks=[Measuring("a", (1,)), Measuring("b", (2, 3))]).train()
    kept = checkpoint.read_state(RunFolder(tmp_path).checkpoint(4)).values["callbacks"]
    assert kept.keys() == {"Measuring", "Measuring 2", "Metrics"}
    one, two = Measuring("a", ()), Measuring("b", ())
    trainer(tmp_path, resume=True, steps=8, callbacks=[one, two]).train()
    assert (one.seen, two.seen) == ([1], [2, 3])
    assert keys([Measuring("a", ()), Metrics()]).keys() == {"Measuring", "Metrics"}  # as older versions kept them


def test_a_figure_that_some_steps_lack_is_the_mean_of_the_others(tmp_path: Path) -> None:
    """Also where the logged step lacks it, and where the process ended between the steps."""

    class Some(NextToken):
        def reported(self, loss: float) -> dict[str, float]:
            return {"seen": float(made[-1].step)} if made and made[-1].step in (1, 3) else {}

    def end(trainer: Trainer) -> None:
        raise RuntimeError("the process ends")

    made: list[Trainer] = []
    options: dict[str, Any] = {"kind": Some, "steps": 8, "log_steps": 4, "checkpoint_steps": 2}
    made.append(trainer(tmp_path, callbacks=[StopAt(3, end)], **options))
    with pytest.raises(RuntimeError, match="the process ends"):
        made[-1].train()
    made.append(trainer(tmp_path, resume=True, **options))
    made[-1].train()
    lines = RunFolder(tmp_path).read_metrics()
    assert {line["step"]: line.get("seen") for line in lines} == {4: 2.0, 8: None}


def test_metrics_go_on_from_a_checkpoint_of_before() -> None:
    """Older checkpoints hold one count for all sums."""
    made = Metrics()
    made.load_state({"loss": 6.0, "step_tokens": 30, "step_seconds": 3.0, "steps": 3})
    assert (made.sums["loss"], made.counts["loss"]) == (6.0, 3)
    again = Metrics()
    again.load_state(made.state())
    assert (again.sums, again.counts) == (made.sums, made.counts)


def test_a_batch_may_be_learned_in_several_steps(tmp_path: Path) -> None:
    class Twice(NextToken):
        def minibatches(self, batch: Batch) -> list[Batch]:
            return [batch, batch]

    once, twice = trainer(tmp_path / "once", steps=1), trainer(tmp_path / "twice", kind=Twice, steps=1)
    once.train()
    twice.train()
    steps = {int(value) for name, value in twice.optimizers.state().items() if name.endswith(".step")}
    assert steps == {2}
    losses = [t.run.read_metrics()[0]["loss"] for t in (once, twice)]
    assert losses[1] < losses[0]  # the mean of both updates, the second after a step
    assert twice.counters.tokens == once.counters.tokens


def test_a_preparation_runs_without_gradient_and_what_it_adds_may_be_used_by_one(tmp_path: Path) -> None:
    modes: list[tuple[bool, bool]] = []

    class Prepared(NextToken):
        def prepare(self, batch: Batch) -> Batch:
            modes.append((self.model.training, torch.is_grad_enabled()))
            return batch.including({"scale": torch.ones(len(batch), 1, 1) * 1.0})

        def loss(self, batch: Batch) -> Loss:
            hidden = self.view(batch.tokens) * batch.scale  # keeps `scale` for the gradient
            return Loss(self.view.loss(hidden, batch.targets, batch.weights))

    t = trainer(tmp_path, kind=Prepared, steps=2)
    assert t.train().text == "finished"
    assert modes == [(False, False)] * 2
    assert t.model.training
