"""Models side by side: roles in rows, models in columns, each figure with its control."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lilliput.base.errors import ConfigError
from lilliput.lens.compare import compare_page, comparing, evolve_page, plain_roles, roles, text_of
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument
from lilliput.lens.look import Look
from tests.lab.test_layout import WRONG
from tests.pages import visit


class Heads(Instrument):
    title, part = "Heads", "heads"

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        return {
            role: Compared(value, 0.05, value - 0.1, value + 0.1) for role, value in found.items() if value is not None
        }


class Alone(Instrument):
    title, part = "Alone", "knows"


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(INSTRUMENTS, "_entries", {"heads": Heads, "alone": Alone})
    monkeypatch.setattr(INSTRUMENTS, "_searched", True)


def look(name: str, **figures: float | None) -> Look:
    return Look(name, {"model": f"{name} of 1.8M parameters"}, name, {"heads": figures, "alone": {}}, {})


LOOKS = {
    "story": look("story", **{"strongest induction head": 0.6, "strongest copying head": 0.4}),
    "backwards": look("backwards", **{"strongest induction head": 0.2}),
}


def test_instruments_with_comparable_figures() -> None:
    assert comparing() == ["heads"]
    with pytest.raises(ConfigError, match="'alone' has no figure"):
        comparing(["alone"])


def test_roles_stand_in_rows_and_models_in_columns() -> None:
    found = roles(LOOKS)
    assert found["heads"]["strongest induction head"]["backwards"] == Compared(0.2, 0.05, 0.1, 0.30000000000000004)
    assert set(found["heads"]["strongest copying head"]) == {"story"}
    assert "alone" not in found
    html = compare_page(LOOKS)
    assert "0.6 (0.5 to 0.7), control 0.05" in html
    assert "0.2 (0.1 to 0.3), control 0.05" in html


def test_what_is_missing_is_a_dash_and_null() -> None:
    assert text_of(None) == "-"
    assert text_of(Compared(math.nan)) == "-"
    assert text_of(Compared(0.5)) == "0.5"
    plain = plain_roles({"heads": {"a": {"story": Compared(math.nan, 0.1)}}})
    assert plain == {"heads": {"a": {"story": {"value": None, "control": 0.1, "low": None, "high": None}}}}


@pytest.mark.parametrize("width", [400, 1280])
def test_browser_shows_both_pages(browser, tmp_path: Path, width: int) -> None:
    steps = {step: look("story", **{"strongest induction head": step / 1000}) for step in (100, 200, 400, 800)}
    for name, html in {"compare": compare_page(LOOKS), "evolve": evolve_page("story", steps)}.items():
        path = tmp_path / f"{name}.html"
        path.write_text(html, encoding="utf-8")
        page = visit(browser, path, width)
        assert page.evaluate(WRONG) == []
        page.close()
    assert evolve_page("story", steps).count("<svg") == 2
