"""From what is typed after --data to sources."""

import gzip
import json

import pytest

from lilliput.base.errors import DataError
from lilliput.data.hub import Hub
from lilliput.data.infer import infer_sources
from lilliput.data.story import Stories


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.md.gz").write_bytes(gzip.compress(b"b"))
    (tmp_path / "c.jsonl").write_text('{"text": "c"}')
    (tmp_path / "d.csv").write_text("text\nd")
    (tmp_path / "e.log").write_text("e")
    return tmp_path


def brief(sources):
    return [(source.kind, *source.paths) for source in sources]


def test_a_folder_stays_a_folder_for_each_kind_it_holds(folder):
    assert brief(infer_sources([str(folder)])) == [("text", str(folder)), ("jsonl", str(folder)), ("csv", str(folder))]
    assert [len(list(source.documents())) for source in infer_sources([str(folder)])] == [2, 1, 1]


def test_files_by_suffix_through_compression_and_unknown_ones_as_text(folder):
    names = [str(folder / name) for name in ("a.txt", "b.md.gz", "e.log", "c.jsonl")]
    assert brief(infer_sources(names)) == [("text", *names[:3]), ("jsonl", names[3])]


def test_a_glob_of_one_kind_stays_and_of_several_is_listed(folder):
    assert brief(infer_sources([f"{folder}/*.txt"])) == [("text", f"{folder}/*.txt")]
    kinds = brief(infer_sources([f"{folder}/[ac].*"]))
    assert kinds == [("text", f"{folder}/a.txt"), ("jsonl", f"{folder}/c.jsonl")]


def test_json_is_a_list_of_stories_or_one_object_a_line(tmp_path):
    (tmp_path / "data00.json").write_text("\n [" + json.dumps({"story": "s"}) + "]")
    assert brief(infer_sources([str(tmp_path)])) == [("tinystories_json", str(tmp_path))]
    (tmp_path / "rows.json").write_text('{"text": "t"}\n{"text": "u"}')
    assert brief(infer_sources([str(tmp_path / "rows.json")])) == [("jsonl", str(tmp_path / "rows.json"))]
    both = infer_sources([str(tmp_path)])
    assert [[d.text for d in source.documents()] for source in both] == [["s"], ["t", "u"]]


def test_hub_names_presets_and_the_story_world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert infer_sources(["hf:some/set", "TinyStories", "story"]) == [
        Hub(name="some/set"),
        Hub(name="TinyStories"),
        Stories(),
    ]
    (tmp_path / "story").write_text("a file of this name comes first")
    assert brief(infer_sources(["story"])) == [("text", "story")]


@pytest.mark.parametrize(("paths", "message"), [([], "no data is named"), (["no.txt"], "no.txt does not exist")])
def test_nothing_to_read(paths, message):
    with pytest.raises(DataError, match=message):
        infer_sources(paths)


def test_real_folders(shared_data):
    kinds = {source.kind: source for source in infer_sources([str(shared_data / "prose")])}
    assert set(kinds) == {"text", "jsonl"}
    assert len(list(kinds["jsonl"].documents())) == 1002
