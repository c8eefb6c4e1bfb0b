"""The page of the lens: its order, its summary, its scripts, its size, and how a browser shows it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lilliput.base.chart import Chart, Series, figure
from lilliput.base.html import table
from lilliput.lens import page as page_module
from lilliput.lens.instrument import INSTRUMENTS, Instrument, Part
from lilliput.lens.look import Look
from lilliput.lens.page import page
from tests.lab.test_layout import WRONG
from tests.pages import visit

HOSTILE = "</script><script>alert(1)</script><b>x & y</b>"


def instrument(name: str, where: Part, place: int = 0, scripted: str = "") -> type[Instrument]:
    class Made(Instrument):
        title = f"Title of {name}"
        part = where
        order = place
        script = scripted

        def section(self, found: Mapping[str, Any]) -> str:
            chart = Chart(
                "Score by layer", [Series("model", [(0, 0.1), (1, 0.4)]), Series("control", [(0, 0.1), (1, 0.1)])]
            )
            return f"<p>{found.get('words', '')}</p>{table({'head 1.3': found['scores']})}{figure(chart)}"

        def findings(self, found: Mapping[str, Any]) -> list[str]:
            return [f"Head 1.3 {HOSTILE}"] if found["scores"]["score"] > found["scores"]["control"] else []

    return Made


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Four instruments and no others, two of them with one script."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    for name in (page_module.CONTENTS, "lens.css"):
        (folder / name).write_text((page_module.FOLDER / name).read_text())
    (folder / "one.js").write_text("const parts = 'ours';\n")  # a name that another script has too
    monkeypatch.setattr(page_module, "FOLDER", folder)
    ones = {
        "late": instrument("late", "time"),
        "second": instrument("second", "heads", 2, "one.js"),
        "first": instrument("first", "heads", 1, "one.js"),
        "knows": instrument("knows", "knows"),
    }
    monkeypatch.setattr(INSTRUMENTS, "_entries", ones)
    monkeypatch.setattr(INSTRUMENTS, "_searched", True)


def look(better: str = "first", **found: dict[str, Any]) -> Look:
    scores = {name: {"score": 0.9 if name == better else 0.1, "control": 0.1} for name in ("late", "first", "knows")}
    figures = {name: {"scores": score, **found.get(name, {})} for name, score in scores.items()}
    return Look(HOSTILE, {"model": "1.8M parameters"}, "key", figures, {"second": f"it reads backwards {HOSTILE}"})


def test_parts_and_instruments_stand_in_the_pages_order(made: None) -> None:
    html = page(look())
    contents = html[html.index("<nav") : html.index("</nav>")]
    assert re.findall(r'href="#([^"]+)"', contents) == [
        "part-knows",
        "lens-knows",
        "part-heads",
        "lens-first",
        "part-time",
        "lens-late",
    ]
    assert re.findall(r'<section class="instrument" id="([^"]+)"', html) == ["lens-knows", "lens-first", "lens-late"]


def test_the_summary_holds_only_figures_that_beat_their_control(made: None) -> None:
    assert re.findall(r'<li>Head 1.3 .*<a href="#lens-(\w+)">How', page(look())) == ["first"]
    nothing = page(look(better="none"))
    assert "Head 1.3" not in nothing.split("<nav")[0]
    assert "No figure of these instruments beats its control." in nothing


def test_what_was_not_measured_is_named_with_its_reason(made: None) -> None:
    html = page(look())
    assert "Title of second" in html[html.index("Not measured here") :]
    assert "it reads backwards" in html


def test_texts_are_inert(made: None) -> None:
    html = page(look())
    assert "<b>x" not in html
    assert html.count("<script") == 1


def test_a_script_is_joined_once_and_named_by_the_policy(made: None) -> None:
    found = look()
    found.found["second"] = found.found["first"]
    html = page(found)
    assert html.count("const parts = 'ours';") == 1
    assert html.count("<script") == 1
    assert "script-src 'sha256-" in html


def test_a_page_that_grows_too_large_leaves_out_its_largest_section_and_says_so(made: None) -> None:
    long = {"words": "word " * 100_000}
    whole = page(look(late=long))
    cut = page(look(late=long), limit=300_000)
    assert len(whole.encode()) > 500_000
    assert len(cut.encode()) <= 300_000
    assert "This section has 50" in cut
    assert "lilliput lens RUN --only late" in cut
    assert '<div class="scroll">' in cut  # the other sections stay
    assert "This section has" not in whole


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it(made: None, browser, tmp_path: Path, width: int, scheme: str) -> None:
    path = tmp_path / "lens.html"
    path.write_text(page(look(first={"words": "a long sentence " * 30})), encoding="utf-8")
    shown = visit(browser, path, width)
    shown.emulate_media(color_scheme=scheme)
    assert shown.evaluate(WRONG) == []
    shown.click("text=Close all parts")
    assert shown.evaluate("document.querySelectorAll('details.part[open]').length") == 0
    shown.focus("nav a[href='#lens-first']")
    shown.keyboard.press("Enter")  # a link opens the part that it leads to
    assert shown.evaluate("document.querySelector('#part-heads').open")
    assert not shown.evaluate("document.querySelector('#part-time').open")
    shown.close()


def test_a_look_is_read_back(made: None, tmp_path: Path) -> None:
    file = tmp_path / "lens.json"
    file.write_text(json.dumps(look().as_dict()))
    assert Look.read(file) == look()
