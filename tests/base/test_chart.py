import math
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.axis import log_ticks, nice_ticks
from lilliput.base.chart import Chart, Level, Mark, Series, thin_out
from lilliput.base.chart_text import Box

SVG = "{http://www.w3.org/2000/svg}"
numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 4, 4, [0, 1, 2, 3, 4]),
        (0.71, 3.3, 5, [0, 1, 2, 3, 4]),
        (0, 0.0017, 4, [0, 0.0005, 0.001, 0.0015, 0.002]),
        (0, 4.9e6, 5, [0, 1e6, 2e6, 3e6, 4e6, 5e6]),
    ],
)
def test_ticks_are_round_and_cover_the_range(low, high, count, expected):
    assert nice_ticks(low, high, count) == pytest.approx(expected)


def test_ticks_of_time_follow_the_clock():
    assert nice_ticks(0, 144, 5, steps=(1, 15, 30, 60)) == [0, 30, 60, 90, 120, 150]


@given(st.floats(-1e9, 1e9, allow_nan=False), st.floats(1e-6, 1e9, allow_nan=False), st.integers(1, 12))
def test_ticks_rise_cover_the_range_and_are_few(low, span, count):
    ticks = nice_ticks(low, low + span, count)
    slack = 1e-5 * max(abs(low), span)
    assert ticks == sorted(ticks)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + span - slack
    assert len(ticks) <= count + 3  # a span that is a hair longer than a step may touch four


def test_log_ticks_are_decades_when_there_are_many():
    assert log_ticks(1, 1e6, 4) == [1, 10, 100, 1e3, 1e4, 1e5, 1e6]
    assert log_ticks(1, 8, 5) == [1, 2, 5]
    assert log_ticks(224, 493, 5) == [300, 400]  # no two of 1, 2, 5 x 10^k


def test_what_hardly_changes_looks_flat_on_a_logarithmic_axis():
    chart = Chart("memory", [Series("", [(1, 940.0), (10, 950.0)])], log_x=True, log_y=True)
    (line,) = [node for node in ET.fromstring(chart.svg()).iter(f"{SVG}path") if "line" in node.get("class", "")]
    first, last = (float(point.partition(",")[2]) for point in line.get("d", "").replace("L", "").split(" "))
    assert 0 < first - last < 10  # pixels


def test_a_long_series_is_thinned_to_means_in_order():
    points = [(float(i), float(i % 2)) for i in range(1000)]
    thinned = thin_out(points, 100)
    assert len(thinned) == 100
    assert all(y == 0.5 for _, y in thinned)
    assert [x for x, _ in thinned] == sorted(x for x, _ in thinned)


def test_levels_marks_legend_and_labels_are_drawn():
    chart = Chart(
        "Loss",
        [Series("train", [(0, 3), (10, 1)]), Series("validation", [(0, 3), (10, 1.2)], 1, dots=True)],
        x_label="steps",
        levels=[Level("trigram", 2.5)],
        marks=[Mark(10, 1.2, "1", "the end")],
    )
    found = texts(chart.svg())
    assert {"Loss", "train", "validation", "steps", "trigram 2.5", "1"} <= set(found)
    assert chart.svg().count("<circle") == 3


def test_names_of_close_levels_do_not_overlap():
    levels = [Level("a", 1.00), Level("b", 1.01), Level("c", 1.02)]
    root = ET.fromstring(Chart("", [Series("s", [(0, 0), (1, 3)])], levels=levels).svg())
    rows = sorted(float(n.attrib["y"]) for n in root.iter(f"{SVG}text") if n.attrib.get("class") == "halo")
    assert len(rows) == 3
    assert all(b - a >= 13.9 for a, b in pairwise(rows))


def test_a_log_axis_leaves_out_what_it_cannot_show():
    svg = Chart("", [Series("s", [(0, 1), (1, 1), (1000, 2)])], log_x=True).svg()
    path = next(ET.fromstring(svg).iter(f"{SVG}path")).attrib["d"]
    assert path.count(",") == 2


@given(
    st.lists(st.tuples(numbers, numbers), max_size=30),
    st.lists(st.tuples(st.text(max_size=8), numbers), max_size=4),
    st.booleans(), st.booleans(), st.booleans(), st.text(max_size=20),
)  # fmt: skip
def test_any_numbers_and_any_text_give_well_formed_svg_with_finite_places(points, levels, log_x, log_y, time_x, name):
    chart = Chart(
        name,
        [Series(name, points, dots=True), Series("other", points[:1])],
        levels=[Level(label, value) for label, value in levels],
        marks=[Mark(x, y, name) for x, y in points[:2]],
        log_x=log_x, log_y=log_y, time_x=time_x,
    )  # fmt: skip
    root = ET.fromstring(chart.svg())
    for node in root.iter():
        for key in ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy"):
            assert math.isfinite(float(node.attrib.get(key, 0)))


def test_a_line_that_runs_through_a_box_is_noticed():
    box = Box(10, 10, 20, 20)
    assert box.crossed((0, 15), (30, 15))
    assert box.crossed((30, 0), (0, 30))
    assert box.crossed((15, 0), (15, 30))
    assert not box.crossed((0, 25), (30, 21))
    assert not box.crossed((0, 0), (9, 30))
    assert not box.crossed((15, 21), (15, 30))


def test_a_level_is_named_where_no_curve_runs_through_its_name():
    falling = [Series("loss", [(0, 3.0), (1, 1.5), (9, 1.1)])]
    for curves, anchor in ((falling, "start"), ([Series("loss", [(0, 3.0), (9, 2.5)])], "end")):
        root = ET.fromstring(Chart("", curves, levels=[Level("bigram", 1.0)]).svg())
        (name,) = (node for node in root.iter() if node.text == "bigram 1")
        assert name.attrib["text-anchor"] == anchor


def test_an_axis_without_a_tick_is_drawn():
    chart = Chart("", [], levels=[Level("low", 4.722452435761167e-301)], log_y=True)
    assert "low" in chart.svg()
