"""What a run prints under `next:` runs as it is printed, and fits the run."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.base import console
from tests.cli.conftest import TINY, Command


def printed(out: str) -> list[str]:
    lines = out.splitlines()
    return [line.strip() for line in lines[lines.index("next:") + 1 :] if line.strip()]


def test_next_of_the_story_world_begins_as_its_stories_do(command: Command) -> None:
    world = "data.sources=[{kind: story, stories: 300}]"
    result = command("train", "story", *TINY, "evaluate.heroes=0", "evaluate.final_heroes=0", world)
    assert result.code == 0, result.err
    lines = printed(result.out)
    assert "Once upon a time" in lines[0]
    for line in lines:
        again = command(*shlex.split(line)[1:])
        assert again.code == 0, f"{line}\n{again.err}"


@pytest.mark.usefixtures("peaks")
def test_next_of_a_queue_in_another_folder_runs_where_the_person_is(tales: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a queue"
    folder.mkdir()
    source = f"data.sources=[{{kind: text, paths: ['{tales}']}}]"
    lines = [f"  - {{name: {name}, config: story, overrides: {json.dumps([*TINY, source])}}}" for name in ("a", "b")]
    (folder / "queue.yaml").write_text("\n".join(["experiments:", *lines]) + "\n")
    done = lilliput("experiments", "run-next", "--file", "a queue/queue.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, _, last = done.stdout.partition("a  done")
    typed = [*printed(first), *printed(last)]
    assert len(typed) == 5
    assert typed[-1].endswith("experiments run-next --file 'a queue/queue.yaml'")
    for line in typed:
        again = lilliput(*shlex.split(line)[1:], cwd=tmp_path)
        assert again.returncode == 0, f"{line}\n{again.stderr}"
    (run,) = [json.loads((folder / "runs" / "b" / "summary.json").read_text())]
    assert run["steps"] == 12
    assert not (tmp_path / "runs").exists()


def lilliput(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "lilliput", *words]
    return subprocess.run(program, cwd=cwd, capture_output=True, text=True, timeout=240)


@pytest.mark.parametrize("options", [(), ("objective.kind=reversed", "objective.by=word")])
def test_next_runs_as_printed(command: Command, tales: Path, options: tuple[str, ...]) -> None:
    result = command("train", "story", *TINY, *options, "--data", str(tales), "--name", "own")
    assert result.code == 0, result.err
    lines = printed(result.err + result.out)
    assert len(lines) == 4
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "lilliput" or Path(program).is_file()
        again = command(*words)
        assert again.code == 0, f"{line}\n{again.err}"
    assert ("--ending" in lines[0]) == bool(options)
    assert "Once upon a time" not in lines[0], "the prompt comes from the run's own text"


def test_the_program_is_named_by_its_place_where_the_path_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert Path(shlex.split(console.command())[0]).name.startswith("lilliput")
