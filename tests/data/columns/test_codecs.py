"""Codecs of columns: values come back, rare ones are not kept, and conditions leave the right codes."""

import numpy as np
import pytest

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.columns.categories import fit_categories
from lilliput.data.columns.dates import fit_dates, format_of
from lilliput.data.columns.numbers import PLACES, Digits, Quantiles, Values, fit_numbers

RNG = np.random.default_rng(0)


def there_and_back(codec, values):
    return codec.decode(codec.encode(values), RNG)


def test_categories_come_back_but_for_rare_ones() -> None:
    values = ["a"] * 20 + ["b"] * 10 + ["secret"] + [None] * 3
    codec = fit_categories(values, rare=5)
    assert codec.values == ("a", "b")
    assert "secret" not in codec.model_dump_json()
    assert there_and_back(codec, ["b", None, "a"]) == ["b", None, "a"]
    assert there_and_back(codec, ["secret"]) == [None]  # its code is never generated
    assert codec.missing == pytest.approx(3 / 34)
    assert codec.others == pytest.approx(1 / 34)


def test_a_category_without_missing_values_refuses_one() -> None:
    with pytest.raises(DataError, match="row 2 has no value"):
        fit_categories(["a"] * 9, rare=1).encode(["a", None])
    with pytest.raises(DataError, match="no value stands in 5 rows"):
        fit_categories(["a", "b"], rare=5)


def test_conditions_of_categories() -> None:
    codec = fit_categories(["a"] * 9 + ["b"] * 8 + ["c"] * 7 + [None], rare=2)
    (allowed,) = codec.allowed("a|c")
    assert [label for label, good in zip(codec.labels[0], allowed, strict=True) if good] == ["a", "c"]
    assert codec.allowed("")[0].tolist() == [True, False, False, False, False]
    assert codec.encode(["new"]).tolist() == [[4]]  # a value that is not known is no known one
    with pytest.raises(ConfigError, match="no value is 'd'"):
        codec.allowed("d")


def test_few_numbers_have_a_code_each_and_rare_ones_become_the_nearest() -> None:
    values = ["1"] * 20 + ["2.5"] * 20 + ["100"] * 20 + ["97"]
    codec = fit_numbers(values, decimals=1, codec="auto", rare=5)
    assert isinstance(codec, Values)
    assert there_and_back(codec, ["1", "2.5", "97", "-5"]) == ["1.0", "2.5", "100.0", "1.0"]
    (allowed,) = codec.allowed("2..99")
    assert allowed.tolist() == [False, True, False]


def test_many_numbers_have_ranges_that_keep_their_distribution() -> None:
    numbers = np.round(np.random.default_rng(1).lognormal(3, 1, 20_000), 2)
    values = [f"{number:.2f}" for number in numbers]
    codec = fit_numbers(values, decimals=2, codec="auto", rare=10)
    assert isinstance(codec, Quantiles)
    back = np.array([float(str(value)) for value in there_and_back(codec, values)])
    low, high = np.sort(numbers)[[9, -10]]
    assert back.min() >= low
    assert back.max() <= high  # no extreme value, which could name a person
    at = np.sort(numbers)
    distance = np.abs(np.searchsorted(np.sort(back), at, side="right") / len(at) - np.arange(1, len(at) + 1) / len(at))
    assert distance.max() < 0.004
    inner = (numbers > low) & (numbers < high)
    assert (
        np.abs(back - numbers)[inner] <= (np.diff([*codec.starts, codec.last + 1]).max() / 100 / PLACES + 0.01)
    ).all()


def test_a_heavy_number_has_a_range_of_its_own() -> None:
    numbers = [0] * 5000 + list(range(1, 5001))
    codec = fit_numbers([str(number) for number in numbers], 0, "quantiles", rare=10)
    assert there_and_back(codec, ["0"] * 50) == ["0"] * 50


def test_digits_come_back_with_their_sign() -> None:
    values = [f"{number / 100:.2f}" for number in range(-5000, 5000, 7)]
    codec = fit_numbers(values, 2, "digits", rare=2)
    assert isinstance(codec, Digits)
    assert there_and_back(codec, ["-12.34", "0.05", "49.99"]) == ["-12.34", "0.05", "49.99"]
    with pytest.raises(ConfigError, match="takes no range"):
        codec.allowed("1..2")


def test_missing_numbers_are_missing_in_all_parts() -> None:
    values = [*map(str, range(1000)), None, None]
    codec = fit_numbers(values, 0, "quantiles", rare=2)
    assert codec.encode([None]).tolist() == [[0, 0]]
    assert there_and_back(codec, [None]) == [None]
    with pytest.raises(DataError, match="holds another value"):
        codec.encode(["many"])
    for odd in ("nan", "inf", "12345678901234567890"):
        with pytest.raises(DataError, match="is no number that can be kept"):
            codec.encode([odd])


def test_dates_come_back_by_their_parts() -> None:
    values = [
        f"20{20 + number % 4}-{1 + number % 12:02d}-{1 + number % 28:02d} 08:{number % 60:02d}" for number in range(500)
    ]
    codec = fit_dates(values, "%Y-%m-%d %H:%M", rare=2)
    assert codec.years == (2020, 2021, 2022, 2023)
    assert there_and_back(codec, values[:50]) == values[:50]
    codes = codec.encode(["2021-02-01 00:00"])
    codes[0, 2] = 30  # a 31st of February is its last day
    assert codec.decode(codes, RNG) == ["2021-02-28 00:00"]
    assert codec.allowed("2021-01-01 00:00..2022-01-01 00:00")[0].tolist() == [False, True, True, False]
    with pytest.raises(ConfigError, match="is no date"):
        codec.allowed("soon")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("2024-05-06", "%Y-%m-%d"),
        ("31.12.2023", "%d.%m.%Y"),
        ("12/31/2023", "%m/%d/%Y"),
        ("31/12/2023", "%d/%m/%Y"),
        ("May", None),
    ],
)
def test_formats_of_dates_are_recognised(value: str, form: str | None) -> None:
    assert format_of([value]) == form
