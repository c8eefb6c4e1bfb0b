"""Where two lists differ."""

import doctest

from lilliput.base import differences
from lilliput.base.differences import apart, differing


def test_the_examples_hold():
    assert doctest.testmod(differences).failed == 0
    assert doctest.testmod(differences).attempted >= 2


def test_only_the_places_that_differ_are_shown():
    kinds = ["full"] * 80
    assert differing(kinds, [*kinds[:50], "window", *kinds[51:]], "types") == "types[50]: 'full', not 'window'"
    assert (
        differing([1], [1, 2, 3, 4, 5], "ids")
        == "ids[1]: nothing, not 2; ids[2]: nothing, not 3; ids[3]: nothing, not 4 and 1 more"
    )
    assert differing({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1, "c": 3}]}) == "a[0].c: 2, not 3"
    assert differing("abc", "abd", "name", "{} there, {} now") == "name: 'abc' there, 'abd' now"
    assert differing([None], [], "x") == "x[0]: None, not nothing"
    assert len(differing("x" * 999, "y" * 999)) < 200
    assert differing([1, {"a": ()}], [1, {"a": ()}]) == ""


def test_names_missing_and_unknown():
    assert apart(["a", "b"], ["c"]) == "2 missing (first a), 1 unknown (first c)"
    assert apart([], ["c"]) == "1 unknown (first c)"
