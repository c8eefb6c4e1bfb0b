"""nanoGPT's models of characters: meta.pkl read without running it, and one greedy text here and in transformers."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput import api
from lilliput.base.errors import DataError, ExportError
from lilliput.data.characters import LARGEST
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.source import Source
from lilliput.formats.transfer import keep, read, write
from tests.formats.test_checkpoints import as_linear, nanogpt, stock

transformers = pytest.importorskip("transformers")
CHARACTERS = sorted({*"\n !,.:;?'", *"abcdefghijklmnopqrstuvwxyzABCTZ", "é", "東", "🦊", "\u2581"})
TEXT = "Tom:\n  A cat, é 東🦊\u2581\n\nBye"


def vocabulary(characters: list[str] = CHARACTERS) -> dict[str, Any]:
    """As nanoGPT's prepare.py of characters writes it."""
    stoi = {character: number for number, character in enumerate(characters)}
    return {"vocab_size": len(stoi), "itos": {number: one for one, number in stoi.items()}, "stoi": stoi}


def kept(file: Path, value: Any, protocol: int | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(value, protocol))
    return file


def checkpoint(file: Path) -> Any:
    """A stock model, and its weights as nanoGPT's checkpoint."""
    torch.manual_seed(1)
    theirs = stock("gelu", vocab_size=len(CHARACTERS)).eval()
    nanogpt(file, as_linear(theirs), vocab_size=len(CHARACTERS))
    return theirs


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_gives_the_characters(protocol: int, tmp_path: Path):
    tokenizer = Tokenizer.load(kept(tmp_path / "meta.pkl", vocabulary(), protocol))
    assert tokenizer.encode(TEXT) == [CHARACTERS.index(character) for character in TEXT]
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    assert tokenizer.token_bytes().tolist() == [len(character.encode()) for character in CHARACTERS]
    stream = tokenizer.stream()
    assert [stream.push(number) for number in tokenizer.encode(TEXT)] == list(TEXT)
    assert (tokenizer.beginning, tokenizer.ends, tokenizer.specials) == ([], frozenset(), {})


def test_a_checkpoint_with_its_characters_generates_what_transformers_does(tmp_path: Path):
    theirs = checkpoint(tmp_path / "ckpt.pt")
    kept(tmp_path / "meta.pkl", vocabulary())
    folder = api.import_file(tmp_path / "ckpt.pt", "chars", runs=tmp_path / "runs")
    stock_model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    stock_tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    generator = api.load(folder, notify=lambda text: None)
    for prompt in ("Tom:\n", "A cat", "\n", "é 東🦊"):
        ids = [CHARACTERS.index(character) for character in prompt]
        assert stock_tokenizer(prompt)["input_ids"] == ids
        given = torch.tensor([ids])
        found = theirs.generate(
            given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=12, eos_token_id=None
        )
        expected = "".join(CHARACTERS[number] for number in found[0].tolist())
        assert generator.generate(prompt, temperature=0.0, max_tokens=12) == [expected]
        there = stock_model.generate(**stock_tokenizer(prompt, return_tensors="pt"), do_sample=False, max_new_tokens=12)
        assert stock_tokenizer.decode(there[0]) == expected
    assert json.loads((folder / "config.json").read_text())["eos_token_id"] is None
    assert Tokenizer.load(folder).sha256 == Tokenizer.load(tmp_path / "meta.pkl").sha256


def test_a_newline_does_not_end_a_text(tmp_path: Path):
    checkpoint(tmp_path / "ckpt.pt")
    content = read(tmp_path / "ckpt.pt", kept(tmp_path / "other" / "meta.pkl", vocabulary()))
    with torch.no_grad():  # whatever stands before, a newline follows
        norm: Any = content.model.ln_final
        norm.weight.zero_()
        norm.bias.copy_(content.model.embed.weight[0] * 100)
    keep(content, tmp_path / "m")
    generator = api.load(tmp_path / "m", notify=lambda text: None)
    assert CHARACTERS[0] == "\n"
    assert generator.generate("A", temperature=0.0, max_tokens=5) == ["A\n\n\n\n\n"]
    assert generator.generate(temperature=0.0, max_tokens=3) == ["\n\n\n"]


