"""The run folder: metrics that survive a kill, rewinding, and the lock."""

import multiprocessing
from pathlib import Path

import pytest

from lilliput.base.errors import CheckpointError
from lilliput.train.run_folder import RunFolder
from lilliput.train.samples_file import Section, format_samples, parse_samples


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def test_a_line_cut_short_is_left_out(run: RunFolder) -> None:
    run.append_metrics({"step": 1})
    with open(run.metrics, "a") as file:
        file.write('{"step": 2, "lo')
    assert run.read_metrics() == [{"step": 1}]


def test_rewinding_forgets_what_came_later(run: RunFolder) -> None:
    for step in (1, 2, 3):
        run.append_metrics({"step": step})
        with open(run.samples, "a") as file:
            file.write(format_samples(Section(step, 10 * step, 1.0, [("Once", " upon")])))
    run.rewind(2)
    assert [record["step"] for record in run.read_metrics()] == [1, 2]
    assert [section.step for section in parse_samples(run.samples.read_text())] == [1, 2]
    run.rewind(-1)
    assert run.read_metrics() == []


def _try_to_lock(path: Path, results: "multiprocessing.Queue[str]") -> None:
    try:
        with RunFolder(path).locked():
            results.put("locked")
    except CheckpointError as error:
        results.put(error.message)


def test_a_second_process_is_kept_out(run: RunFolder) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with run.locked():
        other = context.Process(target=_try_to_lock, args=(run.path, results))
        other.start()
        message = results.get(timeout=60)
        other.join()
    assert "is being trained by another process (pid " in message
    with run.locked():
        pass  # free again


def test_only_finished_checkpoints_count(run: RunFolder) -> None:
    for name in ("step-0000010", "step-0000002", "step-0000003.tmp", "step-0000004.damaged", "notes"):
        (run.checkpoints / name).mkdir(parents=True)
    assert run.steps() == [2, 10]
