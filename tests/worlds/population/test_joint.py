"""Aggregate tables, and the joint distribution that fits them."""

from pathlib import Path

import numpy as np
import pytest

from lilliput.base.errors import DataError
from lilliput.worlds.population.fit import fit_of
from lilliput.worlds.population.joint import fit_joint
from lilliput.worlds.population.marginals import TOWN, VARIABLES, Marginal, Marginals, band, read_marginals
from lilliput.worlds.population.people import draw_people


def a_marginal(
    name: str, variables: tuple[str, ...], categories: tuple[tuple[str, ...], ...], counts: object
) -> Marginal:
    return Marginal(name, variables, categories, np.array(counts, dtype=float))


SEX, PLACE = ("female", "male"), ("East", "West", "North")


def test_two_shares_make_the_product() -> None:
    """Without a table of both, the distribution of greatest entropy has independent variables."""
    tables = (a_marginal("sex", ("sex",), (SEX,), [60, 40]), a_marginal("place", ("place",), (PLACE,), [5, 3, 2]))
    joint = fit_joint(Marginals(tables))
    assert np.allclose(joint.shares, np.outer([0.6, 0.4], [0.5, 0.3, 0.2]))


def test_a_table_of_both_is_kept_whatever_the_order_of_its_variables() -> None:
    counts = np.array([[30, 10], [5, 25], [20, 10]])
    tables = (
        a_marginal("both", ("place", "sex"), (PLACE, SEX), counts),
        a_marginal("sex", ("sex",), (SEX,), counts.sum(0)),
    )
    joint = fit_joint(Marginals(tables))
    assert list(joint.marginals.categories) == ["sex", "place"]
    assert np.allclose(joint.shares, counts.T / counts.sum())


def test_the_town_fits_all_of_its_tables() -> None:
    joint = fit_joint(read_marginals())
    assert joint.error < 1e-8
    names = list(joint.marginals.categories)
    letters = dict(zip(names, "abcdefgh", strict=True))
    for table in joint.marginals.tables:
        summed = np.einsum(f"abcdefgh->{''.join(letters[name] for name in table.variables)}", joint.shares)
        assert np.abs(summed - table.shares).max() < 1e-8, table.name


def test_tables_that_contradict_each_other_are_named() -> None:
    tables = (
        a_marginal("one", ("sex",), (SEX,), [60, 40]),
        a_marginal("other", ("sex", "place"), (SEX, PLACE), [[1, 1, 1], [1, 1, 1]]),
    )
    both = Marginals(tables)
    assert both.differences()[0] == "sex 'female' is 50.0% of the people in other and 60.0% in one"
    assert fit_joint(both).error > 0.01
    gone = (
        a_marginal("none", ("sex", "place"), (SEX, PLACE), [[1, 0, 0], [0, 0, 0]]),
        a_marginal("men", ("sex",), (SEX,), [1, 1]),
    )
    with pytest.raises(DataError, match="men has people of male, whom the other tables rule out"):
        fit_joint(Marginals(gone))


def test_people_fit_the_tables_as_well_as_a_sample_can() -> None:
    marginals = read_marginals()
    people = draw_people(fit_joint(marginals), 1500, seed=3)
    found = fit_of(people, marginals)
    assert found["outside"] == 0
    for name, each in found["tables"].items():
        assert each["low"] <= each["error"] <= each["high"]
        assert each["error"] < 1.4 * each["perfect"], name
    inside = [c["low"] <= c["table"] <= c["high"] for each in found["categories"].values() for c in each.values()]
    assert sum(inside) / len(inside) > 0.85
    women = [person.model_copy(update={"sex": "female"}) for person in people]
    assert fit_of(women, marginals)["tables"]["age_sex"]["low"] > 0.4
    strange = [person.model_copy(update={"age": 7}) for person in people]
    assert fit_of(strange, marginals)["tables"]["age_sex"]["error"] == pytest.approx(1)


def test_a_person_depends_on_the_seed_and_the_number_alone() -> None:
    joint = fit_joint(read_marginals())
    few, many = draw_people(joint, 5, seed=1), draw_people(joint, 50, seed=1)
    without = [[each.model_copy(update={"friends": ()}) for each in people] for people in (few, many[:5])]
    assert without[0] == without[1]
    assert draw_people(joint, 5, seed=2) != few


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,sex\n18-24,female\n", "needs variables and a column people"),
        ("age,gender,people\n18-24,female,3\n", "unknown column 'gender'"),
        ("age,people\n18-24,-3\n", "counts '-3' people of 18-24"),
        ("age,people\n18-24,nan\n", "counts 'nan' people"),
        ("age,people\nyoung,3\n30-40,1\n", "'young' is no range of numbers"),
        ("age,people\n18-24,3\n20-30,1\n", "overlap"),
        ("age,people\n18-24,3\n18-24,1\n", "two rows of 18-24"),
        ("age,people\n18-24\n", "line 2 of"),
        ("age,people\n18-24,0\n", "counts nobody"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    for path in TOWN.glob("*.csv"):
        if not path.name.startswith("age_"):
            write(tmp_path, path.name, path.read_text())
    write(tmp_path, "age.csv", text)
    with pytest.raises(DataError) as error:
        read_marginals(tmp_path)
    assert message in str(error.value)


def test_a_variable_without_a_table_is_named(tmp_path: Path) -> None:
    write(tmp_path, "sex.csv", "sex,people\nfemale,1\nmale,1\n")
    with pytest.raises(DataError, match="do not mention age, education"):
        read_marginals(tmp_path)
    assert set(read_marginals().categories) == set(VARIABLES)


def test_ranges() -> None:
    assert (band("18-24"), band("80+"), band("5")) == ((18, 24), (80, 96), (5, 5))
    with pytest.raises(DataError):
        band("24-18")
