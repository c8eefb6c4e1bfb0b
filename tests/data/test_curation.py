"""Curation: sides by hash, drops by reason, and data that cannot be split."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.errors import DataError
from lilliput.data.config import DataConfig
from lilliput.data.curation import Curation, inputs_key, place

from .conftest import sentences


def config(*paths, kind="text", **options):
    return DataConfig.model_validate({"sources": [{"kind": kind, "paths": [str(p)]} for p in paths], **options})


def sides(curation):
    return {item.document.text: item.split for item in curation}


def test_a_document_stays_on_its_side_whatever_else_is_there(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("\n\n".join(text.replace("\n", " ") for text in sentences(100)))
    second.write_text("\n\n".join(text.replace("\n", " ") for text in sentences(100, seed=1)))
    alone = sides(Curation(config(first)))
    assert {"train", "validation"} == set(alone.values())
    together = sides(Curation(config(second, first, mix_until="all")))
    assert together.items() >= alone.items()
    # Steps that change the text do not change its side, and neither do white space and composition.
    short = Curation(config(first, steps=[{"kind": "length", "min_words": 10}]))
    assert sides(short).items() <= alone.items()
    assert place("a  bé\n") == place("a be\u0301") != place("a bE")


def test_the_fraction_is_kept_on_average():
    positions = [place(text) for text in sentences(4000)]
    assert sum(position < 0.05 for position in positions) / 4000 == pytest.approx(0.05, abs=0.015)
    assert 0 <= min(positions) < max(positions) < 1


@given(st.text())
def test_every_text_has_a_place(text):
    assert 0 <= place(text) < 1


def test_drops_are_counted_by_reason_and_source(tmp_path):
    rows = [{"text": "one two three"}, {"text": ""}, {"text": None}, {"text": " \n"}, {"text": "one"}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    curation = Curation(config(path, kind="jsonl", steps=["normalise", {"kind": "length", "min_words": 2}]))
    assert [item.document.text for item in curation] == ["one two three"]
    assert curation.drops == {"fewer than 2 words": 4}
    assert curation.by_source == [{"documents": 1, "text_bytes": 13, "dropped": 4}]
    plain = Curation(config(path, kind="jsonl"))
    assert [item.size for item in plain] == [13, 3]
    assert plain.drops == {"empty": 3}


def test_max_documents_limits_what_is_read_of_the_mixture(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"{name} {n}" for n in range(50)))
    curation = Curation(config(tmp_path / "a.txt", tmp_path / "b.txt", max_documents=10))
    assert len(list(curation)) == 10
    assert [counts["documents"] for counts in curation.by_source] == [5, 5]


def test_half_a_surrogate_pair_is_an_error_or_replaced(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "smile \\ud83d! \\ud83d\\ude42"}')
    with pytest.raises(DataError, match=r"a.jsonl:1: half a surrogate pair at character 6"):
        list(Curation(config(path, kind="jsonl")))
    (item,) = Curation(config(path, kind="jsonl", errors="replace"))
    assert item.document.text == "smile \ufffd! 🙂"


PARAGRAPHS = "\n\n".join(f"This is paragraph {n} of the book. It has two sentences." for n in range(40))


def test_one_document_is_cut_between_paragraphs(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(PARAGRAPHS)
    curation = Curation(config(path, sources=[{"kind": "text", "paths": [str(path)], "separator": "whole_file"}]))
    train, validation = list(curation)
    curation.check()
    assert (train.split, validation.split) == ("train", "validation")
    assert f"{train.document.text}\n\n{validation.document.text}" == PARAGRAPHS
    assert validation.document.text.startswith("This is paragraph 36")
    assert "is cut: its last" in (curation.kept_back or "")


@pytest.mark.parametrize("text", ["One sentence here now. Another sentence there then.", "word " * 30])
def test_one_document_without_paragraphs_is_cut_between_sentences_or_words(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_text(text)
    train, validation = list(Curation(config(path)))
    assert f"{train.document.text} {validation.document.text}" == text.strip()


def test_a_document_too_short_to_cut_is_an_error_that_names_the_way_out(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("emma\nolivia\nava\n")
    curation = Curation(config(path))
    list(curation)
    with pytest.raises(
        DataError, match=r"(?s)only document is too short.*each file is one document.*\n.*'data.sources.0.separator="
    ):
        curation.check()


@pytest.mark.parametrize(("fraction", "lonely"), [(0.0001, "validation"), (0.9999, "train")])
def test_of_few_documents_one_goes_to_the_side_that_would_be_empty(tmp_path, fraction, lonely):
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join(f"number {n}" for n in range(8)))
    curation = Curation(config(path, validation_fraction=fraction))
    items = list(curation)
    curation.check()
    assert [item.document.text for item in items] == [f"number {n}" for n in range(8)]
    assert [item.split for item in items].count(lonely) == 1
    chosen = next(item for item in items if item.split == lonely)
    assert chosen.place == (min if lonely == "validation" else max)(item.place for item in items)
    assert chosen.document.id in (curation.kept_back or "")


def test_hashes_alone_decide_where_both_sides_have_documents(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join(f"number {n}" for n in range(200)))
    curation = Curation(config(path))
    assert all((item.split == "validation") == (item.place < 0.05) for item in curation)
    assert curation.kept_back is None


def test_no_documents_at_all_reports_what_was_dropped(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a b\n\nc d")
    curation = Curation(config(path, steps=[{"kind": "length", "min_words": 9}]))
    assert list(curation) == []
    with pytest.raises(DataError, match=r"no documents in text: .*\(dropped: 2 fewer than 9 words\)"):
        curation.check()


def test_no_validation_side_when_none_is_wanted(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("only one")
    curation = Curation(config(path, validation_fraction=0))
    assert [item.split for item in curation] == ["train"]
    curation.check()


@pytest.mark.parametrize(
    "change",
    [
        {"validation_fraction": 0.1},
        {"steps": []},
        {"errors": "replace"},
        {"max_documents": 3},
        {"mix_until": "first"},
    ],
)
def test_the_key_follows_every_option(tmp_path, change):
    path = tmp_path / "a.txt"
    path.write_text("a\n\nb")
    assert inputs_key(config(path, **change)) != inputs_key(config(path))
    assert inputs_key(config(path)) == inputs_key(config(path))
    assert inputs_key(config(path, packing="best_fit")) == inputs_key(config(path))


def test_a_profile_sees_its_own_source_alone(tmp_path):
    (tmp_path / "a.txt").write_text("Short one.\n\nShort one.\n\nAnother <b>line</b> here.")
    (tmp_path / "b.txt").write_text("Short one.\n\nA <b>bold</b> word.")
    sources = [
        {"kind": "text", "paths": [str(tmp_path / "a.txt")], "profile": "code"},
        {"kind": "text", "paths": [str(tmp_path / "b.txt")]},
    ]
    steps = [{"kind": "markup"}]
    curation = Curation(DataConfig.model_validate({"sources": sources, "steps": steps, "validation_fraction": 0}))
    assert sorted(item.document.text for item in curation) == ["A bold word.", "Short one."]
    assert curation.drops == {"fewer than 5 words": 3}
