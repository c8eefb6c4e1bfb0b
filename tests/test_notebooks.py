"""The notebooks: every code cell runs, in order, and prints what its text promises."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def cells(name: str, kind: str) -> list[str]:
    """The sources of the cells of a kind."""
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def run(name: str) -> dict[str, Any]:
    """The names that the notebook's code defines."""
    space: dict[str, Any] = {}
    for number, source in enumerate(cells(name, "code"), start=1):
        exec(compile(source, f"{name}.ipynb, code cell {number}", "exec"), space)
    return space


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_output_and_no_count_is_kept(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)


def test_a_tiny_model(capsys: pytest.CaptureFixture[str]) -> None:
    found = run("tiny_model")
    assert found["right"](found["model"]) > 0.5 > found["right"](found["untrained"])
    assert float(found["scores"][1].max()) > 0.5 > 2 * float(found["control"].max())
    worst = max(found["lost"], key=found["lost"].get)
    assert found["lost"][worst] > 0.1
    assert "the strongest induction head is" in capsys.readouterr().out


def test_a_run_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LILLIPUT_RUN", raising=False)
    found = run("own_run")
    assert (tmp_path / "runs" / "notebook" / "lens.html").is_file()
    shown = capsys.readouterr().out
    assert len(re.findall(r"head \d\.\d looks from", shown)) == sum(
        len(found["seen"][name][0]) for name in found["seen"]
    )
    assert "without head 0.0:" in shown
