"""The kept table of named models is what the parts give."""

import pytest

from lilliput.model import listing
from lilliput.model.styles import STYLES


def test_the_kept_table_is_that_of_the_rows_and_parts() -> None:
    again = "it is old: python -m lilliput.model.listing"
    kept = listing.read_json(listing.FILE)
    assert kept["rows"] == listing.rows(), again
    assert kept["models"] == listing.compute(), again


def test_a_new_row_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STYLES, "mine", {**STYLES["story_1m"], "n_layers": 2})
    assert listing.listing()["mine"]["n_layers"] == 2
