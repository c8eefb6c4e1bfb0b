"""Bands of losses: the file, the sentence, and how often an equal run is called unusual."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from lilliput.base.errors import ConfigError
from lilliput.runs.bands import (
    HIGHER,
    LOWER,
    USUAL,
    Bands,
    Place,
    between,
    decisive,
    format_bands,
    hash_of,
    last_place,
    read_bands,
    word,
)

RECIPE = {"train": {"steps": 100}}


def made(seeds: int = 5, **changes: Any) -> Bands:
    """A band from 1,000 to 4,000 tokens, 0.02 wide, that falls by 0.1 a point."""
    points = [
        {
            "progress": share / 4,
            "tokens": 1000 * share,
            "training": [1.5 - share / 10, 1.52 - share / 10],
            "validation": None if share == 1 else [1.6 - share / 10, 1.62 - share / 10],
        }
        for share in (1, 2, 3, 4)
    ]
    values = {
        "name": "story",
        "recipe": RECIPE,
        "recipe_sha256": hash_of(RECIPE),
        "texts": ["abc"],
        "seeds": list(range(seeds)),
        "training": "bits_per_byte",
        "validation": "val_bits_per_byte",
        "versions": {"lilliput": "0.1.0"},
        "points": points,
    }
    return Bands.model_validate(values | changes)


def words(place: Place | None) -> list[str]:
    assert place is not None
    return [row.word for row in place.rows]


def test_the_sentence_of_a_usual_run() -> None:
    place = made().place(2000, 0.5, 1.31, 1.41)
    assert place is not None
    expected = "train 1.300 to 1.320, validation 1.400 to 1.420 at this point in 5 runs: yours is as usual"
    assert place.text == expected
    assert place.as_dict()["text"] == expected
    kept = json.loads(json.dumps(place.as_dict()))
    assert (kept["runs"], kept["figures"][1]["label"], kept["figures"][1]["word"]) == (5, "validation", USUAL)
    assert [kept["figures"][1][key] for key in ("low", "high", "value")] == pytest.approx([1.4, 1.42, 1.41])


@pytest.mark.parametrize(
    ("training", "validation", "end"),
    [
        (1.9, 1.41, "yours is higher than usual (train 1.900)"),
        (1.31, 1.2, "yours is lower than usual (validation 1.200)"),
        (1.9, 1.9, "yours is higher than usual (train 1.900, validation 1.900)"),
        (1.0, 1.9, "yours is lower than usual (train 1.000) and higher than usual (validation 1.900)"),
    ],
)
def test_the_sentence_of_an_unusual_run(training: float, validation: float, end: str) -> None:
    place = made().place(2000, 0.5, training, validation)
    assert place is not None
    assert place.text.endswith(f" at this point in 5 runs: {end}")


def test_between_points_the_band_is_the_line_between_them() -> None:
    place = made().place(2500, 0.625, 1.26, None)
    assert place is not None
    assert place.text.startswith("train 1.250 to 1.270 at this point")
    assert words(made().place(2500, 0.625, 1.31, None)) == [HIGHER]  # which is usual at 2,000 tokens
    assert words(made().place(2500, 0.625, 1.2, None)) == [LOWER]


@pytest.mark.parametrize("tokens", [500, 990, 4010, 9000])
def test_outside_the_measured_points_there_is_no_band(tokens: int) -> None:
    assert made().place(tokens, tokens / 4000, 1.4, 1.4) is None


def test_a_clock_that_is_ahead_of_the_tokens_voids_the_band() -> None:
    assert made().follows(2000, 0.515)
    assert words(made().place(2000, 0.515, 1.31, 1.41)) == [USUAL, USUAL]
    assert not made().follows(2000, 0.53)
    assert made().place(2000, 0.53, 1.31, 1.41) is None
    assert not made().follows(9000, 1.0)


def test_a_figure_between_two_points_lies_on_the_line_between_them() -> None:
    curve = [(0, 3.0), (10, 2.0), (20, 0.0)]
    assert [between(curve, x) for x in (-5, 0, 5, 10, 15, 20, 30)] == [3.0, 3.0, 2.5, 2.0, 1.0, 0.0, 0.0]


def test_rounded_tokens_are_not_outside() -> None:
    assert words(made().place(4003, 1.00075, 1.11, 1.21)) == [USUAL, USUAL]


def test_a_figure_is_compared_only_where_it_was_measured() -> None:
    first = made().place(1000, 0.25, 1.41, 1.9)
    assert first is not None
    assert [row.label for row in first.rows] == ["train"]
    assert made().place(1000, 0.25, None, 1.9) is None
    assert made().place(2000, 0.5, None, None) is None


def test_few_runs_are_judged_with_more_slack() -> None:
    assert words(made(5).place(2000, 0.5, 1.329, 1.41)) == [USUAL, USUAL]  # 0.009 above: as the next run may well be
    assert words(made(5).place(2000, 0.5, 1.331, 1.41)) == [HIGHER, USUAL]
    assert words(made(2).place(2000, 0.5, 1.331, 1.41)) == [USUAL, USUAL]
    assert words(made(2).place(2000, 0.5, 1.289, 1.41)) == [USUAL, USUAL]
    assert words(made(5).place(2000, 0.5, 1.289, 1.41)) == [LOWER, USUAL]


@pytest.mark.parametrize("runs", [2, 3, 5, 10])
def test_about_one_equal_run_in_twenty_is_called_unusual(runs: int) -> None:
    rng, unusual, times = random.Random(runs), 0, 4000
    for _ in range(times):
        points = [[rng.gauss(0, 1) for _ in range(runs)] for _ in range(4)]
        width = sum(max(values) - min(values) for values in points) / 4
        low, high = min(points[0]), max(points[0])
        unusual += word(low, high, rng.gauss(0, 1), width, runs) != USUAL
    assert 0.03 < unusual / times < 0.09


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "story.bands.json"
    path.write_text(format_bands(made()))
    assert read_bands(path) == made()
    assert sum('"progress"' in line for line in path.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"recipe": {"train": {"steps": 200}}}, "recipe_sha256"),
        ({"seeds": [1, 1]}, "counts once"),
        ({"seeds": [1]}, "seeds"),
        ({"points": made().model_dump()["points"][::-1]}, "do not rise"),
        (
            {"points": [{"progress": p, "tokens": int(9 * p), "training": [2.0, 1.0]} for p in (0.5, 1.0)]},
            "above the greatest",
        ),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_file_that_was_edited_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    path = tmp_path / "story.bands.json"
    path.write_text(json.dumps(made().model_dump(mode="json") | changes))
    with pytest.raises(ConfigError, match=problem):
        read_bands(path)


def test_the_last_evaluation_of_a_run_is_placed() -> None:
    lines = [
        {"step": 0, "tokens": 0, "val_bits_per_byte": 3.0},
        {"step": 1, "tokens": 2000, "bits_per_byte": 1.31, "val_bits_per_byte": 1.41},
        {"step": 2, "tokens": 2500, "bits_per_byte": 9.9},
    ]
    assert words(last_place(made(), 0.5, lines)) == [USUAL, USUAL]
    assert last_place(made(), 0.5, lines[:1]) is None
    assert last_place(made(), 0.5, [{"step": 1, "tokens": 2000, "bits_per_byte": 1.31}]) is None


def test_a_key_that_is_not_named_decides() -> None:
    whole = {"name": "a", "train": {"threads": 1, "steps": 5, "later": 2}, "later": 3}
    assert decisive(whole) == {"train": {"steps": 5, "later": 2}, "later": 3}
