"""Names: what lists find, what a tagger is asked, and what stands in their place."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.document import Document
from lilliput.data.steps import tagging
from lilliput.data.steps.names import Names, by_lists, invented
from lilliput.data.steps.tagging import Span

pytest.importorskip("faker", reason="Faker, whose lists name people, is not installed")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yesterday Emily Johnson met Mr. Zyxel in France.", ["Emily Johnson", "Zyxel", "France"]),
        ("The Falcon Trading Company sells maps. New York's mayor came.", ["The Falcon Trading Company", "New York"]),
        ("Will you mark the page? May I? Grace is a virtue.", []),
        ("Grace Miller came, and so did Robert.", ["Grace Miller", "Robert"]),
        ("The Red Fox ran.", []),
    ],
)
def test_lists_find_names(text: str, expected: list[str]) -> None:
    assert [text[start:stop] for start, stop, _ in by_lists(text)] == expected


def test_names_are_replaced_alike() -> None:
    text = "Emily Johnson saw France. Later Emily Johnson slept."
    (tagged,) = Names().apply_all([Document(text, "1")])
    assert isinstance(tagged, Document)
    assert tagged.text == "[PERSON] saw [PLACE]. Later [PERSON] slept."
    (made,) = Names(instead="invented", details=("person",)).apply_all([Document(text, "1")])
    assert isinstance(made, Document)
    new = invented("person", "Emily Johnson")
    assert made.text == f"{new} saw France. Later {new} slept."
    assert len(new.split()) == 2
    assert invented("person", "Emily Johnson", "key") != new


def test_a_tagger_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(texts: Sequence[str]) -> list[list[Span]]:
        return [[(0, 3, "PER"), (4, 8, "product")] for _ in texts]

    monkeypatch.setattr(tagging, "_load", None)
    tagging.tagger.cache_clear()
    with pytest.raises(ConfigError, match=r"lilliput.prepare"):
        Names(by="run").apply(Document("Zyx ball", "1"))
    tagging.use_taggers(lambda run: find)
    tagging.tagger.cache_clear()
    made = Names(by="run").apply(Document("Zyx ball", "1"))
    tagging.tagger.cache_clear()
    assert isinstance(made, Document)
    assert made.text == "[PERSON] ball"


def test_fingerprints_name_the_content_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    first = json.dumps(Names(by=str(tmp_path)).fingerprint())
    (tmp_path / "model.safetensors").write_bytes(b"three")
    assert json.dumps(Names(by=str(tmp_path)).fingerprint()) != first
    with pytest.raises(DataError, match="holds no tagger"):
        Names(by="a-name").fingerprint()
