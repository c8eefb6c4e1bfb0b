"""Hugging Face datasets, on a local stand-in and without a network."""

import gzip
import json
import sys

import pytest

from lilliput.base.errors import DataError, MissingExtra
from lilliput.data.hub import Hub, preset
from lilliput.data.known import KNOWN


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("datasets")
    rows = ['{"text": "one", "title": "a"}', '{"text": null, "title": "b"}', '{"text": "three", "title": "c"}']
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    return tmp_path


@pytest.fixture
def no_network(monkeypatch):
    """A hub that cannot be reached; counts how often it was tried."""
    import huggingface_hub

    tries = []

    def refuse(self, name, **_):
        tries.append(name)
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    return tries


def test_a_local_dataset_is_streamed(folder):
    source = Hub(name=str(folder), keep=("title",))
    documents = list(source.documents())
    assert [(document.text, document.meta["title"]) for document in documents] == [
        ("one", "a"),
        ("", "b"),
        ("three", "c"),
    ]
    assert documents[2].id == f"hf:{folder}/train:2"
    assert len(list(Hub(name=str(folder), max_documents=2).documents())) == 2


def test_the_fingerprint_of_a_local_dataset_is_of_its_content(folder):
    first = Hub(name=str(folder)).fingerprint()
    assert Hub(name=str(folder), max_documents=1).fingerprint() != first
    (folder / "train.jsonl").write_text('{"text": "other"}')
    assert Hub(name=str(folder)).fingerprint() != first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, r"Bad split: test. Available splits: \['train'\]"),
        ({"config": "small"}, "BuilderConfig 'small' not found"),
        ({"column": "story"}, "no column 'story'; the columns are: text, title"),
    ],
)
def test_what_a_dataset_does_not_have_is_named(folder, options, message):
    with pytest.raises(DataError, match=message):
        list(Hub(name=str(folder), **options).documents())


@pytest.mark.parametrize("use", [lambda source: source.fingerprint(), lambda source: list(source.documents())])
def test_offline_is_one_line_with_the_alternatives_and_no_retry(no_network, use):
    pytest.importorskip("datasets")
    with pytest.raises(DataError) as caught:
        use(Hub(name="TinyStories"))
    text = str(caught.value)
    assert "\n" not in text
    assert "roneneldan/TinyStories" in text
    for alternative in (".jsonl", ".parquet", "text files", "TinyStories_all_data", "'story'"):
        assert alternative in text
    assert no_network == ["roneneldan/TinyStories"]


def test_a_pinned_commit_needs_no_network_for_its_fingerprint(no_network):
    commit = "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64"
    pinned = Hub(name="roneneldan/TinyStories", revision=commit)
    assert pinned.fingerprint() == Hub(name="TinyStories", revision=commit).fingerprint()
    assert pinned.fingerprint() != Hub(name="TinyStories", revision="0" * 40).fingerprint()
    assert no_network == []


def test_a_name_that_cannot_be_one():
    # Refused by the client before it asks anybody.
    with pytest.raises(DataError, match="neither a folder nor a name"):
        Hub(name="no/such/folder").fingerprint()


def test_without_the_package_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"lilliput\[data\]"):
        list(Hub(name=str(folder)).documents())


@pytest.mark.parametrize(
    "name", ["TinyStories", "SimpleStories", "FineWeb-Edu", "fineweb_edu", "Wikipedia", "BookCorpus"]
)
def test_presets_are_found_however_they_are_spelled(name):
    assert preset(name) is not None


def test_a_preset_gives_config_and_column_unless_they_are_given():
    assert Hub(name="SimpleStories")._place().column == "story"
    assert Hub(name="wikipedia")._place().config == "20231101.simple"
    assert Hub(name="wikipedia", config="20231101.en")._place().config == "20231101.en"


LAYOUTS = {  # the files and further columns of each dataset on the hub
    "TinyStories": ("data/train-00000-of-00001.parquet", {}),
    "SimpleStories": ("data/train-00000-of-00001.parquet", {"topic": "fox"}),
    "FineWeb": ("data/train-00000.parquet", {"id": "<urn>", "dump": "CC-MAIN-2013-20", "url": "http://a"}),
    "FineWeb-Edu": ("data/train-00000.parquet", {"id": "<urn>", "score": 3.2, "int_score": 3}),
    "Wikipedia": ("20231101.simple/train-00000-of-00001.parquet", {"id": "1", "url": "http://a", "title": "Fox"}),
    "BookCorpus": ("data/train-00000-of-00001.parquet", {}),
    "C4": ("en/c4-train.00000-of-01024.json.gz", {"timestamp": "2019-04-25T12:57:54Z", "url": "http://a"}),
    "RefinedWeb": ("data/train-00000-of-05534.parquet", {"url": "http://a", "dump": "x", "segment": "y"}),
    "Pile": ("train/00.jsonl.zst", {"meta": {"pile_set_name": "Pile-CC"}}),
    "StarCoder": ("python/train-00000-of-00059.parquet", {"max_stars_repo_path": "a.py", "id": "1"}),
}


@pytest.mark.parametrize("known", [each for each in KNOWN if each.way == "hub"], ids=lambda each: each.name)
def test_each_known_dataset_is_read_from_its_layout(known, tmp_path):
    """A stand-in in the real layout: the place of the files, their format, and the columns beside the text."""
    pytest.importorskip("datasets")
    name, columns = LAYOUTS[known.name]
    (path := tmp_path / name).parent.mkdir(parents=True)
    rows = [{known.column: f"text {number}", **columns} for number in range(3)]
    lines = "\n".join(map(json.dumps, rows)).encode()
    if path.suffix == ".parquet":
        pytest.importorskip("polars").DataFrame(rows).write_parquet(path)
    else:
        packed = gzip.compress(lines) if path.suffix == ".gz" else pytest.importorskip("zstandard").compress(lines)
        path.write_bytes(packed)
    source = Hub(name=str(tmp_path), column=known.column)
    assert [document.text for document in source.documents()] == ["text 0", "text 1", "text 2"]
