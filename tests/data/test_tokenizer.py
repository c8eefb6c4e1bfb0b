"""Tokenizers: lossless both ways, the same ids as other tools, and files of others."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.base.errors import DataError
from lilliput.data import tokenizer as module
from lilliput.data.config import TokenizerConfig
from lilliput.data.patterns import byte_characters, byte_level
from lilliput.data.tokenizer import Tokenizer
from lilliput.data.tokenizer_training import SPECIALS

from .conftest import sentences

KINDS = ("bpe", "sentencepiece")
MARKS = st.sampled_from(
    ["\u2581", " ", "  ", "\n", "\r\n", "\t", "\0", "<s>", "</s>", "<unk>", "<0x41>", "é", "e\u0301", "🙂", "don't"]
)
TEXT = st.lists(MARKS | st.text(max_size=8) | st.sampled_from([*SPECIALS.values()]), max_size=8).map("".join)
PIECES = st.lists(st.binary(max_size=6) | TEXT.map(str.encode), max_size=6).map(b"".join)
AWKWARD = [
    "",
    " ",
    "  leading",
    "trailing  \n",
    "\u2581",
    " \u2581a\u2581 b",
    "\u2581\u2581",
    "a\u0000b\r\n\t\x7f",
    "<|im_start|>user<|end_of_text|></s>",
    "naïve 你好 🙂‍↔️ \u202e",
]


@pytest.fixture(params=KINDS)
def tokenizer(request, tokenizers):
    return tokenizers[request.param]


# ---------------------------------------------------------------------- without loss


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_come_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=TEXT)
def test_any_text_comes_back(tokenizers, text):
    for tokenizer in tokenizers.values():
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert not set(ids) & set(tokenizer.specials.values())


@given(data=PIECES)
def test_any_bytes_come_back(tokenizers, data):
    for tokenizer in tokenizers.values():
        assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data


@given(first=TEXT, second=TEXT)
def test_a_text_can_be_continued(tokenizers, first, second):
    for tokenizer in tokenizers.values():
        ids = tokenizer.encode(first) if first else []
        more = tokenizer.encode(second, continuing=bool(first))
        assert tokenizer.decode([*ids, *more]) == first + second
        assert tokenizer.decode(tokenizer.encode(second, continuing=True), continuing=True) == second


@given(text=TEXT)
def test_encoding_bytes_of_a_text_is_encoding_the_text(tokenizers, text):
    for tokenizer in tokenizers.values():
        assert tokenizer.encode_bytes(text.encode()) == tokenizer.encode(text)


@given(data=PIECES)
def test_a_stream_gives_the_same_as_decoding_at_once(tokenizers, data):
    for tokenizer in tokenizers.values():
        ids = [tokenizer.bos_id, *tokenizer.encode_bytes(data), tokenizer.eos_id]
        stream = tokenizer.stream()
        parts = [stream.push(number) for number in ids]
        assert "".join(parts) + stream.flush() == tokenizer.decode(ids)


def test_a_stream_holds_back_half_a_character(tokenizer):
    stream = tokenizer.stream()
    parts = [stream.push(number) for number in tokenizer.encode("a🙂b")]
    assert "".join(parts) == "a🙂b"
    assert not any("\ufffd" in part for part in parts)
    assert "🙂" in parts  # all four bytes at once, with the last of them


def test_no_utf8_form_is_a_clear_error(tokenizer):
    with pytest.raises(DataError, match="no UTF-8 form"):
        tokenizer.encode("a\ud800")


@pytest.mark.parametrize("size", [10, 37])
def test_a_long_text_is_encoded_in_parts_with_the_same_ids(tokenizer, monkeypatch, size):
    text = "\n\n ".join(sentences(30)) + " 12 3  don't\u00a0stop it's   a b"
    whole = tokenizer.encode(text)
    monkeypatch.setattr(module, "LONG", size)
    assert tokenizer.encode(text) == whole
    assert tokenizer.encode_batch([text, "short"]) == [whole, tokenizer.encode("short")]


# ---------------------------------------------------------------------- what it is


def test_bpe_ids_are_special_tokens_bytes_and_merges(tokenizers):
    tokenizer = tokenizers["bpe"]
    assert [tokenizer.token(number) for number in range(8)] == list(SPECIALS.values())
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (0, 1, 2)
    assert sorted(tokenizer._pieces[8:264]) == [bytes([byte]) for byte in range(256)]
    assert all(len(piece) > 1 for piece in tokenizer._pieces[264:])


def test_sentencepiece_ids_are_as_llama_has_them(tokenizers):
    tokenizer = tokenizers["sentencepiece"]
    assert [tokenizer.token(number) for number in range(3)] == ["<unk>", "<s>", "</s>"]
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2)
    assert tokenizer._pieces[3:259] == [bytes([byte]) for byte in range(256)]
    reserved = [role for role in SPECIALS if role not in ("bos", "eos")]
    assert [tokenizer.specials[role] for role in reserved] == list(range(344, 350))
    learned = tokenizer._pieces[259:344]
    singles = [len(piece.decode()) == 1 for piece in learned]
    assert singles == sorted(singles)  # merges first, then characters
    assert not any(
        b" " in piece[1:] or b"\n" in piece[1:] or piece[-1:].isdigit() for piece in learned if len(piece) > 1
    )


def test_token_bytes_add_up_to_the_text(tokenizer):
    sizes = tokenizer.token_bytes()
    assert sizes.dtype == np.int64
    assert sizes.shape == (tokenizer.vocab_size,)
    assert all(sizes[number] == 0 for number in tokenizer.specials.values())
    text = sentences(1)[0]
    assert sizes[tokenizer.encode(text, continuing=True)].sum() == len(text.encode())


@pytest.mark.parametrize(
    ("pattern", "pieces"),
    [
        ("qwen2", ["I", "'M", " ", "1", "2", "3", "4", "5", " there", "  \n\n", " now", "!!\n"]),
        ("llama-bpe", ["I", "'M", " ", "123", "45", " there", "  \n\n", " now", "!!\n"]),
        ("gpt-2", ["I", "'", "M", " 12345", " there", "  \n\n", " now", "!!", "\n"]),
    ],
)
def test_patterns_split_as_published(pattern, pieces):
    table = byte_characters()
    parts = byte_level(pattern).pre_tokenize_str("I'M 12345 there  \n\n now!!\n")
    assert [bytes(table[character] for character in part).decode() for part, _ in parts] == pieces


@pytest.mark.parametrize("pattern", ["qwen2", "llama-bpe", "gpt-2"])
def test_the_pattern_is_known_again_after_saving(tmp_path, pattern):
    tokenizer = Tokenizer.train(sentences(50), TokenizerConfig(vocab_size=270, pattern=pattern))
    tokenizer.save(tmp_path)
    assert Tokenizer.load(tmp_path).pattern == pattern


def test_a_sentencepiece_tokenizer_has_no_pattern(tokenizers):
    assert tokenizers["sentencepiece"].pattern is None


# ---------------------------------------------------------------------- training


@pytest.mark.parametrize(("kind", "size"), [("bpe", 5000), ("sentencepiece", 5000)])
def test_a_vocabulary_beyond_the_text_is_lowered_to_what_it_allows(kind, size):
    texts = sentences(20)
    lowered = Tokenizer.train(texts, TokenizerConfig(kind=kind, vocab_size=size))
    assert 300 < lowered.vocab_size < size
    assert Tokenizer.train(texts, TokenizerConfig(kind=kind, vocab_size=lowered.vocab_size)).sha256 == lowered.sha256


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_too_small_for_the_bytes(kind):
    with pytest.raises(DataError, match="too small: 256 bytes"):
        Tokenizer.train(["text"], TokenizerConfig(kind=kind, vocab_size=200))


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_in_every_process(kind):
    program = (
        "import sys; sys.path[:0] = sys.argv[2:];"
        "from tests.data.conftest import sentences;"
        "from lilliput.data.tokenizer import Tokenizer; from lilliput.data.config import TokenizerConfig;"
        "print(Tokenizer.train(sentences(300), TokenizerConfig(kind=sys.argv[1], vocab_size=350)).sha256)"
    )
    command = [sys.executable, "-c", program, kind, *sys.path]
    hashes = {subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert hashes == {Tokenizer.train(sentences(300), TokenizerConfig(kind=kind, vocab_size=350)).sha256 + "\n"}


def best_score_merges(tokenizer, text):
    """llama2.c's encoding: characters, bytes where there is no piece, then always the best-scored union."""
    ids_of = {tokenizer.token(number): number for number in range(tokenizer.vocab_size)}
    scores, ids = tokenizer.scores(), []
    for character in ("\u2581" + text.replace(" ", "\u2581")) if text else "":
        ids += [ids_of[character]] if character in ids_of else [byte + 3 for byte in character.encode()]
    while True:
        unions = [ids_of.get(tokenizer.token(left) + tokenizer.token(right)) for left, right in pairwise(ids)]
        found = [(-scores[union], place, union) for place, union in enumerate(unions) if union is not None]
        if not found:
            return ids
        _, place, union = min(found)
        ids[place : place + 2] = [union]


@given(text=st.text(st.sampled_from("abAé .,\n1z"), max_size=30), seed=st.integers(0, 3))
@settings(max_examples=100)
def test_sentencepiece_ids_are_those_of_best_score_merging(text, seed):
    tokenizer = _dense(seed)
    assert tokenizer.encode(text) == best_score_merges(tokenizer, text)


_DENSE: dict[int, Tokenizer] = {}


def _dense(seed):
    """A vocabulary in which the same piece can be made in many ways."""
    if seed not in _DENSE:
        rng = np.random.default_rng(seed)
        texts = ["".join(rng.choice(list("aaabbAé .,\n1"), 40)) for _ in range(200)]
        _DENSE[seed] = Tokenizer.train(texts, TokenizerConfig(kind="sentencepiece", vocab_size=400))
    return _DENSE[seed]


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_gives_the_same_ids(tokenizers, tmp_path, kind):
    transformers = pytest.importorskip("transformers")
    tokenizer = tokenizers[kind]
    tokenizer.save(tmp_path)
    other = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = [*sentences(300, seed=3), "", " ", "  two spaces", "tab\there\n\n\nnew 你好 🙂 é", "12345 don't I'LL"]
    assert [other(text)["input_ids"] for text in texts] == [
        [tokenizer.bos_id, *ids] for ids in tokenizer.encode_batch(texts)
    ]
    plain = [other(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert plain == tokenizer.encode_batch(texts)
    again = Tokenizer.load(tmp_path)
    assert (again.sha256, again.content, again.begins) == (tokenizer.sha256, tokenizer.content, True)
    assert (other.bos_token_id, other.eos_token_id, other.pad_token_id) == (
        tokenizer.bos_id,
        tokenizer.eos_id,
        tokenizer.pad_id,
    )
    assert len(other) == tokenizer.vocab_size
    ids = [tokenizer.bos_id, *tokenizer.encode(texts[0]), tokenizer.eos_id]
    assert other.decode(ids, skip_special_tokens=True) == texts[0]


def test_saving_and_loading_changes_nothing(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "new" / "folder")
    loaded = Tokenizer.load(tmp_path / "new" / "folder")
    assert (loaded.sha256, loaded.specials, loaded.kind) == (tokenizer.sha256, tokenizer.specials, tokenizer.kind)
    texts = [*AWKWARD, *sentences(20, seed=5)]
    assert loaded.encode_batch(texts) == tokenizer.encode_batch(texts)


def test_a_run_means_its_newest_checkpoint(tokenizers, tmp_path, monkeypatch):
    for step, kind in (("step-0000002", "bpe"), ("step-0000010", "sentencepiece")):
        tokenizers[kind].save(tmp_path / f"runs/tale/checkpoints/{step}/model")
    monkeypatch.chdir(tmp_path)
    assert Tokenizer.load("runs/tale").kind == "sentencepiece"
    assert Tokenizer.load("tale").kind == "sentencepiece"
    assert Tokenizer.load("runs/tale/checkpoints/step-0000002").kind == "bpe"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no tokenizer at"),
        ("not json", "is not valid JSON"),
        ('{"a": 1}', "it has no 'model'"),
        ('{"model": {"type": "Magic"}, "added_tokens": []}', "not a tokenizer.json that 'tokenizers' can read"),
    ],
)
def test_files_that_are_no_tokenizer(tmp_path, content, message):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message):
        Tokenizer.load(path)
    with pytest.raises(DataError, match=r"holds no tokenizer.json|is not|tokenizer"):
        Tokenizer.load(tmp_path)


def test_special_tokens_are_found_by_common_names_and_by_the_settings_beside(tmp_path):
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    backend = Backend(models.BPE(vocab={"a": 0}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["[GO]", "[STOP]"])
    backend.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(
        DataError, match=r"no special token for the beginning or end of a text \(it has: \[GO\], \[STOP\]\)"
    ):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": {"content": "[GO]"}, "eos_token": "[STOP]"}')
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (1, 2, 2)
    with pytest.raises(DataError, match="no token for every byte"):
        tokenizer.encode_bytes(b"\xff")


def test_a_wordpiece_tokenizer_does_what_it_does(tmp_path):
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "play": 3, "##ing": 4, "we": 5}
    backend = Backend(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.kind, tokenizer.bos_id, tokenizer.eos_id) == ("other", 1, 2)
    ids = tokenizer.encode("we playing")
    assert ids == [5, 3, 4]
    assert tokenizer.decode([1, *ids, 2]) == "we playing"
    assert tokenizer.token_bytes().tolist() == [0, 0, 0, 4, 3, 2]
    stream = tokenizer.stream()
    assert "".join(stream.push(number) for number in ids) + stream.flush() == "we playing"


def test_gpt2(shared_data):
    tokenizer = Tokenizer.load(shared_data / "tokenizers/gpt2_vocab.json")
    assert (tokenizer.vocab_size, tokenizer.pattern, tokenizer.kind) == (50257, "gpt-2", "bpe")
    assert tokenizer.bos_id == tokenizer.eos_id == tokenizer.pad_id == 50256
    assert tokenizer.encode("Hello world") == [15496, 995]
    text = (shared_data / "prose/tinyshakespeare.txt").read_text()[:20_000]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert 50256 not in tokenizer.encode("<|endoftext|>")


@pytest.mark.parametrize("name", ["tokenizer.model", "tokenizer.bin"])
def test_llama_against_sentencepiece(shared_data, name):
    sentencepiece = pytest.importorskip("sentencepiece")
    oracle = sentencepiece.SentencePieceProcessor(model_file=str(shared_data / "tokenizers/tokenizer.model"))
    tokenizer = Tokenizer.load(shared_data / "tokenizers" / name)
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_id) == (32000, 1, 2)
    text = (shared_data / "tinystories/v1-train-head-2MiB.txt").read_text()[:100_000]
    for part in [*text.split("<|endoftext|>"), "  two  spaces ", "你好 🙂 é\n\n1234", "aaaaaaaaaaa    b"]:
        assert tokenizer.encode(part) == oracle.encode(part)
        assert tokenizer.decode(tokenizer.encode(part)) == part


def test_llama2c_vocabulary_of_512(shared_data):
    tokenizer = Tokenizer.load(shared_data / "stories260K/tok512.bin")
    assert tokenizer.vocab_size == 512
    text = "Once upon a time, there was a little girl named Lily."
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert [tokenizer.token(number) for number in tokenizer.encode("Once upon a time,")][:2] == ["▁Once", "▁upon"]
