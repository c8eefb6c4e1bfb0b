"""Preparing data: once, into a cache that is found by content and never trusted when damaged."""

import gc
import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from lilliput.base.cache import cache_folder
from lilliput.base.cache_use import claim
from lilliput.base.errors import DataError
from lilliput.base.files import sha256
from lilliput.data import dataset as module
from lilliput.data.config import DataConfig, TokenizerConfig
from lilliput.data.curation import SPLITS
from lilliput.data.dataset import Dataset, prepare, train_tokenizer
from lilliput.data.rows import Encoded
from lilliput.data.source import Errors
from lilliput.data.text import Text
from lilliput.data.tokenizer import Tokenizer

from .conftest import encode, sentences


def made(dataset):
    return not any("found in the cache" in note for note in dataset.notes)


def texts_of(dataset, name):
    split = dataset.split(name)
    return [dataset.tokenizer.decode(split.document(number).tolist()) for number in range(split.documents)]


def test_every_document_is_there_with_both_bounds(corpus, prepared):
    dataset = prepared(corpus)
    assert sorted(texts_of(dataset, "train") + texts_of(dataset, "validation")) == sorted(sentences(200))
    tokenizer = dataset.tokenizer
    for name in ("train", "validation"):
        split = dataset.split(name)
        assert split.text_bytes == sum(len(text.encode()) for text in texts_of(dataset, name))
        for number in range(split.documents):
            ids = split.document(number)
            assert (ids[0], ids[-1]) == (tokenizer.bos_id, tokenizer.eos_id)
    assert dataset.split("train").document_id(0) == f"{corpus}#0"


def test_each_split_is_encoded_as_it_needs_in_the_order_of_its_documents(corpus, monkeypatch):
    config = DataConfig.model_validate({"sources": [{"kind": "text", "paths": [str(corpus)]}]})

    def doubled(documents, tokenizer):
        assert documents, "an encoder gets no empty list"
        return [Encoded([*row.ids, *row.ids]) for row in encode(documents, tokenizer)]

    def both(view_key, held_out):
        made = prepare(
            config, TokenizerConfig(vocab_size=300), doubled, str, view_key, seed=1, encode_held_out=held_out
        )
        return {
            name: [made.split(name).document(n).tolist() for n in range(made.split(name).documents)] for name in SPLITS
        }

    plain, same = both("held out", encode), both("all", None)
    assert plain["train"] == same["train"]
    assert [ids * 2 for ids in plain["validation"]] == same["validation"]
    assert min(map(len, plain.values())) > 3
    monkeypatch.setattr(module, "BATCH_DOCUMENTS", 3)
    assert both("small batches", encode) == plain


def test_the_manifest_lists_what_is_there(corpus, prepared):
    dataset = prepared(corpus, steps=["normalise", {"kind": "length", "min_words": 12}])
    manifest = json.loads((dataset.folder / "manifest.json").read_text())
    assert manifest == {**dataset.manifest, "content_sha256": manifest["content_sha256"]}
    assert (manifest["dtype"], manifest["vocab_size"]) == ("uint16", 300)
    assert manifest["tokenizer"]["sha256"] == dataset.tokenizer.sha256 == Tokenizer.load(dataset.folder).sha256
    assert manifest["drops"]["fewer than 12 words"] == manifest["sources"][0]["dropped"] > 0
    kept = sum(manifest["splits"][name]["documents"] for name in ("train", "validation"))
    assert manifest["sources"][0]["documents"] == kept == 200 - manifest["sources"][0]["dropped"]
    for split in manifest["splits"].values():
        for shard in split["shards"]:
            for name, facts in shard["files"].items():
                assert facts == {
                    "bytes": (dataset.folder / name).stat().st_size,
                    "sha256": sha256(dataset.folder / name),
                }


