import pytest

from lilliput.base.errors import ConfigError
from lilliput.evaluation.overlap import overlap


def runs(text, n):
    found = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}


def test_against_all_runs_of_words(shared_data):
    text = (shared_data / "tinystories" / "v1-train-head-2MiB.txt").read_text(encoding="utf-8")
    stories = text[:400_000].split("<|endoftext|>")
    training, items = stories[:200], stories[200:320]
    known = set().union(*(runs(story, 6) for story in training))
    found = overlap({"stories": items}, training, n=6)["stories"]
    assert found.found == sum(bool(runs(item, 6) & known) for item in items) > 0
    assert found.documents == 200
    assert all(example.count(" ") == 5 for example in found.examples)


def test_what_is_found_and_what_is_too_short():
    items = ["The cat, sat on the MAT.", "the cat sat", "a dog sat on the mat there"]
    sets = {"a": items, "b": ["nothing like it at all"]}
    found = overlap(sets, ["So the cat sat on the mat!", "x"], n=5)
    assert (found["a"].items, found["a"].short, found["a"].found) == (3, 1, 1)
    assert found["a"].as_dict()["share"] == 0.5
    assert found["b"].found == 0
    assert overlap({"a": ["one"]}, [], n=5)["a"].as_dict()["share"] is None
    with pytest.raises(ConfigError, match="at least 1"):
        overlap(sets, [], n=0)
