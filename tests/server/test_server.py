"""Where the server may listen, what the command says, and that nothing of it is loaded before it is needed."""

import logging
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from lilliput.base.errors import ConfigError, MissingExtra
from lilliput.decoding.int8 import Int8Linear
from lilliput.server.served import Served
from lilliput.server.server import is_loopback, listen, serve


def test_only_loopback_goes_without_a_key(models: dict[str, Served]) -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org", "")))
    for host in ("0.0.0.0", "::"):
        for key in (None, ""):
            with pytest.raises(ConfigError, match="can be reached from other machines"):
                serve([models["forwards"]], host=host, api_key=key)


def test_an_address_that_cannot_be_had_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port)
    with pytest.raises(ConfigError, match="cannot listen on"):
        listen("203.0.113.7", 0)


def test_the_command_serves_a_folder_and_ends_when_asked(folder: Path) -> None:
    words = [sys.executable, "-m", "lilliput", "serve", str(folder), "--port", "0", "--slots", "2", "--queue", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.match(r"serving tiny at (http://127\.0\.0\.1:\d+)", first)
        assert found, first
        url = found[1]
        card = httpx.get(f"{url}/v1/models").json()["data"][0]
        assert (card["id"], card["reads_forwards"]) == ("tiny", False)
        over = httpx.post(f"{url}/v1/completions", json={"ending": "The end.", "n": 3})
        assert "the server has 2 slots and a queue of 0" in over.json()["error"]["message"]
        assert "Lilliput" in httpx.get(url).text
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_int8_weights_are_served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lilliput.cli.main import main

    kept: list[Served] = []
    monkeypatch.setattr("lilliput.server.serving.run_server", lambda models, **settings: kept.extend(models))
    for words in ([], ["--int8"]):
        monkeypatch.setattr("sys.argv", ["lilliput", "serve", str(folder), *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0
    plain, small = (any(isinstance(part, Int8Linear) for part in served.model.modules()) for served in kept)
    assert (plain, small) == (False, True)


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["nowhere"], "there is no run or model folder 'nowhere'"),
        (["{folder}", "{folder}"], "two of the models would be called 'tiny'"),
        (["{folder}", "--host", "0.0.0.0"], "put one into the variable LILLIPUT_API_KEY"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, words: list[str], printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lilliput.cli.main import main

    monkeypatch.delenv("LILLIPUT_API_KEY", raising=False)
    monkeypatch.chdir(folder.parent)
    monkeypatch.setattr("sys.argv", ["lilliput", "serve", *(word.format(folder=folder) for word in words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    shown = capsys.readouterr().err
    assert printed in shown
    assert "--api-key" not in shown  # a key on a command line can be read by others


def test_without_the_extra_it_names_what_to_install(models: dict[str, Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "lilliput.server.running", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'lilliput\[serve\]'"):
        serve([models["forwards"]], port=0)


def test_names_distinguish_runs_and_checkpoints() -> None:
    from lilliput.runs.finding import model_name

    step = Path("runs/story/checkpoints/step-0000040")
    assert model_name("runs/story", step / "model") == "story"
    assert model_name(step, step / "model") == "story/step-0000040"
    assert model_name("some/folder", Path("some/folder")) == "folder"


def test_a_server_leaves_the_logging_of_its_process_alone() -> None:
    from lilliput.server.running import Server

    class Kept(logging.Handler):
        closed = False

        def close(self) -> None:
            self.closed = True
            super().close()

    handler = Kept()
    app = SimpleNamespace(state=SimpleNamespace(service=(), calls=None))
    Server(app)  # type: ignore[arg-type]
    assert not handler.closed
