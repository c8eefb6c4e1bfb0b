"""What a run prints under `next:` runs as it is printed, and fits the run."""

import shlex
from pathlib import Path

import pytest

from lilliput.base import console
from tests.cli.conftest import TINY, Command


def printed(out: str) -> list[str]:
    lines = out.splitlines()
    return [line.strip() for line in lines[lines.index("next:") + 1 :] if line.strip()]


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
