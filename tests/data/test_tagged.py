"""Tagged words: CoNLL files, rows of words and tags, roles in stories; texts that are split into words."""

import gzip
import json
from pathlib import Path

import pytest

from lilliput.base.config import read_yaml
from lilliput.base.errors import DataError
from lilliput.base.shipped import shipped
from lilliput.data.conll import Conll
from lilliput.data.infer import infer_sources
from lilliput.data.split_words import WORDS
from lilliput.data.story_roles import ROLES, StoryRoles, tags
from lilliput.data.tables import Jsonl
from lilliput.storybook import story

WNUT = Path(__file__).resolve().parents[3] / "shared" / "data" / "tables" / "wnut17.train.conll.gz"


def test_a_conll_file_holds_a_sentence_between_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("-DOCSTART- -X- O O\n\nEU NNP B-ORG\nrejects VBZ O\n\n\na b\tB-x\n c \tO\n")
    (source,) = infer_sources([str(path)])
    assert source.kind == "conll"
    first, second = source.documents()
    assert first.example is not None
    assert dict(first.example.row) == {"text": "EU rejects", "words": ["EU", "rejects"], "tags": ["B-ORG", "O"]}
    assert (first.kind, first.id, first.text) == ("tagged", f"{path}#0", "EU rejects")
    assert second.example is not None
    assert second.example.row["words"] == ["a b", "c"]
    path.write_text("EU\n")
    with pytest.raises(DataError, match=r"a\.conll:1 is 'EU', and a line holds a word and its tag"):
        list(source.documents())


def test_wnut_is_read() -> None:
    if not WNUT.exists():
        pytest.skip("the file of WNUT-17 is not here")
    documents = list(Conll(paths=(str(WNUT),)).documents())
    assert len(documents) == 3394
    rows = [document.example.row for document in documents if document.example]
    with gzip.open(WNUT, "rt") as file:
        assert sum(len(row["words"]) for row in rows) == sum(1 for line in file if line.strip())


@pytest.mark.parametrize("columns", [("words", "tags"), ("tokens", "ner_tags")])
def test_a_row_holds_a_list_of_words_and_a_list_of_tags(tmp_path: Path, columns: tuple[str, str]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(dict(zip(columns, (["the", "cat"], [0, "B-pet"]), strict=True), id=3)))
    (document,) = Jsonl(paths=(str(path),)).documents()
    assert document.example is not None
    assert document.example.kind == "tagged"
    assert dict(document.example.row) == {"text": "the cat", "words": ["the", "cat"], "tags": [0, "B-pet"]}
    assert document.example.mapped(str.upper).row["words"] == ["THE", "CAT"]
    assert document.example.mapped(str.upper).text == "THE CAT"


@pytest.mark.parametrize(
    ("words", "its_tags", "problem"),
    [
        (["a"], ["O", "O"], "1 words and 2 tags"),
        ("a", ["O"], "no list of texts"),
        ([], [], "no list of texts"),
        (["a"], [None], "no list of names"),
    ],
)
def test_lists_that_do_not_fit_are_named(tmp_path: Path, words: object, its_tags: object, problem: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"words": words, "tags": its_tags}))
    with pytest.raises(DataError, match=problem):
        list(Jsonl(paths=(str(path),)).documents())


def test_roles_are_those_of_the_plan() -> None:
    documents = list(StoryRoles(stories=30, seed=2).documents())
    for number, document in enumerate(documents):
        made = story(2, number)
        assert document.example is not None
        row = document.example.row
        assert row["words"] == WORDS.findall(made.text)
        tagged = {tag[2:] for tag in row["tags"] if tag != "O"}
        assert tagged == {who.role for who in made.plan.characters if who.role in ROLES}
    assert StoryRoles().fingerprint() != StoryRoles(stories=5).fingerprint()
    assert StoryRoles().fingerprint()[:12] in StoryRoles().describe()
    assert tags(["Aunt", "Nell", "Nell"], {("Aunt", "Nell"): "elder"}) == ["B-elder", "I-elder", "O"]
    assert tuple(read_yaml(shipped()["tag"])["objective"]["labels"]) == ROLES


def test_a_text_is_split_as_files_of_tagged_words_are() -> None:
    text = "@ann's well-known cat (Tom) saw https://a.b/c?d, #1 e.g. 3.5!"
    assert WORDS.findall(text) == [
        *("@ann", "'s", "well-known", "cat", "(", "Tom", ")", "saw", "https://a.b/c?d,", "#1", "e.g", ".", "3.5", "!")
    ]
