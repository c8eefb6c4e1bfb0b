"""Text to text and span corruption: what is encoded, what is left out, the loss of transformers, and whole runs."""

from typing import Any, cast

import numpy as np
import pytest
import torch
import transformers

from lilliput import api
from lilliput.base.errors import ConfigError, DataError
from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.rows import Rows
from lilliput.data.special_tokens import SPANS
from lilliput.data.tokenizer import Tokenizer, TokenizerConfig
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from lilliput.objectives.span import GAP, MissingSpans, Span, counts, filled, marks_of, spans
from lilliput.objectives.text_to_text import TextToText, TextToTextPairs, pair_of
from lilliput.objectives.workshop import Workshop
from lilliput.storybook.rewrites import rewrite
from tests.model.families import config, stir

TEXT = "Once upon a time there was a little dog. He had a red ball, and he liked to run. "


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT] * 9, TokenizerConfig(vocab_size=420), tuple(SPANS))


def model_of(tokenizer: Tokenizer, **changes: Any) -> Model:
    return stir(Model(config("t5", vocab_size=tokenizer.vocab_size, context_length=32, **changes)))


def rows_of(pairs: list[tuple[str, str]], tokenizer: Tokenizer, length: int = 33) -> Rows:
    """Rows of two sequences, as the loader gives them."""
    documents = [
        Document("", f"d:{place}", example=Example("completion", {"prompt": one, "completion": two}))
        for place, (one, two) in enumerate(pairs)
    ]
    encoded = TextToText().encode(documents, tokenizer)
    tokens = np.full((len(pairs), 2, length), tokenizer.pad_id, np.int64)
    learn, segments = np.zeros(tokens.shape, np.float32), np.full(tokens.shape, -1, np.int64)
    for row, sequences in enumerate(encoded):
        for side, sequence in enumerate(sequences):
            tokens[row, side, : len(sequence.ids)] = sequence.ids
            segments[row, side, : len(sequence.ids)] = 0
            for start, stop in sequence.learn or []:
                learn[row, side, start:stop] = 1
    return Rows(tokens, learn, segments)


def test_the_loss_is_that_of_transformers(tokenizer, tmp_path):
    model = model_of(tokenizer)
    objective = TextToTextPairs(TextToText(), Workshop(tokenizer, model))
    batch = objective.batch(
        rows_of([("a little dog", "a red ball"), ("run", "to")], tokenizer), np.random.default_rng(0)
    )
    to_huggingface(model, tmp_path, **tokenizer.marks)
    theirs = cast(Any, transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path)).eval()
    labels = torch.where(batch.weights > 0, batch.targets, -100)
    mask = (torch.arange(batch.sources.shape[1]) < batch.source_lengths[:, None]).long()
    with torch.no_grad():
        # transformers makes the decoder's input from the labels alone.
        expected = theirs(input_ids=batch.sources, attention_mask=mask, labels=labels).loss
        ours = objective.loss(batch).total / objective.weight(batch)
    assert float(ours) == pytest.approx(float(expected), rel=1e-5)


def test_a_pair_is_a_source_between_marks_and_a_target_that_ends(tokenizer):
    source, target = TextToText().encode(
        [Document("", "d:0", example=Example("completion", {"prompt": "a dog", "completion": "a ball"}))], tokenizer
    )[0]
    assert list(source.ids) == [*tokenizer.beginning, *tokenizer.encode("a dog"), tokenizer.eos_id]
    assert source.learn == []
    assert list(target.ids) == [tokenizer.pad_id, *tokenizer.encode("a ball"), tokenizer.eos_id]
    assert target.learn == [(1, len(target.ids))]
    assert TextToText().opening(tokenizer, list(source.ids)) == "a dog"
    assert TextToText().opening(tokenizer, list(target.ids)) == ""


def test_a_conversation_gives_its_last_reply():
    turns = [("user", "Tell me."), ("assistant", "What?"), ("user", "A tale."), ("assistant", "Once.")]
    messages = [{"role": role, "content": content} for role, content in turns]
    assert pair_of({"messages": messages}) == ("Tell me.\nWhat?\nA tale.", "Once.")
    with pytest.raises(DataError, match="has to end with a message of the assistant"):
        pair_of({"messages": messages[:3]})


def test_spans_have_t5s_numbers_and_every_division():
    assert counts(256, 0.15, 3.0) == (38, 13)
    assert counts(2, 0.15, 3.0) == (1, 1)
    seen = set()
    rng = np.random.default_rng(0)
    for _ in range(400):
        kept, missing = spans(8, 0.5, 2.0, rng)
        assert (kept.sum(), missing.sum(), len(kept), len(missing)) == (4, 4, 2, 2)
        seen.add((*kept.tolist(), *missing.tolist()))
    assert len(seen) == 9  # three divisions of 4 into two parts, on each side


