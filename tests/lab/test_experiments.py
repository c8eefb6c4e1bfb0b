"""The queue under crashes, kills and several workers, with a stand-in for `lilliput train` that starts at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.base.errors import ConfigError
from lilliput.lab.experiments import Experiments
from lilliput.lab.worker import work_on

# The config says what happens: 'wait' waits for a file 'go', and saves on SIGTERM. Each start is noted in NAME.starts.
TRAIN = """
import os, pathlib, signal, sys, time
config, name = sys.argv[1], sys.argv[-1]
with open(name + ".starts", "a") as file:
    file.write(" ".join(sys.argv[1:]) + f" {os.environ.get('COLOUR')} {os.getpid()}\\n")
if config == "bad":
    sys.exit("error: no such thing")
if config == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
deadline = time.time() + 60
while config == "wait" and not pathlib.Path("go").exists() and time.time() < deadline:
    time.sleep(0.01)
time.sleep(0.02)
"""
WORKER = """
import sys
from pathlib import Path
from lilliput.lab.experiments import Experiments
from lilliput.lab.worker import work_on
train = (sys.executable, "-c", Path("train.py").read_text())
for outcome in work_on(Experiments(Path("experiments.yaml")), train=train):
    print(outcome.experiment.name, outcome.status, flush=True)
"""
STAND_IN = (sys.executable, "-c", TRAIN)


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Writes the queue of a folder that has the stand-in."""
    (tmp_path / "train.py").write_text(TRAIN)

    def make(text: str) -> Experiments:
        (tmp_path / "experiments.yaml").write_text(text)
        return Experiments(tmp_path / "experiments.yaml")

    return make


def states(experiments: Experiments) -> dict[str, str]:
    return {one.name: state for one, state in experiments.states()}


def worker(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER], cwd=folder, stdout=subprocess.PIPE)


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def starts(folder: Path, name: str) -> list[list[str]]:
    path = folder / f"{name}.starts"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_each_entry_is_trained_with_its_own_settings_and_a_failure_stops_nothing(queue, tmp_path, capfd):
    experiments = queue(
        "- {name: a, config: one.yaml, overrides: [seed=2], devices: cpu, environment: {COLOUR: red}}\n"
        "- {name: b, config: bad}\n- {name: c, config: crash}\n- {name: d, config: two.yaml}\n"
    )
    outcomes = {one.experiment.name: one for one in work_on(experiments, train=STAND_IN)}
    assert starts(tmp_path, "a")[0][:-1] == ["one.yaml", "seed=2", "device=cpu", "--name", "a", "red"]
    assert starts(tmp_path, "d")[0][:-1] == ["two.yaml", "--name", "d", "None"]
    assert states(experiments) == {"a": "done", "b": "failed", "c": "failed", "d": "done"}
    assert (outcomes["b"].exit_code, outcomes["b"].reason) == (1, "no such thing")
    assert outcomes["c"].reason == "killed by SIGSEGV"
    assert "error: no such thing" in capfd.readouterr().err
    assert [one.last_run.reason for one, _ in experiments.states() if one.name == "b"] == ["no such thing"]


def test_retry_gives_what_failed_another_chance(queue, tmp_path):
    experiments = queue("- {name: a, config: bad}\n- {name: b, config: good}\n- {name: c, config: bad}\n")
    list(work_on(experiments, train=STAND_IN))
    assert experiments.retry("a") == ["a"]
    assert states(experiments) == {"a": "todo", "b": "done", "c": "failed"}
    assert experiments.retry() == ["c"]
    with pytest.raises(ConfigError, match="'b' is done"):
        experiments.retry("b")
    with pytest.raises(ConfigError, match="no experiment 'd'"):
        experiments.retry("d")


def test_one_experiment_can_be_chosen_and_a_failed_one_run_again(queue, tmp_path):
    experiments = queue("- {name: a, config: good}\n- {name: b, config: bad}\n")
    for _ in range(2):
        assert [one.status for one in work_on(experiments, "b", 1, STAND_IN)] == ["failed"]
    assert len(starts(tmp_path, "b")) == 2
    assert [one.experiment.name for one in work_on(experiments, count=1, train=STAND_IN)] == ["a"]
    assert list(work_on(experiments, count=1, train=STAND_IN)) == []
    with pytest.raises(ConfigError, match="'a' is done"):
        list(work_on(experiments, "a", 1, STAND_IN))


