import re
import xml.etree.ElementTree as ET

from lilliput.plan.chinchilla import CHINCHILLA, chosen_model
from lilliput.plan.isoflop import BUDGETS, SIZES, curve, figure, page, picture
from lilliput.plan.tables import page as tables_page


def test_twenty_five_curves_over_the_stated_sizes():
    assert len(BUDGETS) == 25
    assert (BUDGETS[0], BUDGETS[-1]) == (1e17, 1e20)
    points = curve(CHINCHILLA, BUDGETS[4])
    assert (round(points[0][0]), round(points[-1][0])) == SIZES
    chart = figure(CHINCHILLA, chosen_model(None, None, None))
    assert sum(not series.name for series in chart.series) == 25
    minima = next(series for series in chart.series if series.name)
    for (size, loss), budget in zip(minima.points, BUDGETS, strict=True):
        assert loss <= min(value for _, value in curve(CHINCHILLA, budget)) + 1e-12
        assert 1e6 < size < 5e9


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
