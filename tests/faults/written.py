"""What each writer writes, and what is promised of it when a file of it is damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.faults.harness import Lost, command

RUN = Path("runs/tiny")
SETTINGS = (
    *(
        "model.style=null",
        "model.d_model=32",
        "model.n_layers=1",
        "model.context_length=32",
        "tokenizer.vocab_size=320",
    ),
    *("train.steps=16", "train.epochs=null", "train.batch_tokens=256", "train.compile=false", "train.precision=fp32"),
    *("train.threads=1", "train.checkpoint_steps=4", "train.keep_checkpoints=3", "train.log_steps=1"),
    *("evaluate.tokens=256", "evaluate.final_tokens=512", "evaluate.sample_tokens=8", "evaluate.steps=4"),
    *("evaluate.baselines=[1]",),
)
STOP = 12


def _train(name: str) -> tuple[int, str]:
    return _run("train", "story", *SETTINGS, "--data", "tales.txt", "--name", name)


def _run(*words: str) -> tuple[int, str]:
    from lilliput.base import machine

    machine.MEASURE_SECONDS = 0.02  # what a run ends with measures the machine, which is no matter here
    code, out, errors = command(*words)
    return code, out + errors


def _tales(folder: Path) -> None:
    lines = [
        f"One day Tom saw a {thing} near tree {n}. Lily was happy." for n in range(120) for thing in ("cat", "kite")
    ]
    (folder / "tales.txt").write_text("\n<|endoftext|>\n".join(lines))


def interrupted_run(folder: Path) -> None:
    """runs/tiny, which was stopped at step 12 of 16, beside runs/whole, which was not."""
    from lilliput import api
    from lilliput.training.callbacks import Callback

    class Stop(Callback):
        def on_step(self, trainer, record) -> None:
            if trainer.step == STOP:
                trainer.interrupt("interrupted for a test")

    _tales(folder)
    code, text = _train("whole")
    assert code == 0, text
    api.train("story", SETTINGS, data=["tales.txt"], name=RUN.name, callbacks=[Stop()], live=False)
    assert not (RUN / "summary.json").exists()


def finished_run(folder: Path) -> None:
    """runs/tiny, finished and evaluated."""
    from lilliput.runs.evaluation_file import keep_evaluation

    _tales(folder)
    code, text = _train(RUN.name)
    assert code == 0, text
    keep_evaluation(RUN, "text", {"bits_per_byte": 1.5})


# ---------------------------------------------------------------------- checkpoints


def check_checkpoint(folder: Path, pristine: Path, file: Path) -> None:
    """The damaged checkpoint is moved aside and reported, and the one before it used; or nothing of it differs."""
    from lilliput.runs import checkpoint
    from lilliput.runs.finding import model_folder
    from lilliput.runs.run_folder import RunFolder

    run, printed = RunFolder(folder / RUN), []
    model_folder(run.path, lambda text: None)
    good = checkpoint.newest_good(run, printed.append, move_aside=True)
    assert good is not None
    if good == run.checkpoint(STOP):
        if _tree(good) != _tree(pristine / RUN / "checkpoints" / good.name):
            raise Lost(f"{file} was taken for good")
    elif good != run.checkpoint(STOP - 4) or not printed or not run.checkpoint(STOP).with_suffix(".damaged").is_dir():
        raise Lost(f"after damage to {file}, {good} was used; said: {printed}")
    if _tree(run.checkpoint(STOP - 4)) != _tree(pristine / RUN / "checkpoints" / run.checkpoint(STOP - 4).name):
        raise Lost("the checkpoint before it is not what it was")


def _tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# ---------------------------------------------------------------------- run folders


def check_resumed(folder: Path, pristine: Path, file: Path) -> None:
    """The run goes on to the weights of the one that was never stopped, or is refused; what stood, stands."""
    damaged = _content(folder / file)
    code, text = _train(RUN.name)
    _one_line(code, text)
    if code == 0:
        ends = [json.loads((folder / "runs" / name / "summary.json").read_text()) for name in ("tiny", "whole")]
        if ends[0]["sha256"] != ends[1]["sha256"]:
            raise Lost(f"after damage to {file} the run ended with other weights")
    _stands(folder, pristine, file, damaged, text)


def check_finished(folder: Path, pristine: Path, file: Path) -> None:
    """Training again, the report and a new evaluation work or are refused; what stood, stands."""
    from lilliput.runs.evaluation_file import keep_evaluation

    damaged = _content(folder / file)
    printed = ""
    uses = (_train(RUN.name), _run("report", str(RUN)), _run("compare", str(RUN), "runs/tiny"))
    for code, text in uses:
        _one_line(code, text)
        printed += text
    if file.name == "evaluation.json":
        _shown(lambda: keep_evaluation(RUN, "benchmarks", []))
    _stands(folder, pristine, file, damaged, printed)


def _one_line(code: int, text: str) -> None:
    if code not in (0, 2) or "Traceback" in text or (code == 2 and "error: " not in text):
        raise RuntimeError(f"exit code {code}: {text[-1500:]}")


def _stands(folder: Path, pristine: Path, file: Path, damaged: bytes | None, printed: str) -> None:
    """Every line of a damaged file is where it was, or a copy is kept and reported."""
    if damaged is None or file.name in ("report.html", ".pid", ".lock"):
        return
    path = folder / file
    copies = [_content(copy) for copy in path.parent.glob(f"{path.name}.damaged*")]
    if damaged in copies:
        if file.name not in printed and file.name != "evaluation.json":
            raise Lost(f"{file} was moved aside without a word: {printed[-500:]}")
        return
    now = _content(path) or b""
    *lines, _ = damaged.split(b"\n")  # what is behind the last line end was cut short
    missing = [line for line in lines if line and line not in now.split(b"\n")]
    if missing and not _same_values(path.suffix, damaged, now):
        raise Lost(f"{len(missing)} lines of {file} are gone, and no copy is kept: {missing[0][:200]!r}")


def _same_values(suffix: str, one: bytes, other: bytes) -> bool:
    """Whether the second file holds all values of the first: they differ in spaces, comments and what was added."""
    read: dict[str, Callable[[bytes], Any]] = {".yaml": yaml.safe_load, ".json": json.loads}
    try:
        values, found = (read[suffix](content) for content in (one, other)) if suffix in read else (None, {})
        same = values == found
        return same or (isinstance(values, dict) and isinstance(found, dict) and {**found, **values} == found)
    except (ValueError, yaml.YAMLError, RecursionError):
        return False


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _shown(use: Callable[[], object]) -> object:
    """What `use` gives; None for an error of the file system, which every command prints as one line."""
    try:
        return use()
    except OSError:
        return None


# ---------------------------------------------------------------------- caches


def token_cache(folder: Path) -> None:
    """The tokens of a small text, and what they are."""
    _tales(folder)
    (folder / "expected.json").write_text(json.dumps(_tokens()))


def _tokens() -> dict[str, object]:
    from lilliput.assembly import recipe
    from lilliput.assembly.assembly import dataset

    made = dataset(recipe.load("story", SETTINGS, data=["tales.txt"]), lambda text: None)
    splits = {name: made.split(name) for name in ("train", "validation")}
    streams = {name: hashlib.sha256(split.stream[:].tobytes()).hexdigest() for name, split in splits.items()}
    sizes = {f"{name} bytes": split.text_bytes for name, split in splits.items()}
    names = {f"{name} names": [split.document_id(n) for n in range(split.documents)] for name, split in splits.items()}
    return {**streams, **sizes, **names, "tokenizer": made.tokenizer.sha256, "eos": made.tokenizer.eos_id}


def check_tokens(folder: Path, pristine: Path, file: Path) -> None:
    """The same tokens, sizes, names and tokenizer come from a damaged cache."""
    found, wanted = _shown(_tokens), json.loads((folder / "expected.json").read_text())
    if found not in (None, wanted):
        raise Lost(f"after damage to {file} the cache gives other tokens")


def native_cache(folder: Path) -> None:
    """A library with one function."""
    (folder / "answer.cpp").write_text('extern "C" int ask() { return 42; }\n')
    assert _ask(folder) == 42


def _ask(folder: Path) -> int:
    from lilliput.base.runtime import native

    return native.build(folder / "answer.cpp").ask()


def check_native(folder: Path, pristine: Path, file: Path) -> None:
    """It still answers."""
    if _shown(lambda: _ask(folder)) not in (None, 42):
        raise Lost(f"after damage to {file} the library answers something else")


def measurement(folder: Path) -> None:
    """Measured speeds of both precisions."""
    assert _peaks() == [7e9, 7e9]


def _peaks() -> list[float]:
    import torch

    from lilliput.base import machine

    machine._measure_peak = lambda device, dtype: (7e9, 1.0)
    return [machine.matmul_peak(torch.device("cpu"), dtype) for dtype in (torch.float32, torch.bfloat16)]


def check_measurement(folder: Path, pristine: Path, file: Path) -> None:
    """What was measured, or measured again."""
    if _peaks() != [7e9, 7e9]:
        raise Lost(f"after damage to {file} the machine has another speed: {_peaks()}")


# ---------------------------------------------------------------------- the queue

QUEUE = """# what a person wrote
experiments:
  - name: first   # the small one
    config: story
    overrides: [train.steps=5]
  - name: second
    config: story
  - name: third
    config: wizard
    devices: cpu
"""


def queue(folder: Path) -> None:
    """Three experiments, the first of them done."""
    from lilliput.lab.experiments import Experiments

    (folder / "experiments.yaml").write_text(QUEUE)
    experiments = Experiments(folder / "experiments.yaml")
    claim = experiments.claim()
    assert claim is not None
    experiments.error_log(claim.experiment).write_text("as it went")
    experiments.finish(claim, "done", 0, None)


def check_queue(folder: Path, pristine: Path, file: Path) -> None:
    """The queue is worked on as it stands, or refused and left as it is."""
    from lilliput.base.errors import LilliputError
    from lilliput.lab.experiments import Experiments
    from lilliput.lab.queue_file import QueueFile

    path = folder / "experiments.yaml"
    before = _content(path)
    experiments = Experiments(path)
    try:
        names = [one.name for one, _ in experiments.states()]
        if (claim := experiments.claim()) is not None:
            experiments.finish(claim, "done", 0, None)
    except (LilliputError, OSError):  # either is one line of the command
        if _content(path) != before:
            raise Lost(f"{path} was refused and written all the same") from None
    else:
        if [one.name for one in QueueFile(path).experiments] != names:
            raise Lost(f"experiments are gone from {path}")
