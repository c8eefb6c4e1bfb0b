"""Windows: they cover the text and overlap, and their answers are merged."""

from hypothesis import given
from hypothesis import strategies as st

from lilliput.worlds.extraction.filling import Filled, Found, values_of
from lilliput.worlds.extraction.template import read_template
from lilliput.worlds.extraction.windows import cut_windows, merge


@given(st.lists(st.integers(1, 12), max_size=80), st.integers(1, 40))
def test_windows_cover_the_text_in_order(sizes: list[int], most: int) -> None:
    places = [(2 * number, 2 * number + 1) for number in range(len(sizes))]
    windows = cut_windows(places, sizes, most)
    covered: set[int] = set()
    for start, stop in windows:
        inside = [number for number, (a, b) in enumerate(places) if start <= a and b <= stop]
        assert sum(sizes[number] for number in inside) <= most or len(inside) == 1
        covered.update(inside)
    assert covered == set(range(len(sizes)))
    assert windows == sorted(windows)
    assert len(set(windows)) == len(windows)


def test_neighbours_share_a_quarter() -> None:
    places = [(number, number + 1) for number in range(100)]
    assert cut_windows(places, [1] * 100, 40) == [(0, 40), (30, 70), (60, 100)]
    assert cut_windows(places, [1] * 100, 100) == [(0, 100)]
    assert cut_windows([], [], 10) == []


def leaf(value: object, nats: float | None = -1.0, start: int | None = None) -> Found:
    return Found(value, None if start is None else (start, start + 1), nats)


def test_a_leaf_takes_the_most_probable_value() -> None:
    node = read_template({"a": "integer", "b": "integer"})
    answers: list[Filled] = [
        {"a": leaf(1, -3.0), "b": leaf(None, -0.1)},
        {"a": leaf(2, -0.5), "b": leaf(7, -9.0)},
        {"a": leaf(None, -0.01), "b": leaf(None, None)},
    ]
    assert values_of(merge(node, answers)) == {"a": 2, "b": 7}
    assert values_of(merge(node, answers[2:])) == {"a": None, "b": None}


def test_lists_are_united_in_the_order_of_the_text() -> None:
    node = read_template({"l": ["verbatim-string"], "o": [{"n": "verbatim-string", "age": "integer"}]})
    answers: list[Filled] = [
        {
            "l": [leaf("Bo", start=9), leaf("Ida", start=3)],
            "o": [{"n": leaf("Bo", start=9), "age": leaf(None)}],
        },
        {
            "l": [leaf("Ida", start=30), leaf("Ulf", start=40)],
            "o": [{"n": leaf("Ulf", start=40), "age": leaf(4)}, {"n": leaf("Bo", start=35), "age": leaf(3)}],
        },
    ]
    merged = values_of(merge(node, answers))
    assert merged["l"] == ["Ida", "Bo", "Ulf"]
    assert merged["o"] == [{"n": "Bo", "age": 3}, {"n": "Ulf", "age": 4}]  # the entry with more values stays


def test_a_single_answer_loses_its_duplicates() -> None:
    node = read_template({"l": ["verbatim-string"], "e": [["x", "y"]]})
    alone: Filled = {"l": [leaf("Bo", start=3), leaf("Bo", start=9)], "e": [leaf("y"), leaf("x"), leaf("y")]}
    assert values_of(merge(node, [alone])) == {"l": ["Bo"], "e": ["y", "x"]}
