"""Data of examples: steps by part, sides by prompt, cache, order, and runs that would learn nothing."""

# pyright: reportOptionalMemberAccess=false, reportOperatorIssue=false, reportAttributeAccessIssue=false

import json

import numpy as np
import pytest

from lilliput.base.errors import DataError
from lilliput.data.config import DataConfig, TokenizerConfig
from lilliput.data.curation import Curation
from lilliput.data.dataset import prepare
from lilliput.data.rows import Encoded

from .conftest import sentences


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def config(path, **options):
    return DataConfig.model_validate({"sources": [{"kind": "jsonl", "paths": [str(path)]}], **options})


def pairs(count, prompts):
    texts = sentences(count)
    return [{"prompt": f"Prompt {n % prompts}", "chosen": text, "rejected": "no"} for n, text in enumerate(texts)]


def replies(documents, tokenizer):
    """Prompt and completion, of which the completion is learned."""
    rows = []
    for document in documents:
        prompt, completion = (tokenizer.encode(document.example.row[part]) for part in ("prompt", "completion"))
        ids = [tokenizer.bos_id, *prompt, *completion, tokenizer.eos_id]
        rows.append(Encoded(ids, [(1 + len(prompt), len(ids))]))
    return rows


def prepared(path, encode=replies, **options):
    return prepare(config(path, **options), TokenizerConfig(vocab_size=300), encode, str, "toy", seed=1)


def completions(path, count=120):
    rows = [{"prompt": f"Question {n}?", "completion": f" {text}"} for n, text in enumerate(sentences(count))]
    return write(path, rows)


def test_the_prompt_decides_the_side(tmp_path):
    path = write(tmp_path / "a.jsonl", pairs(300, 40))
    items = list(Curation(config(path, validation_fraction=0.2)))
    by_prompt = {}
    for item in items:
        by_prompt.setdefault(item.document.example.key, set()).add(item.split)
    assert all(len(sides) == 1 for sides in by_prompt.values())
    assert {"train", "validation"} == set.union(*by_prompt.values())
    assert all(item.size == len(item.document.text.encode()) for item in items)


def test_steps_change_each_part_by_itself(tmp_path):
    rows = [{"prompt": [{"role": "user", "content": "Hi\r\n"}], "chosen": "e\u0301", "rejected": "\r"}]
    path = write(tmp_path / "a.jsonl", rows * 2)
    item = next(iter(Curation(config(path))))
    assert item.document.example.row == {
        "prompt": [{"role": "user", "content": "Hi\n"}],
        "chosen": [{"role": "assistant", "content": "é"}],
        "rejected": [{"role": "assistant", "content": "\n"}],
    }
    assert item.document.text == item.document.example.text
    plain = next(iter(Curation(config(path, steps=[]))))
    assert plain.document.example.row["chosen"][0]["content"] == "e\u0301"


def test_a_step_drops_an_example_by_all_of_its_text(tmp_path):
    rows = [
        {"prompt": "a b c", "completion": "d"},
        {"prompt": "a", "completion": "b"},
        {"prompt": "x y", "completion": "z u"},
    ]
    curation = Curation(config(write(tmp_path / "a.jsonl", rows), steps=[{"kind": "length", "min_words": 4}]))
    assert [item.document.example.row["prompt"] for item in curation] == ["a b c", "x y"]
    assert curation.drops == {"fewer than 4 words": 1}


def test_half_a_surrogate_pair_in_a_part_is_replaced(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "a \\ud83d", "completion": "b"}\n{"prompt": "c", "completion": "d"}')
    with pytest.raises(DataError, match="half a surrogate pair"):
        list(Curation(config(path)))
    first = next(iter(Curation(config(path, errors="replace"))))
    assert first.document.example.row["prompt"] == "a \ufffd"


