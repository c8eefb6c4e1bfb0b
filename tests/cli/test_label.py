"""`lilliput label`: the command in a pseudo-terminal and with its page, and what its reporting forms print."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from lilliput import api
from lilliput.lab.labelling.record import Record
from lilliput.lab.labelling.store import live, read
from tests.cli.conftest import Command

SHORT = ("--max-tokens", "5", "--temperature", "1.5")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Three prompts, short enough for the small context of the trained run."""
    path = tmp_path / "prompts.txt"
    path.write_text("One day Tom\nAnna saw\nSam was\n")
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Two labellers of four rated replies and one ranking."""
    path = tmp_path / "labels.jsonl"
    rows = []
    for name, answers in (("ada", (True, True, False, False)), ("ben", (True, False, False, False))):
        common = {
            "event": "answer",
            "labeller": name,
            "utc": "2030-01-01T00:00:00Z",
            "seconds": 30,
            "prompt": "One day",
        }
        for number, answer in enumerate(answers):
            reply = {"text": f" Tom {number}", "model": "tiny"}
            rows.append(
                {**common, "mode": "rate", "item": f"r{number}", "candidates": [reply], "shown": [0], "answer": answer}
            )
        pair = [{"text": " a", "model": "tiny"}, {"text": " b", "model": "tiny"}]
        rows.append({**common, "mode": "rank", "item": "k", "candidates": pair, "shown": [1, 0], "answer": [[1], [0]]})
    path.write_text("".join(Record.model_validate(row).line() for row in rows))
    return path


class Terminal:
    """A process whose standard streams are a pseudo-terminal."""

    def __init__(self, *words: str, folder: Path):
        pty = pytest.importorskip("pty")
        self.master, slave = pty.openpty()
        command = [sys.executable, "-m", "lilliput", *words]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=environment, start_new_session=True
        )
        os.close(slave)
        self.shown = ""

    def until(self, text: str, seconds: float = 120) -> None:
        """Read what is shown until it holds `text`, which is then forgotten."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown[-2000:]
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.master, 65536).decode(errors="replace")
                except OSError:  # the other end is closed
                    assert text in self.shown, self.shown[-2000:]
        self.shown = self.shown.partition(text)[2]

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self) -> int:
        return self.process.wait(timeout=60)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts `lilliput WORDS` in a terminal; what still runs at the end is ended."""
    started: list[Terminal] = []

    def begin(*words: str) -> Terminal:
        started.append(Terminal(*words, folder=tmp_path))
        return started[-1]

    yield begin
    for terminal in started:
        terminal.close()


def test_a_person_ranks_quits_and_goes_on(
    run: Path, tmp_path: Path, prompts: Path, start: Callable[..., Terminal]
) -> None:
    words = (
        "label",
        str(run),
        "--labeller",
        "ada",
        "--samples",
        "3",
        "--prompts",
        str(prompts),
        *SHORT,
        "--hourly-wage",
        "20",
    )
    terminal = start(*words)
    terminal.until("1 of 3")
    terminal.until("? help")
    terminal.press("2")
    terminal.until("best first: 2 >")
    terminal.press("1")
    terminal.until("2 of 3")
    terminal.until("? help")
    path = tmp_path / "labels" / "tiny-run.jsonl"
    (line,) = lines(path)  # stored before the next item was shown
    first = line["shown"]
    assert line["answer"] == [[first[1]], [first[0]], [first[2]]]
    assert line["candidates"][0]["model"] == "tiny-run"
    assert len(line["candidates"][0]["sha256"]) == 64
    terminal.press("q")
    terminal.until("next:")
    terminal.until("label --export labels/tiny-run.jsonl --to labels/tiny-run")
    assert terminal.end() == 0
    again = start(*words)
    again.until("2 of 3")
    again.until("? help")
    again.process.send_signal(signal.SIGINT)  # Ctrl-C ends it as q does
    again.until("next:")
    assert again.end() == 0
    assert len(lines(path)) == 1


def test_a_person_writes_a_demonstration_in_the_terminal(
    run: Path, tmp_path: Path, prompts: Path, start: Callable[..., Terminal]
) -> None:
    words = (
        "label",
        str(run),
        "--mode",
        "demonstrate",
        "--labeller",
        "ada",
        "--labels",
        "mine.jsonl",
        "--prompts",
        str(prompts),
        "--json",
    )
    terminal = start(*words)
    terminal.until("? help")
    terminal.press("w")
    terminal.until("ends the text")
    terminal.press("saw a shop\x7f\x7fip.\n.\n")  # the terminal's own line editing
    terminal.until("y stores it")
    terminal.press("y")
    terminal.until("2 of 3")
    terminal.until("? help")
    terminal.press("q")
    terminal.until('"answers": 1')
    assert terminal.end() == 0
    assert lines(tmp_path / "mine.jsonl")[0]["answer"] == " saw a ship."


def test_the_page_is_served_until_the_person_quits(run: Path, tmp_path: Path, prompts: Path) -> None:
    pytest.importorskip("uvicorn")
    words = [
        "label",
        str(run),
        "--mode",
        "rate",
        "--labeller",
        "ada",
        "--page",
        "--prompts",
        str(prompts),
        "--json",
        *SHORT,
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "lilliput", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    found = None
    while found is None:
        line = process.stderr.readline()
        assert line, "it ended"
        found = re.search(r"(http://127\.0\.0\.1:\d+)/[\w-]{32}/", line)
    headers = {"Origin": found[1]}
    while "item" not in (item := httpx.get(found[0] + "item").json()):
        assert item["waiting"]
    body = {"item": item["item"], "answer": True}
    assert httpx.post(found[0] + "answer", json=body, headers=headers, timeout=20).json()["answered"] == 1
    assert httpx.post(found[0] + "quit", json={}, headers=headers).json()["ended"]
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["answers"] == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(found[0])


def test_agreement_of_two_labellers(command: Command, labels: Path) -> None:
    result = command("label", "--agreement", str(labels))
    assert result.code == 0, result.err
    # Ratings: agree on 3 of 4; p_e = (2/4)(1/4) + (2/4)(3/4) = 0.5, so kappa = 0.25 / 0.5.
    assert "rate: ada and ben, 4 items, 4 judgements" in result.out
    assert "agree on 3: 75.0%" in result.out
    assert "Cohen's kappa: 0.50 [" in result.out
    assert re.search(r"ada \(rows\), ben +bad +good\n-.*\nbad +2 +0\ngood +1 +1\n", result.out)
    assert "not defined: both gave one and the same label throughout" in result.out  # of the single ranking
    found = json.loads(command("label", "--agreement", str(labels), "--json").out)["agreement"]
    assert [row["mode"] for row in found] == ["rank", "rate"]
    assert found[1]["kappa"] == pytest.approx(0.5)
    assert found[0]["kappa"] is None


def test_report_of_minutes_and_cost(command: Command, labels: Path) -> None:
    result = command("label", "--report", str(labels), "--hourly-wage", "24")
    assert result.code == 0, result.err
    assert re.search(r"^ada +5 +0 +0 +2\.5 +120 +30\.0 +1\.00 +0\.200$", result.out, re.MULTILINE)
    assert re.search(r"^all +10 +0 +0 +5\.0 +120 +30\.0 +2\.00 +0\.200$", result.out, re.MULTILINE)
    assert "answers by mode: rate 8, rank 2" in result.out
    assert "the best reply was shown at place 1: 2" in result.out
    found = json.loads(command("label", "--report", str(labels), "--json").out)
    assert (found["answers"], found["cost"], found["minutes"]) == (10, None, 5)


def test_export_as_rows(command: Command, labels: Path, tmp_path: Path) -> None:
    result = command("label", "--export", str(labels), "--to", "rows")
    assert result.code == 0, result.err
    assert result.out.splitlines() == ["rows/preferences.jsonl: 2 rows", "rows/ratings.jsonl: 8 rows"]
    assert lines(tmp_path / "rows" / "preferences.jsonl")[0] == {"prompt": "One day", "chosen": " b", "rejected": " a"}
    assert command("label", "--export", str(labels), "--to", "rows").code == 2
    words = ("--to", "rows", "--replace", "--labeller", "ada", "--json")
    again = command("label", "--export", str(labels), *words)
    assert json.loads(again.out) == {"files": {"rows/preferences.jsonl": 1, "rows/ratings.jsonl": 4}}


def test_two_files_of_two_people_are_one(command: Command, labels: Path, tmp_path: Path) -> None:
    records = read(labels)
    for name in ("ada", "ben"):
        own = "".join(record.line() for record in records if record.labeller == name)
        (tmp_path / f"{name}.jsonl").write_text(own)
    both = command("label", "--agreement", "ada.jsonl", "--agreement", "ben.jsonl", "--json")
    assert json.loads(both.out) == json.loads(command("label", "--agreement", str(labels), "--json").out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "there is nothing to label or to read"),
        (("RUN", "--report", "x.jsonl"), "RUN and --report cannot be used together"),
        (("--agreement", "none.jsonl"), "there is no labels file none.jsonl"),
        (("--export", "LABELS"), "--export needs a folder"),
        (("--report", "LABELS", "--to", "rows"), "--to belongs to --export"),
        (("--agreement", "LABELS", "--max-tokens", "5"), "--agreement does not use --max-tokens"),
        (("--report", "LABELS", "--labeller", "ada"), "--report does not use --labeller"),
        (("--export", "LABELS", "--to", "rows", "--hourly-wage", "9"), "--export does not use --hourly-wage"),
        (("RUN", "--replace"), "--replace belongs to --export"),
        (("RUN", "--port", "8000"), "--port belongs to --page"),
        (("RUN", "--samples", "5"), "mode 'rank' shows 2 to 4 samples of a prompt, not 5"),
        (("RUN", "--samples", "1"), "mode 'rank' shows 2 to 4 samples of a prompt, not 1"),
        (("RUN", "--mode", "demonstrate", "--samples", "2"), "no replies are generated for demonstrations"),
        (("RUN", "--temperature", "0"), "at temperature 0 the 2 samples are all the same"),
        (("RUN", "--temperature", "3"), "'temperature'"),
        (("RUN", "--labeller", " "), "is no labeller's name"),
        (("RUN", "--prompts", "none.txt"), "cannot read prompts from none.txt"),
        (("RUN", "--chat"), "was not trained to chat"),
        (("RUN", "--labeller", "ada"), "standard input is not a terminal"),
        (("none",), "there is no run or model folder 'none'"),
    ],
)
def test_bad_input(
    command: Command,
    labels: Path,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())
    names = {"RUN": str(trained), "LABELS": str(labels)}
    result = command("label", *(names.get(word, word) for word in words))
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_the_login_name_is_the_default_and_can_be_unknown(
    command: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("sys.stdin", StringIO())
    monkeypatch.setattr("getpass.getuser", unknown)
    result = command("label", str(trained))
    assert (result.code, "the login name is not known here" in result.err) == (2, True)


def test_labels_of_weights_from_before_are_reported(trained: Path, tmp_path: Path, labels: Path) -> None:
    from lilliput.lab.labelling.labelling import LabelOptions, opened

    printed: list[str] = []
    with opened(trained, LabelOptions(limit=8, labeller="ada", labels=labels), printed.append) as session:
        assert session.left == 8
    assert any("from before it trained on" in line for line in printed)


def test_label_from_python_returns_the_figures(
    trained: Path, tmp_path: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lilliput.lab.labelling import terminal

    def one_answer(session: Any, keyboard: Any) -> None:
        present = session.present()
        session.answer(present.item.key, [[0, 1]])

    monkeypatch.setattr(terminal, "run", one_answer)
    monkeypatch.setattr("lilliput.lab.labelling.keys.terminal", nullcontext)
    file = tmp_path / "labels.jsonl"
    options = api.LabelOptions(prompts=prompts, labeller="ada", labels=file, max_tokens=4, temperature=1.5)
    found = api.label(trained, options, notify=lambda text: None)
    assert (found["answers"], found["labels"]) == (1, str(file))
    assert [record.answer for record in live(read(file))] == [((0, 1),)]