def test_source_and_target_hold_the_whole_text(tokenizer):
    model = model_of(tokenizer)
    objective = MissingSpans(Span(), Workshop(tokenizer, model))
    long = tokenizer.encode(TEXT * 3)
    ids = np.array([long[:32], [*long[:20], *[tokenizer.pad_id] * 12]])
    rows = Rows(np.pad(ids, ((0, 0), (0, 1))), np.ones((2, 33), np.float32), np.pad(ids, ((0, 0), (0, 1))) * 0)
    assert rows.segments is not None
    rows.segments[1, 20:] = -1
    batch = objective.batch(rows, np.random.default_rng(3))
    marks = marks_of(tokenizer)
    for row, length in enumerate((32, 20)):
        source = batch.sources[row, : int(batch.source_lengths[row])].tolist()
        target = batch.targets[row][batch.weights[row] > 0].tolist()
        assert source[-1] == target[-1] == tokenizer.eos_id
        parts: dict[int, list[int]] = {}
        here: list[int] = []
        for number in target[:-1]:
            if number in marks:
                here = parts.setdefault(number, [])
            else:
                here.append(number)
        whole = [each for number in source[:-1] for each in parts.get(number, [number])]
        assert whole == ids[row, :length].tolist()
        missing, count = counts(length, 0.15, 3.0)
        assert list(parts) == marks[:count]
        assert sum(map(len, parts.values())) == missing
        learned = [number for number in target if number not in marks]
        assert float(batch.sizes[row].sum()) == sum(tokenizer.token_bytes()[learned])
    again = objective.batch(rows, np.random.default_rng(3))
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_gaps_are_typed_and_filled(tokenizer):
    config = Span()
    text = f"Once upon a {GAP} there was a {GAP}."
    ids = config.source(tokenizer, text)
    first, second = marks_of(tokenizer)[:2]
    assert ids.count(first) == ids.count(second) == 1
    made = [first, *tokenizer.encode(" time", continuing=True), second, *tokenizer.encode(" dog", continuing=True)]
    assert config.text_of(tokenizer, text, None, made) == "Once upon a time there was a dog."
    assert config.text_of(tokenizer, text, None, made[:2]).endswith(f"was a {GAP}.")
    assert filled(tokenizer, made) == {0: " time", 1: " dog"}
    reader = config.reader(tokenizer, text, None)
    assert "".join([*map(reader.push, made), reader.flush()]) == " time\n dog"
    for wrong in ("no gap", GAP * 101):
        with pytest.raises(ConfigError, match=r"gaps, and this model fills 1 to 100"):
            config.source(tokenizer, wrong)


def test_a_tokenizer_with_too_few_marks_is_refused(tokenizer):
    few = Tokenizer.train([TEXT] * 9, TokenizerConfig(vocab_size=300), ("span_0", "span_1"))
    with pytest.raises(ConfigError, match=r"has marks for 2") as caught:
        MissingSpans(Span(fraction=0.5), Workshop(few, model_of(few)))
    assert caught.value.hint == "give longer spans: objective.mean_span=8.0"


def test_a_rewrite_is_the_same_every_time_and_true_to_its_story():
    found = [rewrite(1, number) for number in range(60)]
    assert found == [rewrite(1, number) for number in range(60)]
    sorts = {task.columns["task"] for task in found}
    assert sorts == {"summary", "answer", "reverse"}
    for task in found:
        source, target = task.row["prompt"], task.row["completion"]
        if task.columns["task"] == "reverse":
            assert source == "reverse: " + " ".join(reversed(target.split()))
    only = [rewrite(1, number, {"reverse": 1.0}).columns["task"] for number in range(9)]
    assert set(only) == {"reverse"}


TINY = [
    *("tokenizer.vocab_size=420", "model.d_model=32", "model.n_layers=1", "model.encoder_layers=1", "model.n_heads=2"),
    *("model.d_head=16", "model.d_mlp=48", "train.steps=4", "train.batch_tokens=1024", "evaluate.steps=2"),
    *("evaluate.tokens=1024", "evaluate.final_tokens=2048", "evaluate.sample_tokens=4"),
]


@pytest.mark.parametrize(
    ("recipe", "more", "figure"),
    [
        ("text-to-text", ["data.sources.0.count=60", "objective.exact=4"], "val_target_bits_per_byte"),
        ("span", ["data.sources.0.stories=40", "train.batch_tokens=512"], "val_span_bits_per_byte"),
    ],
)
def test_a_run_trains_generates_and_is_resumed(recipe, more, figure, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = api.train(recipe, [*TINY, *more], name="r", live=False)
    assert 0 < run.summary[figure] < 20
    generator = api.load("runs/r")
    assert generator.objective.kind == {"text-to-text": "text_to_text", "span": "span"}[recipe]
    prompt = "a dog" if recipe == "text-to-text" else "a ___ dog"
    (drawn,) = generator.generate(prompt, max_tokens=5, temperature=0)
    assert generator.search(prompt, beams=2, max_tokens=5)
    assert drawn == generator.generate_batch([prompt], max_tokens=5, temperature=0)[0]
    assert (tmp_path / "runs/r/samples.md").read_text().count("## step") >= 2
    api.train(recipe, [*TINY, *more], name="again", live=False)
    assert api.load("runs/again").model.state_dict().keys() == generator.model.state_dict().keys()
    vectors = api.embed("runs/r", ["a dog", "a little red ball", "a dog"])
    assert vectors.shape == (3, 32)
    assert np.allclose(vectors[0], vectors[2], atol=1e-5)
    with pytest.raises(ConfigError, match="cannot lead to a given ending"):
        generator.generate(ending="The end.")
    with pytest.raises(ConfigError, match="answers a source"):
        generator.speculate(generator, prompt)


def test_a_folder_of_pairs_with_source_and_target_is_learned(tmp_path, monkeypatch):
    import json

    monkeypatch.chdir(tmp_path)
    rows = [{"source": f"number {place}", "target": f"{place} is it"} for place in range(80)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = api.train("text-to-text", TINY, data=["pairs.jsonl"], name="p", live=False)
    assert run.summary["val_exact"] >= 0


def test_another_family_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"'text_to_text' trains an encoder-decoder, and the model is a decoder"):
        api.train("text-to-text", ["model.style=story_1m"], name="r", live=False)
    with pytest.raises(ConfigError, match=r"'causal' trains a decoder, and the model is an encoder-decoder"):
        api.train("story", ["model.style=t5_2.5m"], name="r", live=False)
