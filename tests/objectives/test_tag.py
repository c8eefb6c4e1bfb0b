"""Tags of words: entities as CoNLL counts them, losses as in transformers, baselines, resume, spans of a text."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.document import Document
from lilliput.data.rows import Encoded
from lilliput.model.huggingface import to_huggingface
from lilliput.objectives.entities import Found, compare, dictionary, spans_of, tags_of
from lilliput.objectives.tag import Tag, Tagger, encode_words
from tests.objectives import teaching, trl_side
from tests.objectives.teaching import SHAPES, TOKENIZER, document, pairs, tiny, workshop

CONFIG = Tag(labels=("pet", "sky"))


def sentences(count: int) -> list[Document]:
    words = [["the", "red", "cat", "saw", "rain"], ["a", "bird", "sang", ",", "sun"], ["who", "ran"]]
    tags = [["O", "B-pet", "I-pet", "O", "B-sky"], ["O", "B-pet", "O", "O", "B-sky"], ["O", "O"]]
    return [
        document("tagged", n, text=" ".join(words[n % 3]), words=[*words[n % 3], str(n)], tags=[*tags[n % 3], "O"])
        for n in range(count)
    ]


def tagger(shape: str = "modernbert") -> Tagger:
    made = CONFIG.build(workshop(tiny(**SHAPES[shape])))
    assert isinstance(made, Tagger)
    with torch.no_grad():
        for part in made.head.parameters():
            part.normal_(std=0.2, generator=torch.Generator().manual_seed(1))
    return made


def test_spans_and_f1_by_hand() -> None:
    right = [["B-a", "I-a", "O", "B-b", "O"], ["O", "B-a", "B-a"]]
    found = [["B-a", "I-a", "O", "B-a", "O"], ["I-a", "I-a", "B-a"]]
    # the data has (0,2,a) (3,4,b) and (1,2,a) (2,3,a); found are (0,2,a) (3,4,a) and (0,2,a) (2,3,a): 2 of 4 are right
    assert spans_of(right[0]) == [(0, 2, "a"), (3, 4, "b")]
    assert spans_of(found[1]) == [(0, 2, "a"), (2, 3, "a")]
    score = compare(found, right)
    assert score == Found(2, 4, 4)
    assert (score.precision, score.recall, score.f1) == (0.5, 0.5, 0.5)
    assert compare([["B-a", "O"]], [["O", "O"]]).f1 == 0
    assert compare([["O"]], [["B-a"]]) == Found(0, 0, 1)
    assert compare([["B-a", "O", "O"]], [["B-a", "O", "B-b"]]).f1 == pytest.approx(2 / 3)


def test_f1_is_seqevals() -> None:
    metrics = pytest.importorskip("seqeval.metrics")
    names, rng = tags_of(["a", "b"]), np.random.default_rng(0)
    for _ in range(50):
        sides = [[[names[i] for i in rng.integers(len(names), size=9)] for _ in range(6)] for _ in range(2)]
        score = compare(sides[1], sides[0])
        assert score.f1 == pytest.approx(metrics.f1_score(*sides))
        assert score.precision == pytest.approx(metrics.precision_score(*sides))


def test_tags_are_learned_at_the_first_token_of_each_word() -> None:
    ((first,),) = CONFIG.encode(
        [document("tagged", text="", words=["cat", "xyz", "1"], tags=["B-pet", 0, 3])], TOKENIZER
    )
    ids = list(first.ids)
    pieces = [TOKENIZER.encode(word, continuing=place > 0) for place, word in enumerate(["cat", " xyz", " 1"])]
    assert ids == [TOKENIZER.bos_id, *(number for piece in pieces for number in piece), TOKENIZER.eos_id]
    starts = [start for start, stop in first.learn or () if stop == start + 1]
    assert starts[0] == 1
    firsts = [TOKENIZER.decode([ids[start]], continuing=True) for start in starts]
    assert [first.strip()[0] for first in firsts] == ["c", "x", "1"]  # and never the space alone
    assert dict(first.columns or {}) == {"tags": [1, 0, 3]}
    assert encode_words([""], TOKENIZER)[1] == [None]


@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_gradients_are_those_of_transformers(tmp_path: Path, shape: str) -> None:
    transformers = pytest.importorskip("transformers")
    ours = tagger(shape)
    batch = teaching.first_batch(tmp_path / "data", ours, sentences(6))
    to_huggingface(ours.model, tmp_path / "model", **TOKENIZER.marks, head=ours.stock_head())
    stock = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    assert stock.config.id2label == dict(enumerate(tags_of(CONFIG.labels)))
    real = torch.arange(batch.tokens.shape[-1]) < batch.lengths
    labels = torch.where(batch.weights > 0, batch.targets, -100)[:, 0]
    found = stock(input_ids=batch.tokens[:, 0], attention_mask=real.long(), labels=labels)
    found.loss.backward()
    assert trl_side.our_loss(ours, batch) == pytest.approx(found.loss.item(), abs=trl_side.NEAR)
    trl_side.same_gradients(ours.model, stock)
    with torch.no_grad():
        assert (
            ours.weight(batch)
            == float((labels >= 0).sum())
            == sum(len(each.example.row["tags"]) for each in sentences(6) if each.example)
        )


def test_it_learns_one_batch_by_heart_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    records = teaching.learns_by_heart(tmp_path / "heart", CONFIG, sentences(6))
    assert records[-1]["error"] == 0 < records[0]["error"] <= 1
    assert records[-1]["loss"] < 0.2 * records[0]["loss"]
    assert teaching.resumes_bit_for_bit(tmp_path, CONFIG, sentences(10))


def test_held_out_figures_and_baselines(tmp_path: Path) -> None:
    ours = tagger()
    train = teaching.loader(tmp_path / "train", CONFIG, sentences(12))
    held = teaching.held_out(teaching.loader(tmp_path / "held", CONFIG, sentences(9)))
    found = ours.evaluate(held)
    assert found["val_error"] == 1 - found["val_f1"]
    assert (found["val_words"], found["val_entities"]) == (3 * (6 + 6 + 3), 3 * 4)
    assert found["val_outside"] == pytest.approx(1 - 3 * 5 / 45)
    assert ours.baselines(train, held) == {"all O": 1.0, "word dictionary": 0.0}  # a word has one tag here
    assert dictionary([["a", "a", "b"]], [["O", "B-x", "O"]]) == {"a": "B-x", "b": "O"}


def test_words_that_are_cut_at_the_context_have_no_tag(tmp_path: Path) -> None:
    long = document("tagged", 0, text="", words=["dog"] * 100, tags=["B-pet"] * 100)
    made = teaching.loader(tmp_path, CONFIG, [long, *sentences(3)])
    batch = tagger().batch(made.take(0, 4), np.random.default_rng(0))
    assert batch.lengths.max() == teaching.CONTEXT
    assert ((batch.targets == 1) & (batch.weights > 0)).sum() > 20


def test_entities_of_a_text_are_where_they_stand() -> None:
    text = "Oh! the red cat, @bird and rain..."
    (sequence,) = CONFIG.encode_scored([text], None, TOKENIZER)
    words = ["Oh", "!", "the", "red", "cat", ",", "@bird", "and", "rain", ".", ".", "."]
    assert len(sequence.learn or ()) == len(words)
    tags = dict(zip([start for start, _ in sequence.learn or ()], words, strict=True))
    outputs = torch.zeros(len(sequence.ids), 5)
    for place, word in tags.items():
        outputs[place, {"red": 1, "cat": 2, "rain": 3}.get(word, 0)] = 1.0
    found = CONFIG.answer(outputs, text, sequence)["entities"]
    assert [(each["type"], each["text"]) for each in found] == [("pet", "red cat"), ("sky", "rain")]
    assert [text[each["start"] : each["stop"]] for each in found] == ["red cat", "rain"]
    rain = next(place for place, word in tags.items() if word == "rain")
    cut = CONFIG.answer(outputs[:rain], text, sequence)["entities"]  # the context holds no more
    assert [each["text"] for each in cut] == ["red cat"]
    assert CONFIG.answer(outputs[:1], "", Encoded([0], [])) == {"entities": []}


def test_what_cannot_be_learned_is_named() -> None:
    odd = document("tagged", text="a", words=["a"], tags=["B-town"])
    with pytest.raises(DataError, match="has the tag 'B-town', which is none of O, B-pet, I-pet") as no:
        CONFIG.encode([odd], TOKENIZER)
    assert no.value.hint == "name the types of entities: 'objective.labels=[town]'"
    for labels, words in [((), "needs types"), (("a", "a"), "each once"), (("O", "verb"), "has the tags verb")]:
        with pytest.raises(ConfigError, match=words):
            Tag(labels=labels).build(workshop(tiny()))
    with pytest.raises(DataError, match="learns from tagged words"):
        CONFIG.encode(pairs(1), TOKENIZER)
    with pytest.raises(ConfigError, match="reads texts alone"):
        CONFIG.encode_scored(["a"], None, TOKENIZER, pair="b")