@pytest.mark.parametrize(("fraction", "lonely"), [(0.0001, "validation"), (0.9999, "train")])
def test_of_few_examples_a_prompt_with_all_its_replies_is_moved(tmp_path, fraction, lonely):
    curation = Curation(config(write(tmp_path / "a.jsonl", pairs(9, 3)), validation_fraction=fraction))
    items = list(curation)
    moved = [item for item in items if item.split == lonely]
    assert len(items) == 9
    assert len(moved) == 3
    assert len({item.document.example.key for item in moved}) == 1
    assert "with the 2 other examples of its prompt" in curation.kept_back
    one = Curation(config(write(tmp_path / "b.jsonl", pairs(4, 1)), validation_fraction=fraction))
    assert sum(item.split == lonely for item in one) == 1
    assert "all of them have one prompt" in one.kept_back


def test_a_single_example_is_never_cut(tmp_path):
    rows = [{"prompt": "A question. " * 20, "completion": "An answer. " * 20}]
    curation = Curation(config(write(tmp_path / "a.jsonl", rows)))
    assert len(list(curation)) == 1
    with pytest.raises(DataError, match="only one example, and an example is never cut in two"):
        curation.check()
    curation = Curation(config(tmp_path / "a.jsonl", validation_fraction=0))
    assert [item.split for item in curation] == ["train"]
    curation.check()


def test_max_documents_and_mixing_count_examples(tmp_path):
    completions(tmp_path / "a.jsonl")
    write(tmp_path / "b.jsonl", pairs(50, 50))
    sources = [{"kind": "jsonl", "paths": [str(tmp_path / name)]} for name in ("a.jsonl", "b.jsonl")]
    items = list(Curation(DataConfig.model_validate({"sources": sources, "max_documents": 10})))
    assert [item.document.kind for item in items] == ["completion", "preference"] * 5


def test_the_cache_is_found_and_rows_come_in_the_same_order(tmp_path):
    path = completions(tmp_path / "a.jsonl")
    first = prepared(path)
    assert "rows are prompts with completions: prompt, completion" in first.notes[0]
    assert first.manifest["splits"]["train"]["kinds"].keys() == {"completion"}
    again = prepared(path)
    assert again.folder == first.folder
    assert "found in the cache" in again.notes[0]
    one, other = (data.loader("train", 64) for data in (first, again))
    assert one.packing == "best_fit"
    for place in (0, one.rows_per_epoch - 2):  # across an epoch's end
        rows, same = one.take(place, 5), other.take(place, 5)
        assert np.array_equal(rows.tokens, same.tokens)
        assert np.array_equal(rows.learn, same.learn)
        assert rows.documents == same.documents
    path.write_text(path.read_text().replace("Question 7?", "Question x?"))
    assert prepared(path).folder != first.folder


def test_only_completions_are_learned(tmp_path):
    data = prepared(completions(tmp_path / "a.jsonl"))
    split = data.split("train")
    for number in range(0, split.documents, 17):
        ids, learned = split.document(number), split.document_learn(number)
        assert learned is not None
        assert data.tokenizer.decode(ids[~learned].tolist()).startswith("Question ")
        assert "Question" not in data.tokenizer.decode(ids[learned].tolist())
    data.check_learned(lambda kinds: None)


def test_a_run_that_would_learn_nothing_is_refused(tmp_path):
    def nothing(documents, tokenizer):
        return [Encoded(row.ids, []) for row in replies(documents, tokenizer)]

    data = prepared(completions(tmp_path / "a.jsonl"), encode=nothing)
    with pytest.raises(DataError, match=r"learn nothing: no token .* is learned \(\d+ prompts with completions\)"):
        data.check_learned(lambda kinds: None)

    def prompts(documents, tokenizer):
        return [Encoded([tokenizer.bos_id, *tokenizer.encode(document.text)], []) for document in documents]

    path = write(tmp_path / "b.jsonl", [{"prompt": text} for text in sentences(60)])
    prepared(path, encode=prompts).check_learned(lambda kinds: None)  # their completions are generated in training


def test_a_check_sees_documents_before_a_tokenizer_is_trained(tmp_path):
    def check(document):
        raise DataError(f"{document.id} is refused")

    options = config(completions(tmp_path / "a.jsonl"))
    notes = []
    with pytest.raises(DataError, match=r"a.jsonl:1 is refused"):
        prepare(options, TokenizerConfig(vocab_size=300), replies, str, "toy", 1, notify=notes.append, check=check)