def test_the_cache_is_found_by_content(corpus, prepared, tmp_path):
    first = prepared(corpus)
    assert made(first)
    again = prepared(corpus)
    assert not made(again)
    assert again.folder == first.folder
    os.utime(corpus)  # a new date is not a new content
    assert not made(prepared(corpus))
    elsewhere = tmp_path / "moved" / corpus.name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(corpus.read_bytes())
    assert not made(prepared(elsewhere))
    corpus.write_text(corpus.read_text().replace("Lily", "Mila", 1))
    assert made(prepared(corpus))


@pytest.mark.parametrize(
    "change",
    [
        {"vocab_size": 301},
        {"view_key": "reversed"},
        {"validation_fraction": 0.1},
        {"steps": []},
        {"shard_tokens": 1000},
    ],
)
def test_every_option_that_changes_tokens_makes_new_ones(corpus, prepared, change):
    first = prepared(corpus)
    other = prepared(corpus, **change)
    assert made(other)
    assert other.folder != first.folder
    assert not made(prepared(corpus, packing="best_fit"))


def test_a_new_format_makes_new_tokens(corpus, prepared, monkeypatch):
    prepared(corpus)
    monkeypatch.setattr(module, "FORMAT", 99)
    assert made(prepared(corpus))


@pytest.mark.parametrize(
    "name", ["train-00000.ds", "train-00000.ds.index", "manifest.json", "tokenizer.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize("damage", ["flip", "empty", "remove"])
def test_a_damaged_cache_is_made_again_and_reported(corpus, prepared, name, damage):
    first = prepared(corpus)
    before = first.split("train").stream[:]
    path = first.folder / name
    data = bytearray(path.read_bytes())
    data[3] ^= 255
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flip" else b"")
    again = prepared(corpus)
    assert any("damaged and are made again" in note for note in again.notes)
    assert np.array_equal(again.split("train").stream[:], before)
    assert not made(prepared(corpus))
    assert not list(first.folder.parent.glob("*.tmp"))


def test_a_byte_count_that_changed_is_seen(corpus, prepared):
    first = prepared(corpus)
    size = first.split("validation").text_bytes
    path = first.folder / "manifest.json"
    path.write_text(path.read_text().replace(f'"text_bytes": {size}', f'"text_bytes": {size - 1}'))
    again = prepared(corpus)
    assert any("damaged and are made again: manifest.json cannot be used" in note for note in again.notes)
    assert again.split("validation").text_bytes == size


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "manifest.json"])
def test_every_file_of_the_kept_tokenizer_is_covered(corpus, prepared, name):
    first = prepared(corpus)
    (path,) = (cache_folder() / "tokenizers").glob(f"*/{name}")
    path.write_text(path.read_text().replace("<", "[", 1).replace(": ", ":  0", 1))
    again = prepared(corpus)
    assert any("tokenizer in the cache was damaged" in note for note in again.notes)
    assert again.tokenizer.sha256 == first.tokenizer.sha256
    assert not made(prepared(corpus))


def test_a_damaged_tokenizer_is_trained_again_and_reported(corpus, prepared):
    first = prepared(corpus)
    (path,) = (cache_folder() / "tokenizers").glob("*/tokenizer.json")
    path.write_text(path.read_text().replace('"Lily"', '"Lili"').replace('"the"', '"hte"') + " ")
    again = prepared(corpus)
    assert any("tokenizer in the cache was damaged" in note for note in again.notes)
    assert again.tokenizer.sha256 == first.tokenizer.sha256


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners and modes of POSIX")
@pytest.mark.parametrize("kind", ["tokens", "tokenizers"])
def test_what_others_could_have_written_is_made_again(corpus, prepared, kind):
    first = prepared(corpus)
    (path,) = (cache_folder() / kind).glob("*/manifest.json")
    path.parent.chmod(0o755)
    path.chmod(0o666)
    again = prepared(corpus)
    assert any(f"{path} can be written by other users" in note for note in again.notes)
    assert again.tokenizer.sha256 == first.tokenizer.sha256
    assert not path.stat().st_mode & 0o022
    assert not made(prepared(corpus))


