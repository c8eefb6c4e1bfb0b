"""Checks of a corpus: markers by year, the share of synthetic text, forms, and diversity."""

import json
import random
from pathlib import Path

import pytest

from lilliput.assembly.checking import check_corpus
from lilliput.base.errors import ConfigError, DataError
from lilliput.data.checks import check, form_of, named, synthetic_share, variety
from lilliput.storybook import story

MARKED = " They delve into a rich tapestry, and it is a testament to the vibrant fox."
PLAIN = [story(0, number).text for number in range(400)]


def write(path: Path, texts: list[str], **columns: str) -> str:
    path.write_text("\n".join(json.dumps({"text": text, **columns}) for text in texts))
    return str(path)


def test_markers_are_counted_by_year(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", PLAIN[:20], date="2019-03-01")
    new = write(tmp_path / "new.jsonl", [text + MARKED for text in PLAIN[20:40]], date="March 2024")
    found = check(named([old, new])).as_dict()
    assert found["year"]["rows"]["2019"]["markers_per_million"] == 0
    assert found["year"]["rows"]["2024"]["markers_per_million"] > 1000
    assert found["markers"]["delve"] == 20
    assert found["markers"]["rich tapestry"] == 20
    assert set(found["source"]["rows"]) == {"old.jsonl", "new.jsonl"}
    assert found["source"]["effective_number"] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 1.0])
def test_the_share_of_synthetic_text_is_found(share: float, tmp_path: Path) -> None:
    """The corpus has a known share of marked stories; the references are other stories."""
    rng = random.Random(1)
    marked = [text + MARKED for text in PLAIN]
    corpus = [marked[place] if rng.random() < share else PLAIN[place] for place in range(200)]
    files = [
        write(tmp_path / f"{number}.jsonl", texts) for number, texts in enumerate((corpus, PLAIN[200:], marked[200:]))
    ]
    corpus_check, people, models = (check(named([file])) for file in files)
    found = synthetic_share(corpus_check, people, models)
    assert found["share"] == pytest.approx(share, abs=0.1)
    assert found["low"] <= found["share"] <= found["high"]
    with pytest.raises(DataError, match="nothing"):
        synthetic_share(corpus_check, models, people)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("The fox ran. It was glad.", "prose"),
        ("- one\n- two\n- three", "list"),
        ("def f(x):\n    return x;\nimport os", "code"),
        ("a | b | c\n1 | 2 | 3", "table"),
        ("Tom: Hello.\nLily: Good day.", "dialogue"),
        ("Who is it?\nWhere is Tom?", "questions"),
        (" ", "empty"),
    ],
)
def test_forms(text: str, form: str) -> None:
    assert form_of(text) == form


def test_variety_orders_its_controls() -> None:
    """Copies are less diverse than stories of one world, and those than random words."""
    rng = random.Random(0)
    words = [f"w{rng.randrange(5000)}" for _ in range(20_000)]
    copies, stories, noise = (variety(texts) for texts in ([PLAIN[0]] * 100, PLAIN[:100], [" ".join(words)]))
    assert copies["once"] < stories["once"] < noise["once"]
    assert copies["packed"] > stories["packed"] > noise["packed"]


def test_overlap_and_missing_references(tmp_path: Path) -> None:
    data = write(tmp_path / "train.jsonl", PLAIN[:50])
    held = write(tmp_path / "held.jsonl", [PLAIN[3], "zyx " * 40])
    found = check_corpus([data], against=[held])
    assert (found["overlap"]["held.jsonl"]["found"], found["overlap"]["held.jsonl"]["items"]) == (1, 2)
    with pytest.raises(ConfigError, match="--people"):
        check_corpus([data], people=[held])
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(DataError):
        check_corpus([str(tmp_path / "none.jsonl")])
