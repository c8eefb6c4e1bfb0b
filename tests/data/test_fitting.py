"""Fitting: examples longer than a row are cut, left out or refused, in one place for all rows."""

import numpy as np
import pytest

from lilliput.base.errors import DataError
from lilliput.data.fitting import Reserved, fit
from lilliput.data.loader import Loader
from lilliput.data.rows import Encoded
from lilliput.data.shards import ShardWriter
from lilliput.data.split import Split


def split(folder, documents, kind="completion"):
    """Documents of sequences of (length, first learned token)."""
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, "train", "uint16", 30, 0) as writer:
        for number, sequences in enumerate(documents):
            made = [Encoded([0, *range(5, 4 + size)], [(at, size)]) for size, at in sequences]
            writer.add_document(made, f"{number}", 1)
        facts = writer.close()
    return Split(folder, "train", {**facts, "kinds": {kind: len(documents)}}, "uint16")


def test_a_long_example_is_cut_and_left_out_where_nothing_to_learn_is_left(tmp_path):
    found = fit(split(tmp_path, [[(4, 2)], [(12, 5)], [(12, 9)], [(8, 2)]]), 8)
    assert found.numbers.tolist() == [0, 1, 3]
    assert found.lengths.tolist() == [4, 8, 8]
    assert (found.longest, found.longer, found.truncated, found.dropped) == (12, 2, 1, 1)
    assert found.note is not None
    assert "2 of 4 examples of the train split are longer than a row of 8 tokens" in found.note
    assert "Cut at its end: 1; left out, because a cut would leave nothing to learn: 1" in found.note


def test_a_document_of_several_sequences_stays_together(tmp_path):
    found = fit(split(tmp_path, [[(4, 2), (12, 9)], [(12, 2), (5, 2)], [(3, 1), (3, 1)]], "preference"), 8, sequences=2)
    assert found.numbers.tolist() == [2, 3, 4, 5]
    assert found.lengths.tolist() == [8, 5, 3, 3]
    assert (found.truncated, found.dropped) == (1, 1)


def test_other_policies(tmp_path):
    documents = split(tmp_path, [[(4, 2)], [(12, 5)]])
    assert fit(documents, 8, "drop").numbers.tolist() == [0]
    with pytest.raises(
        DataError, match=r"1 of 2 sequences .* row of 8 tokens; the longest has 12\n.*context_length=11"
    ):
        fit(documents, 8, "refuse")
    assert fit(documents, 12, "refuse").note is None
    with pytest.raises(DataError, match="all 1 documents"):
        fit(split(tmp_path / "b", [[(12, 9)]]), 8)


def test_a_prompt_is_never_cut(tmp_path):
    prompts = split(tmp_path, [[(4, 4)], [(12, 12)]], "prompt")
    assert fit(prompts, 8).numbers.tolist() == [0]
    texts = split(tmp_path / "c", [[(4, 2)], [(12, 5)]], "text")  # a text is a prompt where a completion follows it
    assert fit(texts, 13, reserved=Reserved(4, "objective.most")).numbers.tolist() == [0]
    labelled = split(tmp_path / "b", [[(4, 4)], [(12, 12)]], "labelled")  # its tokens are not what is learned
    assert fit(labelled, 8).lengths.tolist() == [4, 8]


def test_a_prompt_leaves_room_for_its_completion(tmp_path):
    """A context of 10 tokens (a row of 11) less 4 holds prompts of 6."""
    prompts, reserved = split(tmp_path, [[(6, 6)], [(7, 7)], [(11, 11)]], "prompt"), Reserved(4, "objective.most")
    found = fit(prompts, 11, reserved=reserved)
    assert found.numbers.tolist() == [0]
    assert (found.longer, found.dropped) == (2, 2)
    assert found.note == (
        "2 of 3 examples of the train split are longer than 6 tokens, which leave 4 of the context to a completion "
        "(objective.most); the longest has 11 tokens. Left out: 2. To keep all of them, give a longer context: "
        "model.context_length=15; or a smaller objective.most"
    )
    assert fit(prompts, 16, reserved=reserved).note is None
    with pytest.raises(DataError, match=r"2 of 3 sequences .*\n.*model.context_length=15.*data.too_long=drop"):
        fit(prompts, 11, "refuse", reserved=reserved)
    with pytest.raises(DataError, match=r"all 3 documents .*objective.most"):
        fit(prompts, 11, reserved=Reserved(11, "objective.most"))


@pytest.mark.parametrize("packing", ["best_fit", "documents"])
def test_rows_hold_the_kept_beginnings(tmp_path, packing):
    data = split(tmp_path, [[(4, 2)], [(12, 5)], [(12, 9)], [(8, 2)]])
    loader = Loader(data, 7, 3, packing, 0, 1, "truncate")
    rows = loader.take(0, loader.rows_per_epoch)
    seen = sorted(number for row in rows.documents for number in row)
    assert seen == [0, 1, 3]
    learned = rows.learn.sum()
    assert learned == 2 + 3 + 6  # of 4, of the first 8 of 12, of 8 tokens
    again = Loader(data, 7, 3, packing, 0, 1, "truncate").take(0, 9)
    assert np.array_equal(loader.take(0, 9).tokens, again.tokens)
    with pytest.raises(DataError, match="2 of 4 sequences"):
        Loader(data, 7, 3, packing, 0, 1, "refuse")


def test_a_long_text_goes_on_in_the_next_row(tmp_path):
    texts = split(tmp_path, [[(4, 1)], [(12, 1)]], "text")
    loader = Loader(texts, 7, 3, "best_fit", 0, 1, "truncate")
    assert loader.fit is None
    assert loader.take(0, loader.rows_per_epoch).learn.sum() == 3 + 11


def test_few_examples_fill_no_row_of_a_long_context(tmp_path):
    examples = split(tmp_path, [[(4, 2)]])
    assert Loader(examples, 5000, 3, "best_fit", 0, 1).rows_per_epoch == 1
