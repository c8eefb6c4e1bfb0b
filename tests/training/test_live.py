import io
import json
import math
import shlex

import pytest
from rich.console import Console

from lilliput.training.braille import Curve
from lilliput.training.live import LiveView
from lilliput.training.schedule import Budget

NUMBERS = {"tokens_per_second": 41_200.0, "train_bpb": 1.234, "learning_rate": 1e-3}


def plain() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=False, force_jupyter=False)


def terminal(width: int = 80, height: int = 24) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=True,
        color_system=None,
        _environ={"TERM": "xterm"},
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def pairs(line: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in shlex.split(line))


def rendered(view: LiveView) -> list[str]:
    """The view's lines, drawn on a second console of the same size."""
    console = terminal(view.console.width, view.console.height)
    console.print(view.render())
    return written(console).splitlines()


def run(view: LiveView, steps: int = 50) -> None:
    for step in range(1, steps + 1):
        bits = 0.8 + 2.4 * math.exp(-step / 8)
        validation = bits + 0.02 if step % 10 == 0 else None
        view.update(step, step / steps, step * 4096, step * 0.1, (steps - step) * 0.1, 40_960.0, bits, validation, 1e-3)


def test_without_a_terminal_lines_are_parseable():
    console = plain()
    with LiveView(100, "story", console, line_seconds=1e9) as view:
        view.update(1, 0.01, 4096, 0.1, 9.9, **NUMBERS)
        view.update(2, 0.02, 8192, 0.2, 9.8, **NUMBERS)
        view.update(3, 0.03, 12288, 0.3, 9.7, **NUMBERS, val_bpb=1.5)
        view.update(4, 0.04, 16384, 0.4, 9.6, **NUMBERS, val_bpb=1.5)
    lines = [pairs(line) for line in written(console).splitlines()]
    assert [line["step"] for line in lines] == ["1", "3", "4"]
    assert lines[1] == {
        "step": "3", "fraction": "0.03", "tokens": "12288", "seconds": "0.3", "eta": "9.7",
        "tokens_per_second": "41200",         "train_bpb": "1.234", "val_bpb": "1.5", "learning_rate": "0.001",
    }  # fmt: skip


def test_without_a_terminal_a_line_comes_every_interval():
    console = plain()
    view = LiveView(100, "story", console, line_seconds=0)
    for step in range(1, 6):
        view.update(step, step / 100, step, step, loss=2.0)
    view.close()
    view.close()
    assert [pairs(line)["loss"] for line in written(console).splitlines()] == ["2"] * 5


def test_samples_and_notes_without_a_terminal():
    console = plain()
    view = LiveView(None, "story", console)
    view.sample("Once [b]", ' said "hi"\n\nto')
    view.note("saved [step 5]")
    first, second = written(console).splitlines()
    text = first.split(" text=", 1)[1]
    assert json.loads(text) == ' said "hi"\n\nto'
    assert second == "saved [step 5]"


BAND = "train 0.801 to 0.834, validation 0.812 to 0.840 at this point in 5 runs: yours is as usual"


def test_the_band_of_losses_is_a_line_of_its_own_without_a_terminal():
    console = plain()
    view = LiveView(100, "story", console)
    view.update(3, 0.03, 1, 1, loss=2.0)
    view.band(BAND)
    assert written(console).splitlines()[1] == f'band step=3 text="{BAND}"'


@pytest.mark.parametrize("width", [100, 60])
def test_the_band_of_losses_stands_below_the_figures(width: int):
    view = LiveView(50, "story", terminal(width))
    run(view)
    assert "at this point" not in "\n".join(rendered(view))
    view.band(BAND.replace("0.801", "9.999"))
    view.band(BAND)
    lines = rendered(view)
    view.close()
    assert lines[1].startswith("train ")
    assert " ".join(line.strip() for line in lines[2 : 3 if width == 100 else 4]) == BAND
    assert lines[3 if width == 100 else 4].strip() == ""
    assert max(map(len, lines)) <= width


def test_a_view_that_saw_nothing_prints_nothing():
    console = plain()
    LiveView(10, "story", console).close()
    assert written(console) == ""


def test_the_view_shows_bar_figures_curve_and_sample():
    view = LiveView(50, "story", terminal(100))
    run(view)
    view.sample("Once upon a time", ", there was [b]a cat[/b].\n\nIt slept.")
    lines = rendered(view)
    view.close()
    assert lines[0].startswith("story ━")
    assert "100%  step 50 of 50" in lines[0]
    for figure in ("train 0.805", "validation 0.825 bits/byte", "tokens 205k", "speed 41k/s", "rate 0.001"):
        assert figure in lines[1]
    curve = [line for line in lines if "│" in line]
    assert len(curve) == 6
    assert curve[0].startswith(" 2.92 │")
    assert curve[-1].startswith(" 0.80 │")
    assert any(0x2800 < ord(mark) <= 0x28FF for line in curve for mark in line)
    assert "Once upon a time, there was [b]a cat[/b]. It slept." in "\n".join(lines)
    assert max(map(len, lines)) <= 100


def test_the_curve_falls_from_top_left_to_bottom_right():
    view = LiveView(50, "story", terminal())
    run(view)
    curve = [line.split("│")[1] for line in rendered(view) if "│" in line]
    view.close()
    columns = [[row for row, line in enumerate(curve) if line[at].strip()] for at in range(len(curve[0]))]
    left, *_, right = [column for column in columns if column]
    assert min(left) == 0
    assert right == [5]


