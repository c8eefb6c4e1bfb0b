"""Token files as data: the tokens a run trains on are those of the file."""

import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.bins import write_bin
from lilliput.data.config import DataConfig, TokenizerConfig
from lilliput.data.curation import Curation
from lilliput.data.dataset import Dataset, prepare
from lilliput.data.infer import data_config, infer_sources, named_texts
from lilliput.data.token_files import TokenFiles
from lilliput.data.tokenizer import Tokenizer
from lilliput.objectives.causal import Causal
from lilliput.objectives.reversed import Reversed
from tests.data.conftest import sentences

Layout = Literal["nanogpt", "llmc"]
TEXTS = [f"{text}\r\ncafé 東京" for text in sentences(60)]


@pytest.fixture(params=["bpe", "sentencepiece"])
def tokenizer(request: pytest.FixtureRequest, tokenizers: dict[str, Tokenizer], tmp_path: Path) -> Tokenizer:
    tokenizers[request.param].save(tmp_path / "tok")
    return tokenizers[request.param]


def write(path: Path, tokenizer: Tokenizer, layout: Layout = "nanogpt", before: bool = False, texts=TEXTS) -> Path:
    """nanoGPT's layout has the end mark behind each document, llm.c's a mark before it."""
    mark = [tokenizer.bos_id if before else tokenizer.eos_id]
    rows = [tokenizer.encode(text) for text in texts]
    parts = [mark + row if before else row + mark for row in rows]
    write_bin(path, [np.array(part) for part in parts], layout, tokenizer.vocab_size)
    return path


def prepared(objective, paths: list[Path], folder: Path, **options) -> Dataset:
    config = data_config(list(map(str, paths)), [f"tokenizer.path={folder}"], **options)
    chosen = TokenizerConfig(path=str(folder))
    return prepare(config, chosen, objective.encode, objective.view, objective.model_dump_json(), seed=1)


@pytest.mark.parametrize(("layout", "before"), [("nanogpt", False), ("llmc", True), ("llmc", False)])
def test_the_tokens_are_those_of_the_file(tmp_path, tokenizer, layout, before):
    path = write(tmp_path / "train.bin", tokenizer, layout, before)
    data = prepared(Causal(), [path], tmp_path / "tok")
    found = {}
    for split in map(data.split, ("train", "validation")):
        assert split.documents
        for number in range(split.documents):
            found[split.document_id(number)] = split.document(number).tolist()
    assert [found[f"{path}#{n}"][1:-1] for n in range(len(TEXTS))] == [tokenizer.encode(text) for text in TEXTS]
    assert sum(data.split(s).text_bytes for s in ("train", "validation")) == sum(len(t.encode()) for t in TEXTS)


def test_tokens_that_no_text_would_give_are_kept(tmp_path, tokenizer):
    """One token a byte: encoding the text again would join them."""
    single = [tokenizer.encode_bytes(bytes([byte]), continuing=True)[0] for byte in b"the dog ran to the park"]
    assert tokenizer.encode("the dog ran to the park") != single
    write_bin(tmp_path / "a.bin", [np.array([*single, tokenizer.eos_id])], "nanogpt", 350)
    (document,) = TokenFiles(paths=(str(tmp_path / "a.bin"),), tokenizer=str(tmp_path / "tok")).documents()
    assert document.text == "the dog ran to the park"
    for objective, expected in ((Causal(), single), (Reversed(by="token"), single[::-1])):
        (row,) = objective.encode([document], tokenizer)
        assert np.asarray(row.ids).tolist() == [tokenizer.bos_id, *expected, tokenizer.eos_id]
    (row,) = Reversed(by="word").encode([document], tokenizer)
    assert tokenizer.decode(np.asarray(row.ids).tolist()) == "park the to ran dog the"


def test_another_tokenizer_gets_the_text(tmp_path, tokenizers, tokenizer):
    path = write(tmp_path / "train.bin", tokenizer)
    other = next(one for one in tokenizers.values() if one is not tokenizer)
    documents = list(TokenFiles(paths=(str(path),), tokenizer=str(tmp_path / "tok")).documents())
    rows = Causal().encode(documents, other)
    assert [np.asarray(row.ids).tolist()[1:-1] for row in rows] == [other.encode(text) for text in TEXTS]