def test_prepared_tokens_are_in_use_for_as_long_as_their_dataset_lives(corpus, prepared):
    for dataset in (prepared(corpus), prepared(corpus)):  # made, and found
        assert claim(dataset.folder) is None
        del dataset
    folder = next((cache_folder() / "tokens").iterdir())
    gc.collect()
    claimed = claim(folder)
    assert claimed is not None


def test_what_a_killed_process_left_is_cleared_away(corpus, prepared):
    first = prepared(corpus)
    left = first.folder.with_name(f"{first.folder.name}.new.tmp")
    first.folder.rename(left)
    (left / "manifest.json").write_text("{")
    assert made(prepared(corpus))
    assert not left.exists()


def test_a_failure_leaves_nothing_behind(corpus, prepared):
    def broken(documents, tokenizer):
        raise DataError("no")

    with pytest.raises(DataError, match="no"):
        prepared(corpus, encode=broken)
    assert list((cache_folder() / "tokens").iterdir()) == []
    assert made(prepared(corpus))


def test_a_cache_that_cannot_be_written_is_reported_with_the_way_out(corpus, prepared, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot write the cache in .*\n.*LILLIPUT_CACHE"):
        prepared(corpus)


def test_a_full_disk_is_reported_and_leaves_nothing(corpus, prepared, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.ShardWriter, "add", full)
    with pytest.raises(DataError, match=r"No space left on device\n.*free some space"):
        prepared(corpus)
    assert list((cache_folder() / "tokens").iterdir()) == []


def _prepare_in_a_process(path, queue):
    config = DataConfig.model_validate({"sources": [{"kind": "text", "paths": [path]}]})
    dataset = prepare(config, TokenizerConfig(vocab_size=300), encode, str, "causal", seed=1)
    queue.put((made(dataset), sha256(dataset.folder / "train-00000.ds")))


def test_two_processes_at_once_make_it_once(corpus):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_prepare_in_a_process, args=(str(corpus), queue)) for _ in range(2)]
    for process in processes:
        process.start()
    results = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(first for first, _ in results) == [False, True]
    assert len({content for _, content in results}) == 1


def test_documents_stay_on_their_side_when_data_is_added(corpus, prepared, tmp_path):
    before = prepared(corpus)
    more = tmp_path / "more.txt"
    more.write_text("\n<|endoftext|>\n".join(sentences(100, seed=9)))
    config = DataConfig(sources=(Text(paths=(str(more), str(corpus))),))
    after = prepare(config, TokenizerConfig(vocab_size=300), encode, str, "causal", seed=1)
    for name in ("train", "validation"):
        assert set(texts_of(before, name)) <= set(texts_of(after, name))


def test_the_sample_of_the_tokenizer_is_training_text_from_the_start(corpus, prepared):
    seen = []
    config = DataConfig.model_validate({"sources": [{"kind": "text", "paths": [str(corpus)]}]})

    def view(text):
        seen.append(text)
        return text

    options = TokenizerConfig(vocab_size=280, sample_bytes=3000)
    dataset = prepare(config, options, encode, view, "causal", seed=1)
    train = texts_of(dataset, "train")
    assert seen == train[: len(seen)]
    assert 3000 <= sum(len(text.encode()) for text in seen) < 3500
    # All documents are encoded all the same, those of the sample once.
    assert len(train) + len(texts_of(dataset, "validation")) == 200


def test_sources_are_read_once(corpus, prepared, monkeypatch):
    reads = []
    original = Text.documents

    def counting(self, errors: Errors = "strict"):
        reads.append(1)
        return original(self, errors)

    monkeypatch.setattr(Text, "documents", counting)
    prepared(corpus)
    assert reads == [1]
    prepared(corpus)
    assert reads == [1]


def test_the_tokenizer_sees_the_view_and_the_encoder_what_it_will(corpus, prepared):
    dataset = prepare(
        DataConfig.model_validate({"sources": [{"kind": "text", "paths": [str(corpus)]}]}),
        TokenizerConfig(vocab_size=300),
        lambda documents, tokenizer: [Encoded([0, *tokenizer.encode(d.text[::-1]), 1]) for d in documents],
        lambda text: text[::-1],
        "mirrored",
        seed=1,
    )
    assert sorted(text[::-1] for text in texts_of(dataset, "train") + texts_of(dataset, "validation")) == sorted(
        sentences(200)
    )
    assert dataset.tokenizer.sha256 != prepared(corpus).tokenizer.sha256


