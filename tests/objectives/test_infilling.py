"""Pieces of a text, their rows, and the scores of middles, compared with what the model itself predicts."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.infilling import (
    Kind,
    Order,
    Pieces,
    arranged,
    fitting,
    held_out_texts,
    marks_of,
    middles_of,
    parts_of,
    score_after,
    score_between,
)

TEXT = 'One day Tom saw a red ball. "Is it mine?" he said. It was his. Tom was happy, and he went home.'
TEXTS = [TEXT.replace("Tom", name).replace("ball", thing) for name in ("Ann", "Bo", "Lily") for thing in ("kite", "ö")]
SIZE = 320


def words() -> Iterator[str]:
    yield from TEXTS * 20


@pytest.fixture(scope="module", params=["bpe", "sentencepiece"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train(words(), TokenizerConfig(vocab_size=SIZE, kind=request.param))


@pytest.fixture(scope="module")
def model() -> Model:
    shape = ModelConfig(d_model=16, n_layers=1, n_heads=2, d_mlp=16, vocab_size=SIZE, context_length=96)
    made = Model(shape, seed=0)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    return made.eval()


def log_probabilities(model: Model, ids: list[int]) -> torch.Tensor:
    """(length - 1, V): of each next token, one row alone."""
    with torch.inference_mode():
        return model.logits(model(torch.tensor([ids])))[0, :-1].float().log_softmax(-1)


@pytest.mark.parametrize("text", [*TEXTS, "", "ö", " two  spaces\n\nand a line "])
def test_the_pieces_of_a_row_are_the_text_again(tokenizer: Tokenizer, text: str) -> None:
    places = [(start, stop) for stop in range(len(text) + 1) for start in range(0, stop + 1, 7)]
    pieces = [Pieces.of(text, *pair) for pair in places]
    assert all(each.prefix + each.middle + each.suffix == text for each in pieces)
    for each, parts in zip(pieces, parts_of(pieces, tokenizer), strict=True):
        assert tokenizer.decode(parts.prefix.tolist()) == each.prefix
        assert tokenizer.decode(parts.middle.tolist(), continuing=True) == each.middle
        assert tokenizer.decode(parts.suffix.tolist(), continuing=True) == each.suffix
        assert parts.size == len(each.middle.encode())


def test_both_orders_are_those_of_the_paper(tokenizer: Tokenizer) -> None:
    (parts,) = parts_of([Pieces("One d", "ay Tom", " was happy.")], tokenizer)
    special = tokenizer.specials
    before, after, between = special["fim_prefix"], special["fim_suffix"], special["fim_middle"]
    bos, eos = special["bos"], special["eos"]
    prefix, middle, suffix = parts.prefix.tolist(), parts.middle.tolist(), parts.suffix.tolist()
    psm, spm = (arranged(parts, order, tokenizer).tolist() for order in ("psm", "spm"))  # type: ignore[arg-type]
    assert psm == [bos, before, *prefix, after, *suffix, between, *middle, eos]
    assert spm == [bos, before, after, *suffix, between, *prefix, *middle, eos]


def test_a_tokenizer_without_the_tokens_is_refused() -> None:
    plain = Tokenizer.train(words(), TokenizerConfig(vocab_size=300))
    without = Tokenizer(plain.content.replace("<|fim_suffix|>", "<|other|>"))
    assert len(set(marks_of(plain))) == 3
    with pytest.raises(ConfigError, match="no special token for fim_suffix"):
        marks_of(without)


def test_middles_are_spans_words_and_sentences_and_the_same_each_time() -> None:
    for text in TEXTS:
        cut = {kind: next(middles_of([text], kind)) for kind in ("span", "word", "sentence")}
        assert all(each.prefix + each.middle + each.suffix == text for each in cut.values())
        assert cut["word"].middle.startswith(" ")
        assert cut["word"].middle.strip() in text.split(" ")[1:-1]
        assert cut["sentence"].middle in (' "Is it mine?"', " he said.", " It was his.")
        assert cut["span"].middle.startswith(" ")
        assert cut["span"].suffix.startswith(" ")
    kinds: tuple[Kind, ...] = ("span", "word", "sentence")
    assert all(list(middles_of(TEXTS, kind)) == list(middles_of(TEXTS, kind)) for kind in kinds)
    assert len({each.prefix for each in middles_of(TEXTS, "span")}) > 1  # the place depends on the text
    assert list(middles_of(["", "one", "Two words"], "sentence")) == []
    assert list(middles_of(["Two words"], "word")) == []  # each word is at an end
    assert list(middles_of(["", "x"], "span")) == []
    (characters,) = middles_of(["字典里没有空格"], "span")
    assert characters.prefix
    assert characters.middle
    assert characters.suffix


def test_words_hold_no_line_breaks() -> None:
    text = "one two\n\nthree four five"
    assert {next(middles_of([text + " x" * n], "word")).middle for n in range(40)} <= {" four", " five", " x"}


def test_a_cut_between_words_cuts_no_token(tokenizer: Tokenizer) -> None:
    for each, parts in zip(middles_of(TEXTS, "span"), fitting(middles_of(TEXTS, "span"), tokenizer, 500), strict=True):
        whole = tokenizer.encode(each.prefix + each.middle + each.suffix)
        assert np.concatenate((parts.prefix, parts.middle, parts.suffix)).tolist() == whole


@pytest.mark.parametrize("order", ["psm", "spm"])
def test_scores_are_those_of_one_row_at_a_time(model: Model, tokenizer: Tokenizer, order: Order) -> None:
    middles = fitting(middles_of(TEXTS, "span"), tokenizer, 96)
    assert len(middles) == len(TEXTS)
    nats = {"between": 0.0, "after": 0.0}
    for parts in middles:
        end = len(parts.middle)
        filled = arranged(parts, order, tokenizer).tolist()
        plain = [tokenizer.bos_id, *parts.prefix.tolist(), *parts.middle.tolist()]
        for name, ids, last in (("between", filled, len(filled) - 1), ("after", plain, len(plain))):
            logs = log_probabilities(model, ids)
            nats[name] -= sum(float(logs[place - 1, ids[place]]) for place in range(last - end, last))
    size = sum(parts.size for parts in middles)
    between, after = score_between(model, tokenizer, middles, order), score_after(model, tokenizer, middles)
    assert between is not None
    assert after is not None
    assert between.bits_per_byte == pytest.approx(nats["between"] / math.log(2) / size, rel=1e-4)
    assert after.bits_per_byte == pytest.approx(nats["after"] / math.log(2) / size, rel=1e-4)
    assert between.count == after.count == len(TEXTS)
    assert score_between(model, tokenizer, [], "psm") is None


def test_a_middle_is_exact_where_greedy_generation_gives_it_and_ends(tokenizer: Tokenizer) -> None:
    (right,) = parts_of([Pieces("One day", " Tom", " saw a red ball.")], tokenizer)
    (wrong,) = parts_of([Pieces("One day", " Ann", " saw a red ball.")], tokenizer)
    before, after, between = marks_of(tokenizer)

    class Follows(torch.nn.Module):
        """Predicts after each token the token that comes after it in `text`."""

        def __init__(self, text: list[int]):
            super().__init__()
            self.table = torch.nn.Parameter(torch.zeros(SIZE, SIZE))
            with torch.no_grad():
                for one, other in pairwise(text):
                    self.table[one, other] = 9

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.table[tokens]

        def logits(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden

    ends: Model = Follows([between, *right.middle.tolist(), tokenizer.eos_id])  # type: ignore[assignment]
    goes_on: Model = Follows([between, *right.middle.tolist(), before])  # type: ignore[assignment]
    scores = [score_between(model, tokenizer, [right, wrong], "psm") for model in (ends, goes_on)]
    assert [(score.right, score.exact) for score in scores if score is not None] == [(0.5, 0.5), (0.5, 0)]
    joined = [*right.prefix.tolist(), *right.middle.tolist(), after]
    continues: Model = Follows(joined)  # type: ignore[assignment]
    score = score_after(continues, tokenizer, [right, wrong])
    assert score is not None
    assert score.exact == 0.5  # no end mark is asked for


def test_texts_that_are_too_long_are_cut_or_left_out(tokenizer: Tokenizer) -> None:
    class Split:
        documents = 3

        def document_id(self, number: int) -> str:
            return f"text#{number}"

        def document(self, number: int) -> np.ndarray:
            ids = tokenizer.encode(TEXT * (number + 1))
            return np.array([tokenizer.bos_id, *ids, tokenizer.eos_id])

    split = Split()
    found = held_out_texts(split, tokenizer, 1000, 9, 10**6)  # type: ignore[arg-type]
    assert sorted(found) == sorted(TEXT * n for n in (1, 2, 3))
    assert held_out_texts(split, tokenizer, 1000, 2, 10**6) == found[:2]  # type: ignore[arg-type]
    assert held_out_texts(split, tokenizer, 1000, 9, 1) == found[:1]  # type: ignore[arg-type]
    short = held_out_texts(split, tokenizer, 60, 9, 10**6)  # type: ignore[arg-type]
    assert all(text and (TEXT * 3).startswith(text) for text in short)
    assert len(fitting(middles_of(short, "span"), tokenizer, 60)) == 3
    assert fitting(middles_of(found, "span"), tokenizer, 10) == []
