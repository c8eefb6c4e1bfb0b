"""Train tokenizers, byte-level BPE and the SentencePiece-style kind, as objects of the library `tokenizers`."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lilliput.base.background import in_background
from lilliput.base.errors import DataError
from lilliput.data.config import TokenizerConfig
from lilliput.data.patterns import MARK, byte_level, words
from lilliput.data.special_tokens import SPANS

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

# Roles that every trained tokenizer has from the start, so that a model of stories can later learn chat and filling in.
SPECIALS = {
    "bos": "<|begin_of_text|>",
    "eos": "<|end_of_text|>",
    "pad": "<|pad|>",
    "im_start": "<|im_start|>",
    "im_end": "<|im_end|>",
    "fim_prefix": "<|fim_prefix|>",
    "fim_middle": "<|fim_middle|>",
    "fim_suffix": "<|fim_suffix|>",
}
# Roles that a tokenizer has where its run's objective asks for them. They are no part of SPECIALS, so that the ids of
# all other tokenizers, and the losses of runs with them, stay as they are.
FURTHER = {"mask": "<|mask|>", **SPANS}
# The first three ids of SentencePiece's Llama vocabulary; llama2.c and llama.cpp count on them.
UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
RESERVED = {role: token for role, token in SPECIALS.items() if role not in ("bos", "eos")}
BYTES = 256
# Characters rarer than this share of the sample are left to the byte pieces (SentencePiece's character_coverage).
COVERAGE = 0.9999
LONGEST_RUN = 256
"""Longest run of letters, signs or white space, in characters. No word is nearly as long."""
LONG_BLANK = re.compile(rf"\s{{{LONGEST_RUN}}}")
SIGNS = r"!-/:-@\[-`{-~\u3000-\u303f\uff01-\uff0f\uff1a-\uff20"
"""Punctuation of ASCII and of Chinese and Japanese, which separates words without a space."""
# Letters with marks between them (Thai, Devanagari) are not one kind of character for `re`. Their runs may be four
# times as long.
LONG = re.compile(
    rf"[^\W\d_]{{{LONGEST_RUN}}}|[^\w\s]{{{LONGEST_RUN}}}|\s{{{LONGEST_RUN}}}|[^\s\d{SIGNS}]{{{4 * LONGEST_RUN}}}"
)


def train_backend(texts: Iterable[str], config: TokenizerConfig, specials: Sequence[str] = ()) -> Backend:
    """Train a `tokenizers` tokenizer of `config.vocab_size` ids, or of fewer where the texts have no more pairs that
    occur twice. The same texts give the same tokenizer. `specials` are further roles, of FURTHER. Raises DataError when
    the size is too small for the kind."""
    further = [FURTHER[role] for role in specials]
    if config.kind == "bpe":
        return train_byte_level(texts, config, further)
    return train_sentencepiece(list(texts), config, further)


def _train(backend: Backend, texts: Iterable[str], trainer: Any) -> None:
    parts = (part for text in texts for part in without_long_runs(text))
    in_background(lambda: backend.train_from_iterator(parts, trainer), "training the tokenizer")


def without_long_runs(text: str) -> Iterator[str]:
    """Yield the text in parts, cut inside a run that the pre-split may take for a word of more than LONGEST_RUN
    characters. The trainer's time grows with the square of a word's length. Text of ordinary words, in any script, is
    one part."""
    longest = max(map(len, text.split()), default=0)
    if longest <= LONGEST_RUN and not LONG_BLANK.search(text):
        yield text
        return
    start = 0
    for match in LONG.finditer(text):
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield text[start:]


def _check_size(size: int, least: int, what: str) -> None:
    if size < least:
        raise DataError(
            f"a vocabulary of {size:,} is too small: {what} take {least:,} ids", f"tokenizer.vocab_size={least} or more"
        )


def train_byte_level(texts: Iterable[str], config: TokenizerConfig, further: Sequence[str] = ()) -> Backend:
    """Byte-level BPE (Sennrich et al. 2016 on GPT-2's byte alphabet). Ids: special tokens, `further` ones, 256 bytes,
    merges."""
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.decoders import ByteLevel as ByteLevelDecoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    specials = [*SPECIALS.values(), *further]
    _check_size(config.vocab_size, len(specials) + BYTES, "256 bytes and the special tokens")
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = byte_level(config.pattern)
    backend.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=2,
        initial_alphabet=sorted(ByteLevel.alphabet()),
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in specials],
        show_progress=False,
    )
    _train(backend, texts, trainer)
    return backend


def train_sentencepiece(texts: Sequence[str], config: TokenizerConfig, further: Sequence[str] = ()) -> Backend:
    """BPE over characters with a mark for the space before a word, as SentencePiece trains Llama's: no piece crosses
    a word (see patterns.WORDS), and characters without a piece fall back to bytes. Ids: `<unk> <s> </s>`, 256 bytes,
    pieces in the order they were learned, single characters, reserved special tokens."""
    reserved = [*RESERVED.values(), *further]
    fixed = 3 + BYTES + len(reserved)
    _check_size(config.vocab_size, fixed + 2, "256 bytes, the special tokens and a first character")
    room = config.vocab_size - fixed
    characters = _characters(texts, room)
    learned = _learn(texts, characters, room)
    pieces = [piece for piece in learned if len(piece) > 1]
    return sentencepiece_backend([*byte_pieces(), *pieces, *characters], pieces, reserved, words())


def _characters(texts: Sequence[str], room: int) -> list[str]:
    """Return the characters that get a piece of their own: the space mark, then the most frequent characters."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    for blank in (" ", MARK):
        counts.pop(blank, None)
    total, covered = counts.total(), 0
    chosen = [MARK]
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= COVERAGE * total or len(chosen) > room // 2:
            break
        chosen.append(character)
        covered += count
    return chosen


def _learn(texts: Sequence[str], characters: list[str], room: int) -> list[str]:
    """Return at most `room` pieces: `characters`, and merges in the order in which they were learned."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    backend = Tokenizer(BPE())
    backend.normalizer = _marks(begin=True)
    backend.pre_tokenizer = words()
    trainer = BpeTrainer(
        vocab_size=room,
        min_frequency=2,
        initial_alphabet=characters,
        limit_alphabet=len(characters),
        show_progress=False,
    )
    _train(backend, texts, trainer)
    vocabulary = backend.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _marks(begin: bool):
    """Return the normalizer that writes marks for spaces, with a further mark before the text when `begin`."""
    from tokenizers.normalizers import Prepend, Replace, Sequence

    return Sequence([Prepend(MARK), Replace(" ", MARK)]) if begin else Replace(" ", MARK)


def byte_pieces() -> list[str]:
    """Return the first 259 pieces of a SentencePiece vocabulary with byte fallback."""
    return [UNKNOWN, BEGIN, END, *(f"<0x{byte:02X}>" for byte in range(BYTES))]


def sentencepiece_backend(pieces: Sequence[str], ranked: Sequence[str], reserved: Sequence[str], split) -> Backend:
    """Return a tokenizer with the ids of `pieces` and then `reserved`. It merges the neighbours whose union comes first
    in `ranked`, however this union was first made. SentencePiece and llama2.c have the same rule, with score =
    -rank."""
    from tokenizers import AddedToken, Tokenizer, decoders
    from tokenizers.models import BPE

    vocabulary = {piece: number for number, piece in enumerate([*pieces, *reserved])}
    model = BPE(
        vocab=vocabulary,
        merges=merges(ranked, set(pieces[3 + BYTES :])),
        unk_token=UNKNOWN,
        byte_fallback=True,
        fuse_unk=True,
    )
    backend = Tokenizer(model)
    backend.normalizer = _marks(begin=True)
    if split is not None:
        backend.pre_tokenizer = split
    backend.decoder = decoders.Sequence(
        [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    names = [*pieces[:3], *reserved]
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return backend


def with_tokens(content: str, tokens: Sequence[str]) -> str:
    """Return the text of a tokenizer.json with these special tokens added behind its largest id."""
    from tokenizers import AddedToken, Tokenizer

    backend = Tokenizer.from_str(content)
    known, spec = backend.get_vocab(with_added_tokens=True), json.loads(content)
    if (after := max(known.values()) + 1) != len(known):
        # `tokenizers` gives a new token the number of tokens as its id, which is another token's where ids have gaps.
        # The id of a token that is in the model's vocabulary stays.
        spec["model"]["vocab"] |= {token: after + place for place, token in enumerate(tokens)}
        backend = Tokenizer.from_str(json.dumps(spec))
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    return backend.to_str(pretty=True)


def merges(ranked: Sequence[str], known: set[str]) -> list[tuple[str, str]]:
    """Return every pair of known pieces that makes a piece of `ranked`, in the order of `ranked`. Example: for the
    pieces "ab", "abc" the merges are (a, b), (a, bc) and (ab, c), as far as both halves are known."""
    return [
        (piece[:cut], piece[cut:])
        for piece in ranked
        for cut in range(1, len(piece))
        if piece[:cut] in known and piece[cut:] in known
    ]
