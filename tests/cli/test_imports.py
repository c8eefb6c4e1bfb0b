"""What quick commands leave alone: the modules that take long to import."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs.made_run import make_run

HEAVY = ("torch", "tokenizers", "numpy", "safetensors", "huggingface_hub", "transformers", "datasets", "pyarrow")
RUN = """
import sys
sys.argv = ["lilliput", *{words!r}]
from lilliput.cli.main import start
try:
    start()
except SystemExit as end:
    assert not end.code, end.code
print("\\nLOADED", *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def loaded(*words: str) -> set[str]:
    """Top modules that a process has imported when the command ends."""
    code = RUN.format(words=words)
    found = subprocess.run([sys.executable, "-c", code], input=b"one two.\n", capture_output=True, timeout=120)
    assert found.returncode == 0, found.stderr.decode()
    last = found.stdout.decode().strip().splitlines()[-1].split()
    assert last[0] == "LOADED"
    return set(last[1:])


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("--version",),
        ("train", "--help"),
        ("experiments", "--help"),
        ("recipe", "list"),
        ("recipe", "list", "--json"),
        ("model", "list"),
        ("model", "list", "--json"),
    ],
    ids=" ".join,
)
def test_quick_commands_import_nothing_heavy(words: tuple[str, ...]) -> None:
    assert loaded(*words).isdisjoint(HEAVY)


def test_a_report_imports_no_torch(tmp_path: Path) -> None:
    run = make_run(tmp_path / "story")
    assert "torch" not in loaded("report", str(run))
    assert (run / "report.html").is_file()


def test_the_filter_imports_no_framework_at_all() -> None:
    assert loaded("wtac").isdisjoint({*HEAVY, "typer", "click", "rich", "pydantic", "yaml"})