def test_the_vocabulary_is_found_where_nanogpt_keeps_it(tmp_path: Path):
    file = tmp_path / "out-tales" / "ckpt.pt"
    file.parent.mkdir()
    checkpoint(file)
    with pytest.raises(ExportError, match=r"has no tokenizer"):
        read(file)
    saved = torch.load(file, weights_only=True)
    torch.save({**saved, "config": {"dataset": "tales_char"}}, file)
    kept(tmp_path / "data" / "tales_char" / "meta.pkl", vocabulary())
    found = read(file).tokenizer
    assert found is not None
    assert found.encode("Tom") == [CHARACTERS.index(character) for character in "Tom"]
    kept(tmp_path / "data" / "tales_char" / "meta.pkl", vocabulary(CHARACTERS[:-1]))
    with pytest.raises(ExportError, match=r"has no tokenizer"):
        read(file)


def test_unknown_characters_are_refused(tmp_path: Path):
    tokenizer = Tokenizer.load(kept(tmp_path / "meta.pkl", vocabulary()))
    with pytest.raises(DataError, match=r"has no '1' \(U\+0031\) and 1 more"):
        tokenizer.encode("A cat, 12")
    with pytest.raises(DataError, match="no token for every byte"):
        tokenizer.encode_bytes(b"\xff")


@pytest.mark.parametrize("format_name", ["gguf", "llama2c"])
def test_formats_without_characters_refuse_them(format_name: str, tmp_path: Path):
    checkpoint(tmp_path / "ckpt.pt")
    content = read(tmp_path / "ckpt.pt", kept(tmp_path / "meta.pkl", vocabulary()))
    assert content.tokenizer is not None
    with pytest.raises(ExportError, match="a tokenizer of single characters"):
        write(Source(content.model, content.tokenizer, "m"), format_name, tmp_path / "m.bin")


class Harm:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harmed"),)


def cut(value: Any) -> bytes:
    return pickle.dumps(value)[:-9]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: pickle.dumps({"itos": Harm(), "stoi": {}}), "holds more than dictionaries, text and integers"),
        (lambda: pickle.dumps(Harm(), 0), "holds more than dictionaries, text and integers"),
        (lambda: pickle.dumps({**vocabulary(), "more": [1]}), r"\(EMPTY_LIST\)"),
        (lambda: cut(vocabulary()), "is not a whole pickle"),
        (lambda: b"", "is not a whole pickle"),
        (lambda: b"\x80\x04s.", "is not a whole pickle"),
        (lambda: b"}r\xff\xff\xff\x7f.", "is not nanoGPT's meta.pkl"),
        (lambda: pickle.dumps("text"), "is not nanoGPT's meta.pkl"),
        (lambda: pickle.dumps({"vocab_size": 3}), "is not nanoGPT's meta.pkl"),
        (lambda: pickle.dumps({"itos": {1: "a"}, "stoi": {"a": 1}}), "from 0 on"),
        (lambda: pickle.dumps({"itos": {0: "the"}, "stoi": {"the": 0}}), "'the', not one character"),
        (lambda: pickle.dumps({"itos": {0: "\ud800"}, "stoi": {"\ud800": 0}}), "not one character"),
        (lambda: pickle.dumps({"itos": {0: "a", 1: "b"}, "stoi": {"a": 0, "b": 2}}), "contradict each other"),
        (lambda: bytes(LARGEST + 1), "too large for a vocabulary"),
    ],
)
def test_other_pickles_are_refused_and_not_run(
    data: Callable[[], bytes], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "meta.pkl").write_bytes(data())
    with pytest.raises(DataError, match=words):
        Tokenizer.load(tmp_path / "meta.pkl")
    assert not (tmp_path / "harmed").exists()
