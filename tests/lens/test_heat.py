"""Tables of coloured numbers and bars: legible in light and in dark, and as wide as the screen."""

import re
from pathlib import Path

import pytest

from lilliput.base import html
from lilliput.base.html import document, table
from lilliput.lens.bars import bars
from lilliput.lens.heat import STRONGEST, heat_table
from lilliput.lens.page import style
from tests.pages import WIDTHS, visit

CSS = (Path(html.__file__).parent / "page.css").read_text()


def colours(place: int) -> dict[str, list[float]]:
    """The colours of the light (0) or the dark (1) page, each red, green, blue from 0 to 1."""
    found = re.findall(r"--(\w+): #(\w{6});", CSS.split(":root {")[1 + place])
    return {name: [int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)] for name, code in found}


def contrast(one: list[float], other: list[float]) -> float:
    """The contrast of two colours (WCAG 2, relative luminance)."""

    def light(colour: list[float]) -> float:
        linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in colour]
        return sum(part * value for part, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) + 0.05

    low, high = sorted((light(one), light(other)))
    return high / low


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", ["s0", "s3"])
def test_a_number_is_legible_on_the_strongest_colour(place: int, name: str) -> None:
    known = colours(place)
    assert f"var(--{name}) {STRONGEST}%" in heat_table(["a"], ["b"], [[1.0 if name == "s0" else -1.0]])
    share = STRONGEST / 100
    mixed = [share * own + (1 - share) * paper for own, paper in zip(known[name], known["paper"], strict=True)]
    assert contrast(mixed, known["ink"]) > 4.5


@pytest.mark.parametrize("width", WIDTHS)
def test_bars_and_grids_fit_the_screen(browser, tmp_path: Path, width: int) -> None:
    figure = {"mean": 0.131, "low": 0.116, "high": 0.145}
    grid = heat_table(["0. <|begin_of_text|>", "1. There"], ["0", "1", "2", "3"], [[-1.23] * 4] * 2)
    drawn = bars([("head 2.0", figure, 0.02), ("MLP 3", figure, 0.01)])
    rows = table({f"without head {at}": dict.fromkeys("abcde", "-0.48 (-0.70 to -0.27)") for at in range(2)})
    wide = rows if width > 800 else ""
    path = tmp_path / "page.html"
    inner = f'{drawn}<div class="trio">{f"<div>{grid}</div>" * 3}</div>{wide}'
    path.write_text(document("fit", f'<section class="instrument">{inner}</section>', style()))
    shown = visit(browser, path, width)
    over = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth + 1).length"
    assert shown.evaluate(over) == 0
    if wide:
        heights = shown.evaluate(
            "[...document.querySelectorAll('.interval')].map((one) => one.getClientRects().length)"
        )
        assert heights == [1] * 10  # an interval is not broken over lines
    shown.close()