def test_documents_that_an_objective_makes_nothing_of_are_counted(corpus, prepared):
    def only_lily(documents, tokenizer):
        return [
            row if "Lily" in d.text else Encoded([])
            for d, row in zip(documents, encode(documents, tokenizer), strict=True)
        ]

    dataset = prepared(corpus, encode=only_lily)
    texts = texts_of(dataset, "train") + texts_of(dataset, "validation")
    assert sorted(texts) == sorted(text for text in sentences(200) if "Lily" in text)
    assert dataset.manifest["drops"] == {"no tokens": 200 - len(texts)}


def test_a_given_tokenizer_is_used_and_its_content_is_in_the_key(corpus, tokenizers, tmp_path):
    config = DataConfig.model_validate({"sources": [{"kind": "text", "paths": [str(corpus)]}]})
    tokenizers["sentencepiece"].save(tmp_path / "tok")

    def run():
        return prepare(config, TokenizerConfig(path=str(tmp_path / "tok")), encode, str, "causal", seed=1)

    dataset = run()
    assert dataset.tokenizer.sha256 == tokenizers["sentencepiece"].sha256
    assert dataset.manifest["vocab_size"] == 350
    assert not made(run())
    tokenizers["bpe"].save(tmp_path / "tok")
    assert made(run())


def test_progress_and_notes(corpus):
    steps, lines = [], []
    config = DataConfig.model_validate({"sources": [{"kind": "text", "paths": [str(corpus)]}]})
    options = TokenizerConfig(vocab_size=300)
    prepare(
        config, options, encode, str, "causal", 1, progress=lambda *counts: steps.append(counts), notify=lines.append
    )
    size = sum(len(text.encode()) for text in sentences(200))
    assert steps[-1] == (200, size)
    assert steps == sorted(steps)
    assert "split on '<|endoftext|>'" in lines[0]
    assert lines[-1].startswith("train: ")


def test_one_document_is_refused_before_a_tokenizer_is_trained(tmp_path, prepared):
    path = tmp_path / "names.txt"
    path.write_text("emma\nolivia\nava")
    with pytest.raises(DataError, match="the only document is too short"):
        prepared(path)


def test_a_loader_of_the_dataset(corpus, prepared):
    dataset: Dataset = prepared(corpus, packing="best_fit")
    loader = dataset.loader("train", 32)
    assert (loader.seed, loader.packing, loader.bos_id, loader.pad_id) == (1, "best_fit", 0, 2)
    assert loader.take(0, 2).segments is not None


def test_a_tokenizer_alone(corpus):
    config = DataConfig.model_validate(
        {"sources": [{"kind": "text", "paths": [str(corpus)]}], "validation_fraction": 0}
    )
    tokenizer, seen = train_tokenizer(config, TokenizerConfig(vocab_size=290))
    assert tokenizer.vocab_size == 290
    assert seen == sum(len(text.encode()) for text in sentences(200))
    assert not (cache_folder() / "tokens").exists()


def test_real_stories(shared_data: Path, prepared):
    dataset = prepared(shared_data / "prose/tinyshakespeare.txt", vocab_size=512)
    train, validation = dataset.split("train"), dataset.split("validation")
    assert train.documents + validation.documents == 7222
    assert 0.03 < validation.documents / 7222 < 0.07


def test_short_documents_are_packed_whole_and_long_ones_run_on(corpus, prepared):
    dataset = prepared(corpus)
    split = dataset.split("train")
    average = split.tokens // split.documents
    assert dataset.packing == "auto"
    assert dataset.loader("train", 8 * average).packing == "best_fit"
    assert dataset.loader("train", 2 * average).packing == "contiguous"
    chosen = prepared(corpus, packing="contiguous")
    assert chosen.loader("train", 8 * average).packing == "contiguous"
