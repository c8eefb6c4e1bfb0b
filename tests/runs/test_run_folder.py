"""The run folder: metrics that survive a kill, rewinding, and the lock."""

import multiprocessing
from pathlib import Path

import pytest

from lilliput.base.errors import CheckpointError
from lilliput.runs.run_folder import RunFolder
from lilliput.runs.samples_file import Section, format_samples, parse_samples


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


@pytest.mark.parametrize(
    "damage",
    [
        b'{"step": 2, "lo\xff": 1}',
        b"",
        b"\x00" * 9,
        b"[]",
        b"null",
        b'{"stop": 2}',
        b'{"step": "2"}',
        b'{"step": true}',
        b'{"step": 2, "loss": "x"}',
        b'{"step": 92}',
        b"[" * 99_999,
        b'{"step": 1}\r{"step": 2}',
    ],
)
def test_a_damaged_line_is_left_out_a_copy_kept_and_both_are_reported(run: RunFolder, damage: bytes) -> None:
    lines = [b'{"step": %d}' % step for step in range(6)]
    lines[2] = damage
    content = b"\n".join(lines) + b"\n"
    run.metrics.write_bytes(content)
    assert [record["step"] for record in run.read_metrics()] == [0, 1, 3, 4, 5]
    assert run.damaged_metrics() == [3]
    printed: list[str] = []
    for _ in range(2):
        run.rewind(4, printed.append)
    assert [record["step"] for record in run.read_metrics()] == [0, 1, 3, 4]
    assert (run.path / "metrics.jsonl.damaged").read_bytes() == content
    assert printed == [
        f"{run.metrics}: line 3 is damaged and left out; the file as it was is kept as metrics.jsonl.damaged"
    ]


def test_lines_stay_as_they_were_written(run: RunFolder) -> None:
    line = b'{"step": 1,  "loss": 1.00000000000000000001}\n'
    run.metrics.write_bytes(line + b'{"step": 2}\n')
    run.rewind(1)
    assert run.metrics.read_bytes() == line


@pytest.mark.parametrize(("place", "step"), [(0, 99), (1, 99), (3, 99), (2, -1), (4, 3), (3, -1)])
def test_a_step_out_of_order_is_damage(run: RunFolder, place: int, step: int) -> None:
    steps = [0, 10, 20, 30, 40]
    steps[place] = step
    run.metrics.write_text("".join(f'{{"step": {number}}}\n' for number in steps))
    assert run.damaged_metrics() == [place + 1]


def test_rewinding_past_checkpoints_that_were_damaged_keeps_a_copy(run: RunFolder) -> None:
    for step in (1, 2, 3):
        run.append_metrics({"step": step})
    content = run.metrics.read_bytes()
    (run.checkpoints / "step-0000003.damaged").mkdir(parents=True)
    printed: list[str] = []
    run.rewind(1, printed.append)
    run.rewind(3, printed.append)
    assert len(run.read_metrics()) == 1
    assert (run.path / "metrics.jsonl.damaged").read_bytes() == content
    assert len(printed) == 1
    assert "goes back to step 1; the file as it was is kept as metrics.jsonl.damaged" in printed[0]


def sections(*steps: int) -> str:
    return "".join(format_samples(Section(step, 10 * step, 1.0, [("Once", f" upon {step}")])) for step in steps)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"## step 2", b"## stop 2"),
        (b"**Once**", b"*?Once**"),
        (b"upon 1", b"up\xffn 1"),
        (b"upon 1", b"up\x00n 1"),
        (b"1.0 s", b"1.0.0 s"),
        (b"tokens 10,", b"tokens ,,"),
        (b"## step 1 ", b"## step " + b"1" * 5000 + b" "),
    ],
)
def test_damaged_samples_are_kept_as_they_were(run: RunFolder, old: bytes, new: bytes) -> None:
    content = sections(1, 2, 3).encode().replace(old, new, 1)
    run.samples.write_bytes(content)
    assert run.read_samples()
    printed: list[str] = []
    run.rewind(2, printed.append)
    assert (run.path / "samples.md.damaged").read_bytes() == content
    assert "samples.md: a part is damaged and left out" in printed[0]
    assert all(section.step <= 2 for section in run.read_samples())


@pytest.mark.parametrize("content", [b"\x00" * 300, b"no heading at all\n"])
def test_samples_without_any_section_are_kept(run: RunFolder, content: bytes) -> None:
    run.samples.write_bytes(content)
    run.rewind(2, lambda text: None)
    assert (run.path / "samples.md.damaged").read_bytes() == content


@pytest.mark.parametrize("cut", range(len(sections(3))))
def test_what_a_kill_cut_short_is_no_damage(run: RunFolder, cut: int) -> None:
    run.samples.write_text(sections(1, 2) + sections(3)[:cut])
    run.metrics.write_text('{"step": 1}\n{"step": 2, "lo')
    printed: list[str] = []
    run.rewind(2, printed.append)
    assert printed == []
    assert run.samples.read_text() == sections(1, 2)
    assert run.metrics.read_text() == '{"step": 1}\n'


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", "\0\0"])
def test_a_damaged_summary_is_an_error_with_what_to_type(run: RunFolder, content: str) -> None:
    assert run.read_summary() == {}
    run.summary.write_text(content)
    with pytest.raises(CheckpointError, match=r"summary.json is damaged") as caught:
        run.read_summary()
    assert "the same training command" in (caught.value.hint or "")


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
    (run.checkpoints / "step-0000005").write_text("a file")
    assert run.steps() == [2, 10]
