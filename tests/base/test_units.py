"""Sizes and times as people write them."""

import pytest

from lilliput.base import units
from lilliput.base.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("117m", 117e6),
        ("117M", 117e6),
        ("117e6", 117e6),
        ("1.5b", 1.5e9),
        ("15T", 15e12),
        (" 800 k ", 8e5),
        ("1_000", 1000),
        (".5k", 500),
        ("4.35k", 4350),
        ("5", 5),
    ],
)
def test_a_count_takes_units_and_exponents(text: str, number: float) -> None:
    assert units.count(text) == number


@pytest.mark.parametrize(
    "text", ["", "117x", "m", "0", "0m", "-5", "nan", "inf", "1e400", "1e999999999", "1..2", "5 m b"]
)
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a number of parameters"):
        units.count(text)


def test_a_whole_number_has_no_fraction_and_a_least_value() -> None:
    assert (units.whole("1.5k"), units.whole("8e3"), units.whole("20000000")) == (1500, 8000, 20_000_000)
    for text, least in (("2.5", 1), ("3", 4), ("0", 1), ("0.0015k", 1)):
        with pytest.raises(ConfigError, match="whole number"):
            units.whole(text, least=least)


@pytest.mark.parametrize(("text", "number"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1.5d", 129_600), ("7", 7)])
def test_a_length_of_time(text: str, number: float) -> None:
    assert units.seconds(text) == number


@pytest.mark.parametrize("text", ["", "10 minutes", "0s", "-5m"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a length of time"):
        units.seconds(text)