def test_the_eta_is_shown_while_there_is_one():
    view = LiveView(50, "story", terminal())
    view.update(10, 0.2, 1, 1, eta=72)
    assert "1m 12s left" in rendered(view)[0]
    view.update(10, 0.2, 1, 1, eta=math.nan)
    assert "left" not in rendered(view)[0]
    view.close()


@pytest.mark.parametrize(("width", "height"), [(40, 10), (80, 4), (20, 3), (200, 60)])
def test_the_view_fits_any_terminal(width, height):
    view = LiveView(50, "a-run-with-quite-a-long-name", terminal(width, height))
    run(view)
    view.sample("Once", " upon a time " * 60)
    view.band(BAND)
    lines = rendered(view)
    view.close()
    assert max(map(len, lines)) <= width
    assert len(lines) <= max(height, 4)


def test_without_unicode_the_view_is_drawn_in_ascii():
    class Ascii(io.StringIO):
        encoding = "ascii"

    console = Console(
        file=Ascii(), width=80, height=24, force_terminal=True, color_system=None, _environ={"TERM": "xterm"}
    )
    view = LiveView(50, "story", console)
    run(view)
    view.sample("Once", " upon a café " * 60)
    view.note("é")
    view.close()
    assert written(console).isascii()
    assert "*" in written(console)


def test_a_sample_cannot_move_the_cursor():
    view = LiveView(50, "story", terminal())
    run(view)
    view.sample("Once", " upon\x1b[2J\x1b[31m a time")
    lines = rendered(view)
    view.close()
    assert "\x1b" not in lines[-1]


def test_drawing_is_limited(monkeypatch):
    view = LiveView(1000, "story", terminal())
    clock = [0.0]
    monkeypatch.setattr("lilliput.training.live.monotonic", lambda: clock[0])
    monkeypatch.setattr("lilliput.training.live.perf_counter", lambda: 0.0)
    drawn = []
    monkeypatch.setattr(view, "render", lambda: drawn.append(clock[0]) or "")
    for step in range(1000):
        clock[0] = step * 0.01
        view.update(step, step / 1000, step, step)
    view.close()
    assert 30 <= len(drawn) <= 42


def test_slow_drawing_is_rarer_drawing(monkeypatch):
    view = LiveView(1000, "story", terminal())
    clock = [0.0, 0.0]
    monkeypatch.setattr("lilliput.training.live.monotonic", lambda: clock[0])

    def slow() -> float:
        clock[1] += 0.02
        return clock[1]

    monkeypatch.setattr("lilliput.training.live.perf_counter", slow)
    drawn = []
    monkeypatch.setattr(view, "render", lambda: drawn.append(clock[0]) or "")
    for step in range(1000):
        clock[0] = step * 0.01
        view.update(step, step / 1000, step, step)
    view.close()
    assert len(drawn) <= 7


def test_notes_stay_above_the_view_and_the_cursor_comes_back():
    console = terminal()
    view = LiveView(50, "story", console)
    run(view, 5)
    view.note("checkpoint saved")
    view.close()
    assert "checkpoint saved" in written(console)
    assert written(console).rstrip("\n").endswith("\x1b[?25h")


def test_a_curve_keeps_means_and_forgets_what_is_not_finite():
    curve = Curve()
    for value in (1.0, 3.0, math.nan, math.inf):
        curve.add(0.5, value)
    curve.add(1.0, 4.0)
    curve.add(0.2, None)
    assert [value for _, value in curve.points()] == [2.0, 4.0]
    assert (curve.low, curve.high) == (1.0, 4.0)


def test_a_view_that_goes_on_shows_what_was_before_it():
    whole, later = LiveView(50, "story", terminal()), LiveView(50, "story", terminal())
    run(whole)
    for step in range(1, 51):
        bits = 0.8 + 2.4 * math.exp(-step / 8)
        validation = bits + 0.02 if step % 10 == 0 else None
        if step <= 30:
            later.remember(step / 50, bits, validation)
        else:
            later.update(step, step / 50, step * 4096, step * 0.1, 1.0, 40_960.0, bits, validation, 1e-3)
    assert later.train_curve.points() == whole.train_curve.points()
    assert later.val_curve.points() == whole.val_curve.points()
    last = later.val_curve.points()
    later.update(50, 1.0, 1, 1, val_bpb=0.8 + 2.4 * math.exp(-50 / 8) + 0.02)
    assert later.val_curve.points() == last
    later.close()
    whole.close()


def test_a_remembered_view_that_saw_no_step_prints_nothing():
    console = plain()
    view = LiveView(10, "story", console)
    view.remember(0.5, 1.0, 1.0)
    view.close()
    assert written(console) == ""


def test_a_resumed_run_shows_its_history(monkeypatch, tmp_path):
    from lilliput.runs.run_folder import RunFolder
    from lilliput.training.progress import LiveRun

    folder = RunFolder(tmp_path)
    for step in range(0, 31, 10):
        folder.append_metrics({"step": step, "seconds": step / 10, "bits_per_byte": 4.0 - step / 10})
    folder.append_metrics({"step": 40, "seconds": 4.0, "val_bits_per_byte": 1.5})

    class Trainer:
        run, progress, seconds = folder, 0.4, 4.0
        budget = Budget(100, None)

    live = LiveRun("story")
    monkeypatch.setattr("lilliput.training.progress.console", plain())
    live.on_start(Trainer())  # type: ignore[arg-type]
    assert live.view is not None
    assert [value for _, value in live.view.train_curve.points()] == [4.0, 3.0, 2.0, 1.0]
    assert [(round(at, 1), value) for at, value in live.view.val_curve.points()] == [(0.4, 1.5)]
