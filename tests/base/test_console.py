import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from lilliput.base import console
from lilliput.base.console import duration, emit, flops, number, print_line, progress, size, use_json


@pytest.fixture
def json_mode():
    use_json()
    yield
    use_json(False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (7, "7"), (999, "999"), (999.6, "1k"), (1000, "1k"), (1234, "1.23k"), (1_594_624, "1.59M"),
        (8.03e9, "8.03B"), (1.4e12, "1.4T"), (3.2e16, "32,000T"), (-2500, "-2.5k"), (0.0005, "0.0005"),
        (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_numbers_for_people(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.42, "0.4s"), (9.96, "10s"), (42.4, "42s"), (59.7, "1m 00s"), (190, "3m 10s"), (7500, "2h 05m"),
        (86400 * 3 + 3600 * 4, "3d 4h"), (float("inf"), "?"),
    ],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_sizes_and_floating_point_operations_have_units():
    assert [size(512), size(1_500_000)] == ["512 B", "1.5 MB"]
    assert [flops(1.62e11), flops(3.1e15)] == ["162 GFLOP", "3.1 PFLOP"]


def test_say_prints_the_text_itself(capsys):
    text = "[bold]x[/bold] :smile: " + "word " * 60
    print_line(text)
    assert capsys.readouterr().out == text + "\n"


def test_what_a_model_made_up_cannot_move_the_cursor_or_break_the_output(capsys):
    print_line("a\x1b[2Jb\rc\x07\td é")
    assert capsys.readouterr().out == "a\ufffd[2Jb\ufffdc\ufffd\td é\n".expandtabs()
    assert console.printable("é \x1b", "ascii") == "? ?"


def test_json_mode_keeps_standard_output_for_one_object(capsys, json_mode):
    print_line("working")
    with progress("work", 2, interval=0) as bar:
        bar.advance()
    emit(
        {
            "path": Path("runs/x"),
            "loss": np.float32(0.5),
            "count": torch.tensor(3),
            "bad": float("nan"),
            "deep": [{"a": (1,)}],
        }
    )
    out, err = capsys.readouterr()
    assert json.loads(out) == {"path": "runs/x", "loss": 0.5, "count": 3, "bad": None, "deep": [{"a": [1]}]}
    assert out.count("\n") == 1
    assert "working" in err
    assert "progress=" in err


def test_json_mode_ends(capsys, json_mode):
    assert console.json_mode()
    use_json(False)
    print_line("back")
    assert capsys.readouterr().out == "back\n"


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="object"):
        emit({"x": object()})


def test_progress_without_a_terminal_prints_parseable_lines(capsys):
    with progress('making "tokens"', 4, interval=0) as bar:
        for _ in range(4):
            bar.advance()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4, "the end is shown already"
    assert lines[0].startswith('progress="making \\"tokens\\"" done=1 total=4 percent=25.0 seconds=')
    assert "done=4 total=4 percent=100.0" in lines[-1]


def test_the_last_line_shows_slow_work_at_its_speed(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(console, "monotonic", lambda: clock[0])
    with progress("runs", 3) as bar:
        for clock[0] in (300.0, 600.0):
            bar.advance()
        clock[0] = 605.0
        bar.advance()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("done=")[1].split()[0] for line in lines] == ["1", "2", "3"]
    assert lines[0].endswith("per_second=0.00333")
    assert lines[2].endswith("per_second=0.00496")


def test_short_work_without_a_terminal_prints_nothing(capsys):
    with progress("work", 2, interval=100) as bar:
        bar.advance(2)
    assert capsys.readouterr().out == ""


def test_a_total_may_come_late_and_never(capsys):
    with progress("work", interval=0) as bar:
        bar.update(10)
        bar.update(20, total=40)
    first, second = capsys.readouterr().out.splitlines()
    assert "total" not in first
    assert "done=20 total=40" in second


def test_on_a_terminal_there_is_a_bar_that_goes_away(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=screen, force_terminal=True, width=80, color_system=None))
    monkeypatch.setenv("TERM", "xterm")
    with progress("tokenising", 4000, "documents") as bar:
        bar.update(1000)
        bar._bar.refresh()
    assert "tokenising" in screen.getvalue()
    assert "1k of 4k documents" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")


def test_a_terminal_is_recognised(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not console.is_terminal()
    monkeypatch.setattr(console, "console", Console(force_terminal=True))
    assert console.is_terminal()
    monkeypatch.setenv("TERM", "dumb")
    assert not console.is_terminal()
