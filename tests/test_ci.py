"""Continuous integration and the hooks before a commit: they run what CONTRIBUTING.md says, on every version."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import LONGEST

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
HOOKS = ROOT / ".pre-commit-config.yaml"
SCRIPT = (ROOT / ".ci" / "run").read_text()


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    (found,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    return found


def make_targets(lines: str) -> set[str]:
    """Targets of every `make` in some lines of shell: 'make lint types PYTHON=x' has two."""
    found = re.findall(r"^make ([^\n]+)$", lines, flags=re.MULTILINE)
    return {word for line in found for word in line.split() if "=" not in word}


def test_it_runs_on_linux_and_macos_with_every_version(job: dict[str, Any]) -> None:
    matrix = job["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["system"]} == {"ubuntu", "macos"}
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert all(isinstance(version, str) for version in matrix["python"]), "3.10 as a number would be 3.1"
    assert set(matrix) == {"system", "python"}, "nothing is left out of the matrix"
    assert job["runs-on"] == "${{ matrix.system }}"
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert least == f">={matrix['python'][0]}"


def test_each_version_is_tested_linted_and_type_checked(job: dict[str, Any]) -> None:
    (setup,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@")]
    assert setup["with"]["python-version"] == "${{ matrix.python }}"
    always = [step for step in job["steps"] if "if" not in step]
    commands = "\n".join(step["run"] for step in always if "run" in step)
    assert make_targets(commands) == {"test", "lint", "types"}
    assert not any(step.get("continue-on-error") for step in job["steps"])
    assert all("PYTHON=python" in line for line in commands.splitlines() if line.startswith("make "))


def test_it_does_what_the_script_does(job: dict[str, Any]) -> None:
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    assert make_targets(SCRIPT) <= make_targets(commands)
    (line,) = re.findall(r"^for program in (.+); do$", SCRIPT, flags=re.MULTILINE)
    (apt,) = [step["run"] for step in job["steps"] if step.get("if") == "runner.os == 'Linux'"]
    assert set(line.split()) - {"chromium"} <= set(apt.split()), "the image has a browser"
    assert any(step.get("if") == "runner.os == 'macOS'" for step in job["steps"])


def test_it_needs_no_secret_and_names_the_versions_of_actions(job: dict[str, Any]) -> None:
    text = WORKFLOW.read_text()
    assert "secrets." not in text
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", name) for name in used)


def test_every_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert make_targets(SCRIPT) | {"hooks", "constraints", "check"} <= targets


def test_the_hooks_come_from_the_projects_own_environment() -> None:
    (repository,) = yaml.safe_load(HOOKS.read_text())["repos"]
    assert repository["repo"] == "local", "another repository would be downloaded"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert {hook["language"] for hook in hooks.values()} == {"system"}
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks.values())
    assert "ruff check" in hooks["ruff-check"]["entry"]
    assert "ruff format --check" in hooks["ruff-format"]["entry"]
    files = [word for word in hooks["house"]["entry"].split() if word.startswith("tests/")]
    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_the_suite_begins_with_its_longest_files() -> None:
    (command,) = re.findall(
        r"^test:.*\n\t.+ -m pytest (--numprocesses .+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE
    )
    assert command == "--numprocesses auto --dist loadfile --no-loadscope-reorder", "else pytest-xdist orders the files"
    assert len(set(LONGEST)) == len(LONGEST)
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []
