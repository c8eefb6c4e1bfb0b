"""Tokenizer: encode text and bytes into ids and decode them without loss, in the files that every other tool loads."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from lilliput.base.errors import DataError
from lilliput.base.files import write_json, write_text
from lilliput.data.beginning import marked, unmarked
from lilliput.data.characters import check_known
from lilliput.data.chat_template import TEMPLATE_FILE
from lilliput.data.config import TokenizerConfig
from lilliput.data.kinds import Kind, kind_of
from lilliput.data.patterns import MARK, PATTERNS, byte_characters, byte_level, words
from lilliput.data.special_tokens import COMMON, roles
from lilliput.data.text_runs import check_unicode, partly, runs
from lilliput.data.token_stream import TokenStream
from lilliput.data.tokenizer_bounds import checked, complete, spelled_bytes, trusted
from lilliput.data.words import Words

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

# Texts longer than this many characters are encoded in parts, cut where a word ends and another word follows.
LONG = 2**20
WORD_END = re.compile(r"[A-Za-z](?= [A-Za-z])")


class Marks(TypedDict):
    """The ids of the marks around a text, by the names of a model's config."""

    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int | None


class Tokenizer:
    """A tokenizer, made by `train`, by `load`, or from the JSON of a `tokenizer.json`.

    kind        "bpe" (byte-level) and "sentencepiece" (leading-space mark, byte fallback) give back any text and any
                bytes exactly; "characters" gives every character an id of its own and has no marks; "other" is a
                loaded tokenizer without these promises
    specials    ids by role: bos, eos, pad, and im_start, im_end, fim_prefix, fim_middle, fim_suffix, unk, mask
                where present
    begins      whether a text begins with the beginning mark: `beginning` is that mark, or nothing
    bounded     whether it has a mark of its own for the beginning or the end of a text; without one, `bos_id` and
                `eos_id` are the id of a newline (else id 0), as nanoGPT begins its samples, and no id ends a text
    vocab_size  one more than the largest id
    sha256      of the content of tokenizer.json, without the rule that puts the beginning mark before a text
    chat_template  the Jinja source that renders conversations (chat_template.py); None for a model of plain text

    A text that spells a special token is encoded as plain text. `encode` adds no bounds. `continuing` marks a text that
    continues another text: the SentencePiece-style kind then puts no mark for a space before it, and removes no space
    when decoding.
    """

    def __init__(
        self,
        content: str,
        names: Mapping[str, str] | None = None,
        begins: bool = True,
        chat_template: str | None = None,
    ):
        """`content` is the text of a tokenizer.json, `names` the special token of some roles. Raises DataError."""
        from tokenizers import Tokenizer as Backend

        with trusted("not a tokenizer.json that 'tokenizers' can read"):
            self.backend: Backend = Backend.from_str(checked(content))
            self.content = unmarked(complete(content))
        self.chat_template = chat_template
        self.sha256 = hashlib.sha256(self.content.encode()).hexdigest()
        self._spec = json.loads(self.content)
        self.kind: Kind = kind_of(self._spec)
        if self.kind == "sentencepiece":
            from tokenizers.normalizers import Replace

            # `encode` puts the space before a text itself, so that a continuing text can go without it.
            self.backend.normalizer = Replace(" ", MARK)
        self.backend.encode_special_tokens = True
        self.backend.no_padding()
        self.backend.no_truncation()
        self.bounded = self.kind != "characters"
        self.begins = begins and self.bounded
        self.specials = roles(self.backend, self._spec, names or {}) if self.bounded else {}
        between = self.backend.token_to_id("\n") or 0
        self.bos_id, self.eos_id, self.pad_id = (self.specials.get(role, between) for role in ("bos", "eos", "pad"))

    # ------------------------------------------------------------------ making and keeping

    @classmethod
    def train(cls, texts: Iterable[str], config: TokenizerConfig, specials: Sequence[str] = ()) -> Tokenizer:
        """Train a tokenizer on `texts`; the same texts give the same tokenizer. The vocabulary is smaller than
        requested where the texts have too few pairs. `specials` are roles of further special tokens. Raises
        DataError."""
        from lilliput.data.tokenizer_training import train_backend

        return cls(train_backend(texts, config, specials).to_str(pretty=True))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Load a tokenizer.json, a folder that holds it (a checkpoint, a run, a Hugging Face model), GPT-2's vocab.json
        and merges.txt, a SentencePiece or llama2.c model, or nanoGPT's meta.pkl. Raises DataError."""
        from lilliput.data.tokenizer_files import read

        return cls(*read(Path(path)))

    def save(self, folder: str | Path, context_length: int | None = None) -> None:
        """Write tokenizer.json, tokenizer_config.json and, where there is one, chat_template.jinja, for
        transformers.AutoTokenizer. Its default call puts the beginning mark before a text, and cuts texts at
        `context_length` where it is asked to truncate."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        mark = (self.token(self.bos_id), self.bos_id) if self.begins else None
        write_text(folder / "tokenizer.json", marked(self.content, mark))
        named = {
            role: self.token(self.specials[role])
            for role in ("bos", "eos", "pad", "unk", "mask")
            if role in self.specials
        }
        settings: dict[str, Any] = {f"{role}_token": token for role, token in named.items()}
        settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        settings |= {} if self.begins else {"add_bos_token": False}
        settings |= {} if context_length is None else {"model_max_length": context_length}
        write_json(folder / "tokenizer_config.json", settings)
        if self.chat_template is None:
            (folder / TEMPLATE_FILE).unlink(missing_ok=True)
        else:
            write_text(folder / TEMPLATE_FILE, self.chat_template)

    def with_specials(self, wanted: Sequence[str]) -> Tokenizer:
        """Return this tokenizer with a special token for each of these roles (of COMMON). Missing tokens get new ids
        behind all others, and every old id keeps its token. Raises DataError for a tokenizer of characters."""
        missing = [role for role in wanted if role not in self.specials]
        if not missing:
            return self
        if not self.bounded:
            raise DataError(
                "this tokenizer gives every character an id and has no special tokens, and "
                f"{' and '.join(COMMON[role][0] for role in missing)} are needed",
                "take a tokenizer of another kind: leave out tokenizer.path",
            )
        from lilliput.data.tokenizer_training import with_tokens

        content = with_tokens(self.content, [COMMON[role][0] for role in missing])
        return Tokenizer(content, self._names, self.begins, self.chat_template)

    def with_template(self, source: str | None) -> Tokenizer:
        """Return this tokenizer with another chat template."""
        return self if source == self.chat_template else Tokenizer(self.content, self._names, self.begins, source)

    def extends(self, other: Tokenizer) -> bool:
        """Return whether every id of `other` is the same token here. This tokenizer may have more tokens."""
        return self.sha256 == other.sha256 or (
            self.vocab_size >= other.vocab_size
            and all(self.token(number) == other.token(number) for number in range(other.vocab_size))
        )

    # ------------------------------------------------------------------ properties

    @property
    def beginning(self) -> list[int]:
        """Return the ids before a text: the beginning mark, or nothing."""
        return [self.bos_id] if self.begins else []

    @property
    def ends(self) -> frozenset[int]:
        """Return the ids that end a text: the end mark, or nothing."""
        return frozenset([self.eos_id] if self.bounded else [])

    @property
    def marks(self) -> Marks:
        """Return the ids of the marks by the names of a model's config; None for a missing mark."""
        bos = self.bos_id if self.begins else None
        eos, pad = (self.eos_id, self.pad_id) if self.bounded else (None, None)
        return {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad}

    @property
    def vocab_size(self) -> int:
        """Return one more than the largest id, so that a table of this size has a row for every id."""
        return len(self._pieces)

    @cached_property
    def pattern(self) -> str | None:
        """Return the name of the published pattern that splits text (qwen2, llama-bpe, gpt-2); None for another."""
        from tokenizers import Tokenizer, models

        for name in PATTERNS:
            probe = Tokenizer(models.BPE())
            probe.pre_tokenizer = byte_level(name)
            if json.loads(probe.to_str())["pre_tokenizer"] == self._spec["pre_tokenizer"]:
                return name
        return None

    @cached_property
    def _cuts(self) -> bool:
        """Return whether text is always split between a letter and a space before a letter."""
        from tokenizers import Tokenizer, models

        if self.kind in ("characters", "other"):
            return self.kind == "characters"
        probe = Tokenizer(models.BPE())
        probe.pre_tokenizer = words()
        return self.pattern is not None or self._spec["pre_tokenizer"] == json.loads(probe.to_str())["pre_tokenizer"]

    def token(self, number: int) -> str:
        """Return the token as the tokenizer file spells it."""
        return self.backend.id_to_token(number) or ""

    def special_id(self, text: str) -> int | None:
        """Return the id of the special token with this spelling, or None."""
        specials = (
            token["id"] for token in self._spec["added_tokens"] if token["special"] and token["content"] == text
        )
        return next(specials, None)

    def token_bytes(self) -> np.ndarray:
        """Return the number of text bytes of each id, (vocab_size,) int64; 0 for special tokens."""
        return np.array([len(piece) for piece in self._pieces], dtype=np.int64)

    def scores(self) -> np.ndarray:
        """Return the scores of a SentencePiece-style vocabulary, (vocab_size,) float32, as SentencePiece numbers BPE
        pieces: 0 for the first 259 ids, then -0, -1, -2 ... Merging the neighbours whose union scores best gives the
        ids of `encode`."""
        return -np.maximum(np.arange(self.vocab_size, dtype=np.float32) - 259, 0)

    # ------------------------------------------------------------------ text to ids

    def encode(self, text: str, continuing: bool = False) -> list[int]:
        """Return a text's ids without bounds. Raises DataError for a text without a UTF-8 form (a lone surrogate)."""
        return self.encode_batch([text], continuing)[0]

    def encode_batch(self, texts: Sequence[str], continuing: bool = False) -> list[list[int]]:
        """Return the ids of each text."""
        return [ids.tolist() for ids in self.encode_arrays(texts, continuing)]

    def encode_arrays(self, texts: Sequence[str], continuing: bool = False) -> list[np.ndarray]:
        """Return the ids of each text, (length,) uint32. Fast for many texts: known words are looked up (see words.py).
        Other texts are encoded by `tokenizers`, on all cores and without Python's lock."""
        if self.kind != "sentencepiece":
            return self._encode(texts)
        before = "" if continuing else " "
        return partly(
            texts,
            lambda text: MARK in text,
            lambda text: self._encode_marks(text, continuing),
            lambda rest: self._encode([before + text if text else text for text in rest]),
        )

    def encode_bytes(self, data: bytes, continuing: bool = False) -> list[int]:
        """Return the ids of any bytes: UTF-8 parts are encoded as text, other bytes as byte tokens. `decode_bytes` is
        the inverse."""
        ids: list[int] = []
        for run in runs(data):
            if isinstance(run, str):
                ids += self.encode(run, continuing or bool(ids))
            else:
                ids += [] if continuing or ids else self._prefix
                ids += [self._byte_ids[byte] for byte in run]
        return ids

    def _encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        looked_up = self._words.ids(texts) if self._words else [None] * len(texts)
        rest = iter(self._encode_anew([text for text, ids in zip(texts, looked_up, strict=True) if ids is None]))
        return [next(rest) if ids is None else ids for ids in looked_up]

    @cached_property
    def _words(self) -> Words | None:
        """Return the table of words; None where the ids of a text are not the joined ids of its words."""
        plain = self.kind != "other" and (self.kind == "sentencepiece" or not self._spec["normalizer"])
        parted = self._cuts and all(token["special"] for token in self._spec["added_tokens"])
        if not plain or not parted:
            return None
        return Words(self._encode_whole, np.array([piece.startswith(b" ") for piece in self._pieces]))

    def _encode_anew(self, texts: Sequence[str]) -> list[np.ndarray]:
        return partly(texts, lambda text: len(text) > LONG and self._cuts, self._encode_long, self._encode_whole)

    def _encode_long(self, text: str) -> np.ndarray:
        """Encode a text of any length in parts, because `tokenizers` needs 100 times the size of its input in memory,
        and can encode parts on several cores. No token spans a cut, so the ids are the same."""
        ids: list[np.ndarray] = []
        start = 0
        while start < len(text):
            parts = []
            while start < len(text) and len(parts) < 8:
                cut = WORD_END.search(text, start + LONG // 4)
                stop = cut.end() if cut else len(text)
                parts.append(text[start:stop])
                start = stop
            ids += self._encode_whole(parts)
        return np.concatenate(ids)

    def _encode_whole(self, texts: Sequence[str]) -> list[np.ndarray]:
        if self.kind == "characters":
            check_known(texts, self._spec["model"]["vocab"])
        try:
            encodings = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError:  # `tokenizers` raises it for half a surrogate pair
            for text in texts:
                check_unicode(text)
            raise
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]

    def _encode_marks(self, text: str, continuing: bool) -> np.ndarray:
        """Encode a text that may hold U+2581 itself. Its bytes are encoded, because its piece means a space."""
        ids: list[int] = []
        for place, part in enumerate(text.split(MARK)):
            if place:
                ids += [] if continuing or ids else self._prefix
                ids += [self._byte_ids[byte] for byte in MARK.encode()]
            before = "" if continuing or ids or not part else " "
            ids += self._encode([before + part])[0].tolist()
        return np.array(ids, dtype=np.uint32)

    # ------------------------------------------------------------------ ids to text

    def decode(self, ids: Sequence[int], continuing: bool = False) -> str:
        """Return the text of ids without special tokens, with U+FFFD where the bytes are not UTF-8."""
        if self.kind == "other":
            before = self._before if continuing else []
            text = self.backend.decode([*before, *ids], skip_special_tokens=True)
            return text.removeprefix(self.backend.decode(before, skip_special_tokens=True))
        return self.decode_bytes(ids, continuing).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int], continuing: bool = False) -> bytes:
        """Return the exact bytes of ids without special tokens, and without ids beyond the vocabulary."""
        if self.kind == "other":
            return self.decode(list(ids), continuing).encode()
        data = b"".join([self._pieces[number] for number in ids if number < len(self._pieces)])
        return data if continuing or not self._prefix else data.removeprefix(b" ")

    def stream(self, continuing: bool = False) -> TokenStream:
        """Return a decoder for ids that come one at a time."""
        return TokenStream(self, continuing)

    # ------------------------------------------------------------------ tables

    @property
    def _names(self) -> dict[str, str]:
        """Return the special token of each role."""
        return {role: self.token(number) for role, number in self.specials.items()}

    @cached_property
    def _pieces(self) -> list[bytes]:
        """Return the bytes of each id; b'' for special tokens and for ids without a token."""
        vocabulary = self.backend.get_vocab(with_added_tokens=True)
        added = {token["id"]: token for token in self._spec["added_tokens"]}
        special = {number for number, token in added.items() if token["special"]} | set(self.specials.values())
        alphabet = byte_characters() if self.kind == "bpe" else {}
        pieces = [b""] * (max(vocabulary.values()) + 1)
        for token, number in vocabulary.items():
            if number in special:
                continue
            if number in added or self.kind == "characters":
                pieces[number] = token.encode()
            elif self.kind == "bpe":
                pieces[number] = spelled_bytes(token, alphabet)
            elif self.kind == "sentencepiece":
                byte = len(token) == 6 and token.startswith("<0x") and token.endswith(">")
                pieces[number] = bytes.fromhex(token[3:5]) if byte else token.replace(MARK, " ").encode()
            else:
                pieces[number] = token.removeprefix("##").replace(MARK, " ").encode()
        return pieces

    @cached_property
    def _byte_ids(self) -> list[int]:
        """Return the id of each single byte. Raises DataError for a tokenizer that lacks a byte."""
        byte_of = {byte: character for character, byte in byte_characters().items()}
        names = (byte_of[byte] if self.kind == "bpe" else f"<0x{byte:02X}>" for byte in range(256))
        ids = [number for name in names if (number := self.backend.token_to_id(name)) is not None]
        if len(ids) < 256:
            raise DataError("this tokenizer has no token for every byte, so it cannot encode bytes that are not text")
        return ids

    @cached_property
    def _before(self) -> list[int]:
        """Return the ids of a word. They go before others where a decoder treats the first token of a text apart."""
        return self._encode(["a"])[0].tolist()

    @cached_property
    def _prefix(self) -> list[int]:
        """Return the ids of the space that the SentencePiece-style kind puts before a text."""
        return self._encode([" "])[0].tolist() if self.kind == "sentencepiece" else []
