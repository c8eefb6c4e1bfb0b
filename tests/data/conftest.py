"""What the tests of the data room share: small texts, an encoder like the causal objective's, a tokenizer."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lilliput.data.config import DataConfig, TokenizerConfig
from lilliput.data.dataset import Dataset, prepare
from lilliput.data.document import Document
from lilliput.data.rows import Encoded
from lilliput.data.tokenizer import Tokenizer

WORDS = [
    "the",
    "a",
    "dog",
    "cat",
    "Lily",
    "Tom",
    "saw",
    "ran",
    "jumped",
    "big",
    "red",
    "ball",
    "happy",
    "and",
    "to",
    "park",
    "said",
    "friend",
    "it",
    "was",
    "very",
    "don't",
]


def sentences(count: int, seed: int = 0) -> list[str]:
    """`count` short texts of simple words, all different."""
    rng = random.Random(seed)
    texts = []
    for number in range(count):
        words = [rng.choice(WORDS) for _ in range(rng.randint(5, 40))]
        texts.append(" ".join(words) + f".\n“{rng.choice(WORDS)}!” No {number}.")
    return texts


def encode(documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
    """Ids with both bounds, as the causal objective makes them."""
    ids = tokenizer.encode_batch([document.text for document in documents])
    return [Encoded([tokenizer.bos_id, *row, tokenizer.eos_id]) for row in ids]


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Tokenizer]:
    """A small tokenizer of each kind, trained on the same texts."""
    texts = sentences(300)
    return {
        kind: Tokenizer.train(texts, TokenizerConfig(kind=kind, vocab_size=350)) for kind in ("bpe", "sentencepiece")
    }


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A text file of 200 documents."""
    path = tmp_path / "corpus.txt"
    path.write_text("\n<|endoftext|>\n".join(sentences(200)), encoding="utf-8")
    return path


@pytest.fixture
def prepared() -> Callable[..., Dataset]:
    """`prepared(path, **data options)`: the data of a text file, with a small vocabulary."""

    def make(path: Path, vocab_size: int = 300, view_key: str = "causal", encode=encode, **options) -> Dataset:
        config = DataConfig.model_validate({"sources": [{"kind": "text", "paths": [str(path)]}], **options})
        return prepare(config, TokenizerConfig(vocab_size=vocab_size), encode, str, view_key, seed=1)

    return make