def test_three_workers_on_one_queue_train_everything_once(queue, tmp_path):
    names = [f"run-{number}" for number in range(8)]
    experiments = queue("# shared\n" + "".join(f"- {{name: {name}, config: good}}  # {name}\n" for name in names))
    workers = [worker(tmp_path) for _ in range(3)]
    texts = [line for one in workers for line in one.communicate(timeout=60)[0].decode().splitlines()]
    assert sorted(texts) == sorted(f"{name} done" for name in names)
    assert [len(starts(tmp_path, name)) for name in names] == [1] * len(names)
    assert set(states(experiments).values()) == {"done"}
    assert experiments.path.read_text().count("  # run-") == len(names)


def test_a_killed_worker_leaves_a_queue_that_states_the_truth(queue, tmp_path):
    experiments = queue("- {name: a, config: wait}\n- {name: b, config: good}\n")
    first = worker(tmp_path)
    wait_for(lambda: starts(tmp_path, "a"))
    assert states(experiments) == {"a": "running", "b": "todo"}
    with pytest.raises(ConfigError, match=rf"'a' is running on .*, process {first.pid}, since"):
        experiments.claim("a")
    first.kill()
    first.wait()
    assert first.stdout is not None
    first.stdout.close()  # the training process has it still: reading to its end would wait for that one
    assert states(experiments)["a"] == "running"  # its training process lives on
    assert [one.experiment.name for one in work_on(experiments, train=STAND_IN)] == ["b"]
    os.kill(int(starts(tmp_path, "a")[0][-1]), signal.SIGKILL)
    wait_for(lambda: states(experiments)["a"] == "interrupted")
    (tmp_path / "go").touch()
    assert [one.status for one in work_on(experiments, train=STAND_IN)] == ["done"]
    assert states(experiments) == {"a": "done", "b": "done"}
    assert len(starts(tmp_path, "a")) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_worker_lets_training_save_and_stops(queue, tmp_path, number):
    experiments = queue("- {name: a, config: wait}\n- {name: b, config: good}\n")
    one = worker(tmp_path)
    wait_for(lambda: starts(tmp_path, "a"))
    time.sleep(0.2)  # the stand-in has to have its handler
    one.send_signal(number)
    assert one.communicate(timeout=30)[0].decode().split() == ["a", "todo"]
    assert states(experiments) == {"a": "todo", "b": "todo"}


def test_a_process_on_another_machine_is_believed_until_a_person_knows_better(queue):
    entry = "{pid: 1, host: 'far away', started: '2026-01-01'}"
    experiments = queue(f"- {{name: a, config: good, status: running, last_run: {entry}}}\n")
    assert states(experiments) == {"a": "running"}
    assert experiments.claim() is None
    with pytest.raises(ConfigError, match="experiments retry a"):
        experiments.claim("a")
    assert experiments.retry() == []
    assert experiments.retry("a") == ["a"]
    assert states(experiments) == {"a": "todo"}


def test_a_running_entry_without_a_process_was_interrupted(queue):
    experiments = queue("- {name: a, config: good, status: running}\n")
    assert states(experiments) == {"a": "interrupted"}
    assert [one.status for one in work_on(experiments, train=STAND_IN)] == ["done"]


def test_a_person_may_edit_the_file_while_an_experiment_trains(queue, tmp_path):
    experiments = queue("- {name: a, config: wait}\n- {name: b, config: good}\n")
    one = worker(tmp_path)
    wait_for(lambda: states(experiments)["a"] == "running" and starts(tmp_path, "a"))
    text = experiments.path.read_text()
    experiments.path.write_text("# edited\n" + text.replace("name: b, config: good", "name: new, config: good"))
    (tmp_path / "go").touch()
    assert one.communicate(timeout=30)[0].decode().splitlines() == ["a done", "new done"]
    assert experiments.path.read_text().startswith("# edited\n")


def test_nothing_is_made_beside_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="there is no"):
        Experiments(tmp_path / "no.yaml").states()
    assert list(tmp_path.iterdir()) == []
