import math
import re
import xml.etree.ElementTree as ET

import pytest

from lilliput.planning.chinchilla import CHINCHILLA, chosen_model
from lilliput.planning.isoflop import BUDGETS, curve, family, figure, page, picture, sizes
from lilliput.planning.tables import page as tables_page


def test_twenty_five_curves_over_the_stated_sizes():
    assert len(BUDGETS) == 25
    assert (BUDGETS[0], BUDGETS[-1]) == (1e17, 1e20)
    span = sizes(CHINCHILLA, BUDGETS, 5e7)
    points = curve(CHINCHILLA, BUDGETS[4], span)
    assert [points[0][0], points[-1][0]] == pytest.approx(span)
    chart = figure(CHINCHILLA, chosen_model(None, None, None))
    assert sum(not series.name for series in chart.series) == 25
    minima = next(series for series in chart.series if series.name)
    for (size, loss), budget in zip(minima.points, BUDGETS, strict=True):
        assert loss <= min(value for _, value in curve(CHINCHILLA, budget, span)) + 1e-12
        assert span[0] < size < span[1]


@pytest.mark.parametrize("flops", [1e12, 9.9e16, 1e17, 1e20, 2e20, 1e24, 3e26])
def test_the_family_of_curves_follows_the_budget(flops):
    budgets = family(flops)
    assert len(budgets) == 25
    assert budgets[0] <= flops <= budgets[-1]
    assert math.log10(budgets[-1] / budgets[0]) == pytest.approx(3)
    chart = figure(CHINCHILLA, chosen_model(flops, None, None))
    curves = [series.points for series in chart.series if not series.name]
    least = [min(loss for _, loss in points) for points in curves]
    assert least == sorted(least, reverse=True)
    (star,) = chart.marks
    assert least[-1] <= star.y * 1.001
    assert star.y <= least[0] * 1.001
    # every curve rises again on both sides of its best size
    assert all(points[0][1] > low < points[-1][1] for points, low in zip(curves, least, strict=True))


def test_the_page_begins_at_the_chosen_model_whatever_it_is():
    html = page(CHINCHILLA, chosen_model(1e24, 1e9, None))
    low, high, value = (
        float(text) for text in re.findall(r'id="size".*?min="(.*?)" max="(.*?)".*?value="(.*?)"', html)[0]
    )
    assert low <= value == 9 <= high
    assert 'type="checkbox">' in html
    assert 'type="checkbox" checked>' in page(CHINCHILLA, chosen_model(1e24, None, None))


def test_the_picture_is_xml_with_a_star_and_a_dashed_line():
    svg = picture(CHINCHILLA, chosen_model(None, None, None))
    root = ET.fromstring(svg)
    classes = [node.get("class") or "" for node in root.iter()]
    assert sum("star" in name for name in classes) == 1
    assert classes.count("level") == 1
    assert "47.9M parameters" in svg


def test_pages_load_nothing_and_run_only_their_own_script():
    for html in (page(CHINCHILLA, chosen_model(None, None, None)), tables_page()):
        assert not re.search(r"(src|href)=|https?://(?!www\.w3\.org)|@import|url\(", html)
        assert "default-src 'none'" in html
        assert "script-src 'sha256-" in html
        assert html.count("<script>") == 1
