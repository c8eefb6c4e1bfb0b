"""Every page as a browser lays it out: no text is cut off, drawn over other text, giant or too small to read."""

from pathlib import Path

import pytest

from lilliput.base.chart import STYLE, Chart, Level, Mark, Series, figure
from lilliput.base.html import document
from lilliput.lab.compare_page import write_page
from lilliput.lab.comparison import Comparison
from lilliput.planning import isoflop, study_page, tables
from lilliput.planning.chinchilla import CHINCHILLA, chosen_model
from lilliput.planning.study import analyse
from lilliput.planning.tuning import Outcome, batches_page, judge_batches, judge_rates, rates_page
from lilliput.runs.picture import run_picture
from lilliput.runs.report import write_report
from tests.lab.test_comparison import made as made_run
from tests.pages import visit
from tests.planning.test_fit import trials
from tests.runs.made_run import make_run

WRONG = """
() => {
  const wrong = [];
  for (const svg of document.querySelectorAll("svg")) {
    if (svg.parentElement.closest("svg") || !svg.getBoundingClientRect().width) continue;
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].filter((node) => node.getBoundingClientRect().width);
    const seen = [];
    for (const node of texts) {
      const name = node.lastChild.textContent, box = node.getBoundingClientRect(), matrix = node.getScreenCTM();
      const pixels = parseFloat(getComputedStyle(node).fontSize) * matrix.a;
      if (pixels > 30) wrong.push(`giant, ${pixels.toFixed(1)} px: ${name}`);
      if (pixels > 17 && svg.classList.contains("chart")) wrong.push(`giant, ${pixels.toFixed(1)} px: ${name}`);
      if (pixels < 9) wrong.push(`too small, ${pixels.toFixed(1)} px: ${name}`);
      const inside = box.left > frame.left - 1 && box.right < frame.right + 1;
      if (!inside || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        wrong.push(`cut off: ${name}`);
      for (const [other, its] of seen) {
        const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        if (wide > 1.5 && high > 1.5) wrong.push(`'${name}' over '${other}'`);
      }
      seen.push([name, box]);
    }
  }
  for (const node of document.querySelectorAll("main *:not(svg):not(svg *)")) {
    if (getComputedStyle(node).overflowX === "hidden" && node.scrollWidth > node.clientWidth + 1)
      wrong.push(`cut off: ${node.textContent}`);
    const box = node.getBoundingClientRect();
    if (box.width && !node.closest(".scroll, pre") && box.right > innerWidth + 1)
      wrong.push(`past the edge: ${node.textContent}`);
  }
  return wrong;
}
"""
HELD_OUT = 3e13
LONG = "a name that goes on and on and on, longer than any chart is wide on a telephone, and then some more of it"


def outcome(value: float, last: float | None, failed: str | None = None) -> Outcome:
    return Outcome(value, 100, 204_800, 7.1, last, last, 12_345.6, 1_234_567_890, failed)


def rates() -> str:
    losses = {1 / 64: 3.31, 1 / 16: 2.21, 1 / 4: 1.203, 1: 0.912, 4: 1.31, 16: 9.9}
    failed = outcome(64, None, "training diverged: 5 steps in a row were not finite; no checkpoint was reached")
    return rates_page("learning-rate", judge_rates([*(outcome(v, loss) for v, loss in losses.items()), failed]))


def crowded() -> str:
    """A chart with all that may be in each other's way."""
    chart = Chart(
        LONG,
        [Series(f"{LONG} {n}", [(1, 123_456.78), (9_999_999, 0.000123 * n)], n) for n in range(3)]
        + [Series(name, [(5_000_000, 5.0)], dots=True) for name in ("one", "two", "three", "four", "five", "six")],
        f"{LONG}: {LONG}",
        levels=[Level(LONG, 100_000.0), *(Level(f"level {n}", 123_456 + n) for n in range(4))],
        verticals=[Level(f"vertical {n} of several", 9_000_000.0 + n) for n in range(4)],
        marks=[Mark(9_999_999, 123_400.0, "1"), Mark(9_999_998, 123_401.0, "2"), Mark(9_999_999, 120_000.0, "3")],
        y_text=lambda value: f"{value:,.2f}",
        width=920,
        height=400,
    )
    logarithmic = Chart(
        "", [Series("", [(1.5, 2), (9.5, 70)]), Series("b", [(1, 1)])], log_x=True, log_y=True, width=920
    )
    return document("Crowded", figure(chart, 420) + figure(logarithmic), STYLE)


def pages(folder: Path) -> dict[str, Path]:
    """Every kind of page, written."""
    found = trials(HELD_OUT)
    made = {
        "rates": rates(),
        "batches": batches_page("batch-size", judge_batches([outcome(256.0 * 2**n, 1 + n / 9) for n in range(7)])),
        "isoflop": isoflop.page(CHINCHILLA, chosen_model(None, None, None)),
        "isoflop-large": isoflop.page(CHINCHILLA, chosen_model(3e25, None, None)),
        "isoflop-small": isoflop.page(CHINCHILLA, chosen_model(None, 1e5, 1e8)),
        "tables": tables.page(),
        "study": study_page.page("sweep", found, analyse(found, HELD_OUT), HELD_OUT),
        "crowded": crowded(),
    }
    for name, html in made.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    run = make_run(folder / "story")
    report = write_report(run)
    seeds = [("wide-seed1", 1, 256, 0.0), ("narrow-seed1", 1, 128, 0.3), ("narrow-seed2", 2, 128, 0.31)]
    compared = write_page(Comparison([made_run(folder, *seed) for seed in seeds]), folder / "compare.html")
    picture = folder / "picture.html"
    picture.write_text(document("Picture", run_picture(run, folder / "run.svg").read_text()), encoding="utf-8")
    return {
        **{name: folder / f"{name}.html" for name in made},
        "report": report,
        "compare": compared,
        "picture": picture,
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return pages(tmp_path_factory.mktemp("pages"))


NAMES = ("rates", "batches", "isoflop", "isoflop-large", "isoflop-small", "tables", "study", "crowded", "report",
         "compare")  # fmt: skip


@pytest.mark.parametrize("width", [400, 768, 1280])
@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_cut_off_overlaps_or_is_giant(browser, written, name, width):
    page = visit(browser, written[name], width)
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert page.evaluate(WRONG) == []
    page.close()


def test_the_picture_of_a_run_is_legible_at_its_own_size(browser, written):
    page = visit(browser, written["picture"], 1280)
    assert page.evaluate(WRONG) == []
    page.close()


def test_the_measure_finds_what_is_wrong(browser, tmp_path):
    """A chart as pages once had it: 350 px wide, stretched over the page, its title longer than it is."""
    svg = (
        '<svg viewBox="0 0 350 90" style="width:100%"><text x="2" y="16" font-size="13">Validation bits per byte by '
        'multiple of the learning rates</text><text x="2" y="20" font-size="4">low</text></svg>'
    )
    path = tmp_path / "wrong.html"
    path.write_text(document("Wrong", svg), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(path.as_uri())
    found = " ".join(page.evaluate(WRONG))
    assert all(word in found for word in ("giant", "cut off", "'low' over"))
    page.close()