def test_a_file_without_marks_is_one_document_cut_between_tokens(tmp_path, tokenizer):
    ids = tokenizer.encode("\n\n".join(TEXTS))
    write_bin(tmp_path / "a.bin", [np.array(ids)], "nanogpt", 350)
    items = list(Curation(data_config([str(tmp_path / "a.bin")], [f"tokenizer.path={tmp_path / 'tok'}"])))
    assert [item.split for item in items] == ["train", "validation"]
    assert [item.document.tokens is not None for item in items] == [True, True]
    joined = np.concatenate([item.document.tokens.ids for item in items if item.document.tokens])
    assert joined.tolist() == ids
    assert "".join(item.document.text for item in items) == "\n\n".join(TEXTS)
    assert sum(item.size for item in items) == len("\n\n".join(TEXTS).encode())


def test_documents_across_blocks_of_reading(tmp_path, tokenizer, monkeypatch):
    path = write(tmp_path / "a.bin", tokenizer)
    source = TokenFiles(paths=(str(path),), tokenizer=str(tmp_path / "tok"))
    whole = [document.text for document in source.documents()]
    monkeypatch.setattr("lilliput.data.token_files.BLOCK", 7)
    assert [document.text for document in source.documents()] == whole == TEXTS


def test_no_tokenizer_or_a_wrong_one(tmp_path, tokenizer):
    path = write(tmp_path / "a.bin", tokenizer)
    bare = TokenFiles(paths=(str(path),))
    for act in (bare.fingerprint, bare.describe, lambda: list(bare.documents())):
        with pytest.raises(DataError, match=r"no tokenizer is named for them\s+name it: tokenizer.path=FOLDER"):
            act()
    (tmp_path / "meta.pkl").write_bytes(b"")
    with pytest.raises(DataError, match=rf"tokenizer.path={re.escape(str(tmp_path))}/meta.pkl$"):
        bare.fingerprint()
    source = TokenFiles(paths=(str(path),), tokenizer=str(tmp_path / "tok"))
    np.array([5, 6, 349, 350, 7], dtype="<u2").tofile(path)
    with pytest.raises(DataError, match=r"a.bin: token 3 \(counted from 0\) is 350, and the vocabulary has 350 ids"):
        list(source.documents())
    ids = [*tokenizer.encode("the dog"), *tokenizer.encode_bytes(b"\xe9\xe9 ran", continuing=True)]
    np.array(ids, dtype="<u2").tofile(path)
    with pytest.raises(DataError, match=rf"not UTF-8 text at token {len(tokenizer.encode('the dog'))} "):
        list(source.documents())
    assert [document.text for document in source.documents("replace")] == ["the dog\ufffd\ufffd ran"]


def test_a_character_that_a_shard_cuts_is_no_error(tmp_path, tokenizer):
    halves = tokenizer.encode_bytes("東京".encode()[1:5], continuing=True)
    np.array(halves, dtype="<u2").tofile(tmp_path / "a.bin")
    (document,) = TokenFiles(paths=(str(tmp_path / "a.bin"),), tokenizer=str(tmp_path / "tok")).documents()
    assert document.tokens is not None
    assert document.tokens.ids.tolist() == halves
    assert document.size == 4


def test_folders_give_their_text_before_their_tokens(tmp_path, tokenizer):
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "train.bin", tokenizer)
    assert [source.kind for source in infer_sources([str(folder)])] == ["bin"]
    (folder / "input.txt").write_text("the text")
    assert [source.kind for source in infer_sources([str(folder)])] == ["text"]
    (tmp_path / "a.bin.gz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"compressed.*(?s:.)+unpack"):
        list(TokenFiles(paths=(str(tmp_path / "a.bin.gz"),), tokenizer=str(tmp_path / "tok")).documents())


def test_where_the_tokenizer_comes_from(tmp_path, tokenizer):
    path = str(write(tmp_path / "a.bin", tokenizer))
    texts = named_texts([path], (), str(tmp_path / "tok"))
    assert [document.text for document in texts[path]] == TEXTS
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(ConfigError, match="'tokenizer' is not in the data section"):
        data_config([str(tmp_path / "a.txt")], ["tokenizer.path=tok"])
    source = {"kind": "bin", "paths": [path], "tokenizer": str(tmp_path / "tok")}
    first = DataConfig.model_validate({"sources": [source]}).sources[0]
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "tokenizer.json").write_text((tmp_path / "tok" / "tokenizer.json").read_text())
    moved = first.model_copy(update={"tokenizer": str(tmp_path / "copy")})
    assert moved.fingerprint() == first.fingerprint()
