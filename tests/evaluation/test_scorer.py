import math

import pytest
import torch

from lilliput.base.errors import DataError, ModelError
from lilliput.evaluation.scorer import score_pairs
from lilliput.model.transformer import Model

GROUPS = [
    [("The cat sat", " on a mat"), ("The cat sat", " on a red ball"), ("The cat sat", " no")],
    [("", " the cat saw one dog"), ("", " the cat saw one kite")],
    [("Question: red or blue?\nAnswer:", " A"), ("Question: red or blue?\nAnswer:", " B")],
    [("a dog ", "sat"), ("a cat", " sat")],
    [("one kite and one dog", " sat on the mat"), ("one ball and one dog", " sat on the mat")],
    [("x", "y")],
]


def by_hand(tiny, context, continuation):
    """(log-probability, tokens, greedy) of a pair that fits the context, one target at a time."""
    kept = context.rstrip()
    continuation = context[len(kept) :] + continuation
    ids = tiny.tokenizer.encode(kept + continuation)
    first = len(tiny.tokenizer.encode(kept)) if kept else 0
    ids, first = [tiny.tokenizer.bos_id, *ids], first + 1
    total, greedy = 0.0, True
    for at in range(first, len(ids)):
        with torch.no_grad():
            logits = tiny.model.logits(tiny.model(torch.tensor([ids[:at]])))[0, -1]
        total += logits.log_softmax(-1)[ids[at]].item()
        greedy &= int(logits.argmax()) == ids[at]
    return total, len(ids) - first, greedy


@pytest.mark.parametrize("batch_tokens", [1, 60, 16384])
def test_scores_are_those_of_one_target_at_a_time(tiny, batch_tokens):
    found = score_pairs(tiny.model, tiny.tokenizer, GROUPS, batch_tokens)
    for group, scores in zip(GROUPS, found, strict=True):
        for pair, score in zip(group, scores, strict=True):
            total, tokens, greedy = by_hand(tiny, *pair)
            assert score.log_probability == pytest.approx(total, rel=1e-4)
            assert (score.tokens, score.greedy, score.cut) == (tokens, greedy, False)


def test_what_the_model_generates_by_itself_is_greedy(tiny):
    ids = [tiny.tokenizer.bos_id, *tiny.tokenizer.encode("the cat")]
    for _ in range(3):
        with torch.no_grad():
            ids.append(int(tiny.model.logits(tiny.model(torch.tensor([ids])))[0, -1].argmax()))
    text = tiny.tokenizer.decode(ids)
    if tiny.tokenizer.encode(text) != ids[1:]:
        pytest.skip("the model's own tokens are not those of its text")
    ((score,),) = score_pairs(tiny.model, tiny.tokenizer, [[("the cat", text.removeprefix("the cat"))]])
    assert score.greedy


def test_what_choices_share_is_read_once(tiny):
    context = "the cat sat on a mat and saw one dog and the dog sat on the cat and"
    group = [(context, f" {word} sat") for word in ("cat", "dog", "kite", "ball")]
    shapes = []
    handle = tiny.model.register_forward_pre_hook(lambda module, args: shapes.append(tuple(args[0].shape)))
    score_pairs(tiny.model, tiny.tokenizer, [group])
    handle.remove()
    shared = len(tiny.tokenizer.encode(context))
    assert [rows for rows, _ in shapes] == [1, 4]
    assert shapes[0][1] >= shared - 1
    assert shapes[1][1] < shared


def test_choices_of_one_token_are_one_row(tiny):
    shapes = []
    handle = tiny.model.register_forward_pre_hook(lambda module, args: shapes.append(tuple(args[0].shape)))
    score_pairs(tiny.model, tiny.tokenizer, [[("Answer:", " a"), ("Answer:", " b")]])
    handle.remove()
    (shape,) = shapes
    assert shape[0] == 1


def test_a_pair_beyond_the_context_loses_its_beginning_and_is_marked(tiny):
    context, continuation = "the cat sat on a mat and " * 12, "saw one dog"
    ((score,),) = score_pairs(tiny.model, tiny.tokenizer, [[(context, continuation)]])
    ids = tiny.tokenizer.encode(context + continuation)
    first = len(tiny.tokenizer.encode(context.rstrip()))
    window = ids[-97:]
    with torch.no_grad():
        logits = tiny.model.logits(tiny.model(torch.tensor([window[:-1]])))[0].log_softmax(-1)
    wanted = sum(logits[at - 1, window[at]].item() for at in range(len(window) - (len(ids) - first), len(window)))
    assert score.cut
    assert score.log_probability == pytest.approx(wanted, rel=1e-4)


def test_a_continuation_beyond_the_context_is_scored_whole(tiny):
    text = " the cat sat on a mat and saw one dog" * 12
    ((score,),) = score_pairs(tiny.model, tiny.tokenizer, [[("one", text)]])
    assert score.cut
    assert score.tokens == len(tiny.tokenizer.encode("one" + text)) - len(tiny.tokenizer.encode("one"))
    assert score.log_probability < -score.tokens * 0.1


def test_nothing_to_score_and_broken_weights_are_errors(tiny):
    with pytest.raises(DataError, match="nothing to score"):
        score_pairs(tiny.model, tiny.tokenizer, [[("the cat", "")]])
    broken = Model(tiny.model.config)
    with torch.no_grad():
        broken.output_matrix.fill_(math.nan)
    with pytest.raises(ModelError, match="not finite"):
        score_pairs(broken, tiny.tokenizer, GROUPS)
