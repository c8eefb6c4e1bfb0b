"""The command where outputs are not UTF-8, homes are missing, and users have no name."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.base import cache
from lilliput.lab.queue_file import QueueFile
from tests.cli.conftest import TINY

CALL = "from lilliput.cli.main import main; main()"
END = "--- the end of a command ---"
ONE_AFTER_ANOTHER = f"""
import json, os, sys
from lilliput.cli.main import main
lines, encoding = json.loads(sys.argv[1]), os.environ["PYTHONIOENCODING"]
for number, words in enumerate(lines):
    if number:
        print({END!r}, flush=True)
    sys.stdout = open(1, "w", encoding=encoding, errors="strict", closefd=False)
    sys.argv = ["lilliput", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
    sys.stdout.flush()
"""
"""Several commands in one process, since a process takes a second to load PyTorch. Each has a new standard output, as
Python makes it for an encoding."""


def lilliput(*words: str, code: str = CALL, **environment: str) -> subprocess.CompletedProcess[bytes]:
    kept = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME", "LILLIPUT_CACHE")}
    return subprocess.run(
        [sys.executable, "-c", code, *words], env={**kept, **environment}, capture_output=True, timeout=120
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_encoding_of_the_output_will_do(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_text("naïve 東京 — one.\n\ntwo", encoding="utf-8")
    words = ("data", "show", "--data", str(tmp_path / "a.txt"))
    lines = [words, ("--help",), ("model", "show", "story_1m"), ("recipe", "show", "story"), (*words, "--json")]
    found = lilliput(json.dumps(lines), code=ONE_AFTER_ANOTHER, PYTHONIOENCODING=encoding, HOME=str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert b"Traceback" not in found.stderr
    *shown, report = found.stdout.decode(encoding).split(END)
    assert len(shown) == len(lines) - 1
    assert all(text.strip() for text in shown)
    assert json.loads(report)["sample"]["text"] == "naïve 東京 — one."


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("unshare"), reason="makes a user namespace")
@pytest.mark.parametrize(
    "words", [("--help",), ("recipe", "list"), ("data", "show", "--data", "story", "--max-documents", "3")]
)
def test_an_unknown_user_without_home(words: tuple[str, ...]) -> None:
    kept = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME", "LILLIPUT_CACHE")}
    program = [sys.executable, "-c", "from lilliput.cli.main import main; main()", *words]
    space = ["unshare", "--user", "--map-user=4242", "--map-group=4242"]
    if subprocess.run([*space, "true"], capture_output=True).returncode:
        pytest.skip("user namespaces are not allowed here")
    found = subprocess.run([*space, *program], env=kept, capture_output=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert b"Traceback" not in found.stderr


def test_without_a_home_the_cache_is_a_folder_of_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("LILLIPUT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache.temporary_cache.cache_clear()
    found = cache.cache_folder()
    assert found.parent == tmp_path
    assert found.stat().st_mode & 0o077 == 0
    found.rmdir()
    (tmp_path / "elsewhere").mkdir()
    found.symlink_to(tmp_path / "elsewhere")  # planted: what it points to is somebody else's choice
    cache.temporary_cache.cache_clear()
    assert cache.cache_folder() != found
    cache.temporary_cache.cache_clear()


NOWHERE = "/dev/null/cache"
"""A cache that nobody can make, whoever runs the tests."""


@pytest.mark.skipif(sys.platform == "win32", reason="/dev/null")
@pytest.mark.parametrize(
    "lines",
    [
        (
            "--help",
            "recipe list",
            "model list",
            "model show story_1m",
            "data show --data RUN/../../tales.txt",
            "tokenizer show hello --tokenizer RUN",
            "complete RUN",
        ),
        ("generate RUN One --max-tokens 3",),
        ("doctor",),
    ],
)
def test_without_a_cache_all_that_needs_none_works(lines: tuple[str, ...], trained: Path, tmp_path: Path) -> None:
    (tmp_path / "tales.txt").write_text("One day.\n\nTwo days.")
    spelt = [line.replace("RUN/../..", str(tmp_path)).replace("RUN", str(trained)).split() for line in lines]
    places = {"LILLIPUT_CACHE": NOWHERE, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    found = lilliput(json.dumps(spelt), code=ONE_AFTER_ANOTHER, **places)
    assert found.returncode == 0, found.stderr
    assert b"error" not in found.stderr
    assert found.stdout.decode().count(END) == len(lines) - 1


@pytest.mark.skipif(sys.platform == "win32", reason="/dev/null")
def test_what_needs_a_cache_names_the_setting(tales: Path, tmp_path: Path) -> None:
    code = "import os, sys; os.chdir(sys.argv.pop()); from lilliput.cli.main import main; main()"
    words = ["train", "story", "--data", str(tales), str(tmp_path)]
    kept = {**os.environ, "LILLIPUT_CACHE": NOWHERE}
    found = subprocess.run([sys.executable, "-c", code, *words], env=kept, capture_output=True, timeout=120)
    assert found.returncode == 2
    assert b"Traceback" not in found.stderr
    assert b"LILLIPUT_CACHE=" in found.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="homes are found in other ways")
def test_quick_commands_make_nothing(tmp_path: Path) -> None:
    for number, words in enumerate((["--help"], ["wtac"], ["recipe", "list"], ["model", "list"])):
        home = tmp_path / str(number)
        home.mkdir()
        found = lilliput(*words, HOME=str(home), TMPDIR=str(home))
        assert found.returncode == 0, found.stderr
        assert list(home.iterdir()) == []


def test_a_queue_line_may_say_local_and_one_device(tmp_path: Path) -> None:
    file = tmp_path / "experiments.yaml"
    file.write_text("- {name: a, config: story, environment: local, devices: 1}\n")
    (experiment,) = QueueFile(file).experiments
    assert (experiment.environment, experiment.devices) == ({}, "auto")
    file.write_text("- {name: a, config: story, environment: slurm}\n")
    with pytest.raises(Exception, match="give local, or variables"):
        QueueFile(file)


def test_without_a_compiler_pytorch_computes_and_doctor_names_what_to_install(tmp_path: Path) -> None:
    found = lilliput("doctor", "--device", "cpu", "--json", HOME=str(tmp_path), CXX=str(tmp_path / "none"))
    assert (found.returncode, found.stderr) == (0, b"")
    report = json.loads(found.stdout)
    assert "there is no C++ compiler" in report["training"]
    assert any("g++" in line for line in report["advice"])
    assert not report["compiler"]


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("unshare"), reason="makes a user namespace")
def test_an_unknown_user_trains_in_an_empty_environment(tales: Path, tmp_path: Path) -> None:
    space = ["unshare", "--user", "--map-user=4242", "--map-group=4242"]
    if subprocess.run([*space, "true"], capture_output=True).returncode:
        pytest.skip("user namespaces are not allowed here")
    code = "import os, sys; os.chdir(sys.argv.pop(1)); from lilliput.cli.main import main; main()"
    words = ["train", "story", "--data", str(tales), *TINY, "train.steps=2", "evaluate.baselines=[]"]
    command = [*space, sys.executable, "-c", code, str(tmp_path), *words, "train.precision=fp32"]
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(command, env=environment, capture_output=True, timeout=600)
    assert found.returncode == 0, found.stderr
    assert b"Traceback" not in found.stderr
    assert list((tmp_path / "lilliput-4242" / "tokens").iterdir())
    assert list((tmp_path / "runs").glob("*/summary.json"))
