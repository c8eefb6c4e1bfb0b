"""Classification: labels, losses as in transformers, figures with intervals, baselines, resume, the stock folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.document import Document
from lilliput.model.huggingface import to_huggingface
from lilliput.objectives.bag_of_words import baselines
from lilliput.objectives.classify import Classifier, Classify, one_text
from tests.objectives import teaching, trl_side
from tests.objectives.teaching import SHAPES, TOKENIZER, document, pairs, tiny, workshop

TWO = Classify(labels=("dull", "bright"))


def sentiments(count: int, scores: bool = False) -> list[Document]:
    words = ["rain", "sun", "a mat", "a red ball"]
    return [
        document(
            "labelled",
            number,
            text=f"the dog saw {words[number % 4]} {number}",
            pair=None if number % 2 else "a bird sang",
            label=(number % 4) / 2 if scores else number % 4 % 2,
        )
        for number in range(count)
    ]


def classifier(config: Classify = TWO) -> Classifier:
    made = config.build(workshop(tiny()))
    assert isinstance(made, Classifier)
    with torch.no_grad():
        made.head.score.weight.normal_(std=0.2, generator=torch.Generator().manual_seed(1))
    return made


@pytest.mark.parametrize(
    ("labels", "given", "number"),
    [
        (("a", "b"), "b", 1),
        (("a", "b"), 1, 1),
        (("a", "b"), True, 1),
        (("1", "0"), "0", 1),
        (("a", "b"), "0", 0),
        ((), 2.5, 2.5),
    ],
)
def test_a_label_is_a_name_a_number_or_a_score(labels: tuple[str, ...], given: Any, number: float) -> None:
    assert Classify(labels=labels).number_of(given, "row 1", [given]) == number


def test_labels_of_no_class_are_refused() -> None:
    with pytest.raises(DataError, match=r"row 1 has the label 'c', which is none of a, b and no number from 0 to 1"):
        Classify(labels=("a", "b")).number_of("c", "row 1", ["c"])
    with pytest.raises(DataError, match="which is no number") as no:
        Classify().number_of("yes", "row 1", ["yes", "no", "yes"])
    assert no.value.hint == "name the classes: 'objective.labels=[no,yes]'"
    for labels in (("a",), ("a", "a")):
        with pytest.raises(ConfigError, match="a class needs another one"):
            Classify(labels=labels).build(workshop(tiny()))
    with pytest.raises(DataError, match="learns from labelled texts"):
        TWO.encode(pairs(1), TOKENIZER)


def test_a_pair_is_one_text_of_two_lines() -> None:
    ((first,), (second,)) = TWO.encode(sentiments(2), TOKENIZER)
    assert list(first.ids) == [
        TOKENIZER.bos_id,
        *TOKENIZER.encode("the dog saw rain 0\na bird sang"),
        TOKENIZER.eos_id,
    ]
    assert one_text("a", None) == "a"
    assert dict(second.columns or {}) == {"label": 1}


@pytest.mark.parametrize("scores", [False, True])
def test_loss_and_gradients_are_those_of_transformers(tmp_path: Path, scores: bool) -> None:
    transformers = pytest.importorskip("transformers")
    ours = classifier(Classify() if scores else TWO)
    batch = teaching.first_batch(tmp_path / "data", ours, sentiments(6, scores))
    to_huggingface(ours.model, tmp_path / "model", **TOKENIZER.marks, head=ours.head)
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", dtype=torch.float32)
    real = torch.arange(batch.tokens.shape[-1]) < batch.lengths
    found = stock(input_ids=batch.tokens[:, 0], attention_mask=real.long(), labels=batch.labels)
    found.loss.backward()
    assert trl_side.our_loss(ours, batch) == pytest.approx(found.loss.item(), abs=trl_side.NEAR)
    trl_side.same_gradients(ours.model, stock)
    torch.testing.assert_close(ours.head.score.weight.grad, stock.score.weight.grad, atol=trl_side.NEAR, rtol=0)


@pytest.mark.parametrize("scores", [False, True])
def test_it_learns_one_batch_by_heart_and_goes_on_bit_for_bit(tmp_path: Path, scores: bool) -> None:
    config = Classify() if scores else TWO
    records = teaching.learns_by_heart(tmp_path / "heart", config, sentiments(8, scores))
    assert records[-1]["error"] < 0.2
    assert records[-1]["loss"] < 0.2 * records[0]["loss"]
    assert ("accuracy" in records[-1]) != scores
    assert teaching.resumes_bit_for_bit(tmp_path, config, sentiments(10, scores))


def test_held_out_figures(tmp_path: Path) -> None:
    ours = classifier()
    found = ours.evaluate(teaching.held_out(teaching.loader(tmp_path / "classes", TWO, sentiments(20))))
    assert found["val_error"] == pytest.approx(1 - found["val_accuracy"])
    assert found["val_accuracy_low"] < found["val_accuracy"] < found["val_accuracy_high"]
    assert found["val_items"] == 20
    scored = classifier(Classify())
    found = scored.evaluate(teaching.held_out(teaching.loader(tmp_path / "scores", Classify(), sentiments(20, True))))
    assert found.keys() == {"val_loss", "val_error", "val_correlation", "val_items"}
    assert -1 <= found["val_correlation"] <= 1


def test_baselines_stand_beside_the_error(tmp_path: Path) -> None:
    train = teaching.loader(tmp_path / "train", TWO, sentiments(40))
    held = teaching.held_out(teaching.loader(tmp_path / "held", TWO, sentiments(12)))
    found = classifier().baselines(train, held)
    assert found == {"majority class": 0.5, "bag of words": 0.0}  # a class is a word here
    scored = classifier(Classify())
    train = teaching.loader(tmp_path / "scores", Classify(), sentiments(40, True))
    found = scored.baselines(train, teaching.held_out(train))
    assert found["bag of words"] < 0.5 * found["majority class"]


def test_the_linear_model_of_words_is_scikit_learns() -> None:
    """With two classes the penalty of softmax regression is half that of logistic regression: C=2."""
    linear, text = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("sklearn.feature_extraction.text")
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 40, 6)) for _ in range(300)]
    labels = [int("w1 " in each or "w2" in each or rng.random() < 0.2) for each in texts]
    counts = text.CountVectorizer(binary=True, token_pattern=r"\w+")
    model = linear.LogisticRegression(C=2.0, max_iter=1000).fit(counts.fit_transform(texts[:200]), labels[:200])
    expected = float((model.predict(counts.transform(texts[200:])) != np.array(labels[200:])).mean())
    found = baselines([texts[:200], texts[200:]], [labels[:200], labels[200:]], 2)
    assert found["bag of words"] == pytest.approx(expected, abs=1e-6)
    assert 0 < expected < found["majority class"]


MARKS = Classify(labels=("dull", "bright"), pairs="marks")
ENCODERS: dict[str, dict[str, Any]] = {"bert": SHAPES["bert"], "modernbert": SHAPES["modernbert"]}


def test_how_a_pair_is_read_follows_from_the_model() -> None:
    decoder, encoder = tiny().config, tiny(causal=False).config
    assert TWO.fitted(decoder).pairs == "lines"
    assert TWO.fitted(encoder) == MARKS
    assert MARKS.fitted(decoder) == MARKS
    ((first,), (second,)) = MARKS.encode(sentiments(2), TOKENIZER)
    before = [TOKENIZER.bos_id, *TOKENIZER.encode("the dog saw rain 0"), TOKENIZER.eos_id]
    assert list(first.ids) == [*before, *TOKENIZER.encode("a bird sang"), TOKENIZER.eos_id]
    assert dict(first.columns or {}) == {"label": 0, "second": len(before)}
    assert dict(second.columns or {}) == {"label": 1}
    assert [list(each.ids) for each in MARKS.encode_scored(["the dog saw rain 0"], None, TOKENIZER, "a bird sang")] == [
        list(first.ids)
    ]


@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize("scores", [False, True])
def test_an_encoders_loss_and_gradients_are_those_of_transformers(tmp_path: Path, scores: bool, family: str) -> None:
    """BERT reads the second text of a pair with types of its own."""
    transformers = pytest.importorskip("transformers")
    config = Classify(pairs="marks") if scores else MARKS
    ours = config.build(workshop(tiny(**ENCODERS[family])))
    assert isinstance(ours, Classifier)
    batch = teaching.first_batch(tmp_path / "data", ours, sentiments(6, scores))
    to_huggingface(ours.model, tmp_path / "model", **TOKENIZER.marks, head=ours.head)
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", dtype=torch.float32)
    real = torch.arange(batch.tokens.shape[-1]) < batch.lengths
    types = {"token_type_ids": batch.types[:, 0]} if family == "bert" else {}
    assert ("types" in batch.fields) == (family == "bert")
    if family == "bert":
        assert 0 < int(batch.types.amax((1, 2)).sum()) < len(batch)  # every second text is a pair
    found = stock(input_ids=batch.tokens[:, 0], attention_mask=real.long(), labels=batch.labels, **types)
    found.loss.backward()
    assert trl_side.our_loss(ours, batch) == pytest.approx(found.loss.item(), abs=trl_side.NEAR)
    trl_side.same_gradients(ours.model, stock)
    torch.testing.assert_close(ours.head.score.weight.grad, stock.classifier.weight.grad, atol=trl_side.NEAR, rtol=0)
    if family == "bert":
        pooler = stock.bert.pooler.dense.weight.grad
        assert ours.head.pooler is not None
        torch.testing.assert_close(ours.head.pooler.weight.grad, pooler, atol=trl_side.NEAR, rtol=0)


def test_a_head_of_modernbert_reads_the_mean_or_the_first_position(tmp_path: Path) -> None:
    first = Classify(labels=("dull", "bright"), pooling="first").build(workshop(tiny(**SHAPES["modernbert"])))
    mean = MARKS.build(workshop(tiny(**SHAPES["modernbert"])))
    assert isinstance(first, Classifier)
    assert isinstance(mean, Classifier)
    assert (first.head.pooling, mean.head.pooling) == ("first", "mean")
    batch = teaching.first_batch(tmp_path, mean, sentiments(6))
    assert first.loss(batch).total.item() != pytest.approx(mean.loss(batch).total.item(), abs=1e-4)
    for shape in ("bert", "decoder"):
        with pytest.raises(ConfigError, match="only a head of ModernBERT's parts has a choice"):
            Classify(labels=("dull", "bright"), pooling="mean").build(workshop(tiny(**SHAPES[shape])))


def test_the_baselines_read_both_texts_of_a_pair(tmp_path: Path) -> None:
    made = teaching.loader(tmp_path, MARKS, sentiments(4))
    texts, labels = classifier()._read(made, 4)
    assert sorted(texts) == sorted(
        "\n".join(filter(None, (each.example.row["text"], each.example.row["pair"])))
        for each in sentiments(4)
        if each.example
    )
    assert sorted(labels) == [0, 0, 1, 1]


def test_names_of_classes_stand_in_the_folder(tmp_path: Path) -> None:
    ours = classifier()
    to_huggingface(ours.model, tmp_path, **TOKENIZER.marks, head=ours.stock_head())
    config = pytest.importorskip("transformers").AutoConfig.from_pretrained(tmp_path)
    assert config.id2label == {0: "dull", 1: "bright"}
    assert config.label2id == {"dull": 0, "bright": 1}


def test_rows_that_are_cut_at_the_context_keep_their_label(tmp_path: Path) -> None:
    long = document("labelled", text="the dog " * 200, pair=None, label="bright")
    made = teaching.loader(tmp_path, TWO, [long, *sentiments(3)])
    batch = classifier().batch(made.take(0, 4), np.random.default_rng(0))
    assert batch.tokens.shape == (4, 1, teaching.CONTEXT)
    assert batch.lengths.max() == teaching.CONTEXT
