import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.rows import Encoded
from lilliput.evaluation.bits_per_byte import FixedSet, _windows, bits_per_byte, fixed_set

rng = np.random.default_rng(0)
DOCUMENTS = [np.array([1, *rng.integers(3, 50, n), 2], dtype=np.uint16) for n in (5, 40, 0, 15, 16, 17, 90, 3, 24)]


def by_hand(model, documents, context, stride):
    """Total nats with the definition spelled out, one target at a time."""
    total = 0.0
    model.eval()
    for ids in documents:
        for target in range(1, len(ids)):
            begin = 0
            while target - begin > context:
                begin += stride
            with torch.no_grad():
                hidden = model(torch.tensor(ids[begin:target].astype(np.int64))[None])
                total -= model.logits(hidden)[0, -1].log_softmax(-1)[int(ids[target])].item()
    model.train()
    return total


@pytest.mark.parametrize(("context", "stride"), [(16, 8), (16, 16), (16, 1), (10, 3), (1, 1)])
def test_every_target_is_scored_once_with_the_stated_context(model, context, stride):
    score = bits_per_byte(model, FixedSet(DOCUMENTS, 500), context, stride=stride)
    nats = by_hand(model, DOCUMENTS, context, stride)
    assert score.tokens == sum(len(ids) - 1 for ids in DOCUMENTS)
    assert score.nats_per_token == pytest.approx(nats / score.tokens, rel=1e-5)
    assert score.bits_per_byte == pytest.approx(nats / math.log(2) / 500, rel=1e-5)
    assert score.perplexity == pytest.approx(math.exp(nats / score.tokens), rel=1e-4)
    assert (score.bytes, score.documents) == (500, len(DOCUMENTS))
    assert (score.context_length, score.stride) == (context, stride)


def test_the_default_is_the_models_context_and_half_of_it_as_stride(model):
    score = bits_per_byte(model, FixedSet(DOCUMENTS, 500))
    assert (score.context_length, score.stride) == (16, 8)
    assert score.nats_per_token == bits_per_byte(model, FixedSet(DOCUMENTS, 500), 16, stride=8).nats_per_token


def test_the_result_depends_neither_on_the_batch_nor_on_the_order_of_documents(model):
    scores = [bits_per_byte(model, FixedSet(DOCUMENTS, 9), batch_tokens=size) for size in (1, 17, 64, 10_000)]
    scores.append(bits_per_byte(model, FixedSet(DOCUMENTS[::-1], 9)))
    assert [s.bits_per_byte for s in scores] == pytest.approx([scores[0].bits_per_byte] * 5, rel=1e-5)


def test_a_uniform_model_needs_log2_of_the_vocabulary_per_target(model):
    with torch.no_grad():
        model.output_matrix.zero_()
    score = bits_per_byte(model, FixedSet(DOCUMENTS, 1000))
    assert score.bits_per_byte == pytest.approx(score.tokens * math.log2(50) / 1000, rel=1e-6)
    assert score.perplexity == pytest.approx(50, rel=1e-5)


def test_batches_are_no_larger_than_asked(model):
    shapes = []
    model.register_forward_pre_hook(lambda module, args: shapes.append(tuple(args[0].shape)))
    bits_per_byte(model, FixedSet(DOCUMENTS, 1), batch_tokens=40)
    assert max(rows * width for rows, width in shapes) <= 40
    assert [width for _, width in shapes] == sorted((width for _, width in shapes), reverse=True)


def test_the_model_and_the_random_state_are_left_as_they_were(model):
    model.blocks[0].eval()
    modes = [module.training for module in model.modules()]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = bits_per_byte(model, FixedSet(DOCUMENTS, 1))
    assert torch.equal(torch.rand(1), expected)
    assert [module.training for module in model.modules()] == modes
    assert bits_per_byte(model, FixedSet(DOCUMENTS, 1)).bits_per_byte == first.bits_per_byte
    loss = model.loss(model(torch.ones(1, 4, dtype=torch.int64)), torch.ones(1, 4, dtype=torch.int64), torch.ones(1, 4))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_diverged_model_scores_infinite_perplexity_not_an_overflow(model):
    with torch.no_grad():
        model.output_matrix.mul_(1e6)
    assert bits_per_byte(model, FixedSet(DOCUMENTS, 1)).perplexity == math.inf


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"context_length": 17}, "17 is not between 1 and the model's 16"),
        ({"context_length": 0}, "context_length 0"),
        ({"stride": 0}, "stride 0"),
        ({"stride": 17}, "stride 17 is not between 1 and the context length 16"),
        ({"stride": -1}, "stride -1"),
    ],
)
def test_settings_that_the_model_cannot_do_are_refused(model, options, says):
    with pytest.raises(ConfigError, match=says):
        bits_per_byte(model, FixedSet(DOCUMENTS, 1), **options)


@pytest.mark.parametrize("documents", [[], [np.array([1])]])
def test_nothing_to_score_is_an_error(model, documents):
    with pytest.raises(DataError, match="nothing to score"):
        bits_per_byte(model, FixedSet(documents, 1))


@given(st.lists(st.integers(0, 60), max_size=8), st.integers(1, 12), st.data())
def test_windows_cover_each_target_once_with_enough_context(lengths, context, data):
    stride = data.draw(st.integers(1, context))
    scored = {}
    for document, begin, stop, first in _windows(np.array(lengths, dtype=np.int64), context, stride).tolist():
        assert begin <= first < stop <= begin + context
        for target in range(first, stop):
            assert (document, target) not in scored
            scored[document, target] = target - begin + 1
    assert set(scored) == {(d, t) for d, length in enumerate(lengths) for t in range(length)}
    assert all(seen > context - stride or seen == target + 1 for (_, target), seen in scored.items())


def test_the_fixed_set_has_exactly_the_targets_asked_for_and_their_bytes(split):
    token_bytes = np.arange(50) * (np.arange(50) > 2)
    whole_bytes = sum(int(token_bytes[ids].sum()) for ids in DOCUMENTS)
    chosen = fixed_set(split([ids.tolist() for ids in DOCUMENTS], whole_bytes), token_bytes, max_tokens=60)
    assert chosen.targets == 60
    assert chosen.text_bytes == sum(int(token_bytes[ids].sum()) for ids in chosen.documents)
    known = {tuple(ids.tolist()) for ids in DOCUMENTS}
    *whole, cut = [tuple(ids.tolist()) for ids in chosen.documents]
    assert set(whole) <= known
    assert len(set(whole)) == len(whole)
    assert any(ids[: len(cut)] == cut for ids in known)


def test_bytes_that_a_tokenizer_does_not_account_for_are_spread_evenly(split):
    some = split([ids.tolist() for ids in DOCUMENTS], text_bytes=3 * sum(map(len, DOCUMENTS)))
    chosen = fixed_set(some, np.ones(50, dtype=np.int64), max_documents=3)
    assert chosen.text_bytes == 3 * sum(map(len, chosen.documents))


def test_the_fixed_set_does_not_depend_on_where_a_document_stands(split):
    ids, names = [d.tolist() for d in DOCUMENTS], [f"story {i}" for i in range(len(DOCUMENTS))]
    one = fixed_set(split(ids, 1, names), np.ones(50), max_documents=4)
    other = fixed_set(split(ids[::-1], 1, names[::-1]), np.ones(50), max_documents=4)
    assert [d.tolist() for d in one.documents] == [d.tolist() for d in other.documents]
    assert len(one.documents) == 4
    another_seed = fixed_set(split(ids, 1, names), np.ones(50), max_documents=4, seed=1)
    assert [d.tolist() for d in one.documents] != [d.tolist() for d in another_seed.documents]


@pytest.mark.parametrize("limits", [{}, {"max_documents": 100}])
def test_without_a_limit_in_reach_the_fixed_set_is_the_whole_split(split, limits):
    chosen = fixed_set(split([d.tolist() for d in DOCUMENTS], text_bytes=777), np.ones(50), **limits)
    assert [d.tolist() for d in chosen.documents] == [d.tolist() for d in DOCUMENTS]
    assert chosen.text_bytes == 777


def test_a_token_limit_beyond_the_split_takes_all_of_it(split):
    chosen = fixed_set(split([d.tolist() for d in DOCUMENTS]), np.ones(50), max_tokens=10**6)
    assert chosen.targets == sum(len(d) - 1 for d in DOCUMENTS)


@pytest.mark.parametrize("limit", [{"max_tokens": 0}, {"max_documents": 0}, {"max_tokens": -5}])
def test_a_limit_that_leaves_nothing_is_refused(split, limit):
    with pytest.raises(ConfigError, match="has to be at least 1"):
        fixed_set(split([[1, 2]]), np.ones(50), **limit)


def test_only_learned_targets_are_scored_and_their_bytes_counted(model):
    """Half of the tokens are a prompt: of [1, 3, 4, 5, 6] only 5 and 6 are learned, of [1, 7, 8] only 8."""
    documents = [np.array([1, 3, 4, 5, 6]), np.array([1, 7, 8])]
    learned = [np.array([0, 0, 0, 1, 1], bool), np.array([0, 0, 1], bool)]
    sizes = np.arange(50)
    rows = [Encoded(documents[0], [(3, 5)]), Encoded(documents[1], [(2, 3)])]
    texts = FixedSet.of(rows, sizes, text_bytes=70)
    # The ids stand for 19 + 16 bytes, those that are learned for 11 + 8, and the text has twice as many.
    assert (texts.targets, texts.text_bytes) == (3, 38)
    assert texts.learned is not None
    assert [mask.tolist() for mask in texts.learned] == [mask.tolist() for mask in learned]
    score = bits_per_byte(model, texts)
    nats = 0.0
    model.eval()
    for ids, mask in zip(documents, learned, strict=True):
        with torch.no_grad():
            found = model.logits(model(torch.from_numpy(ids[:-1])[None]))[0].log_softmax(-1)
        nats -= sum(found[place - 1, ids[place]].item() for place in np.flatnonzero(mask))
    assert score.tokens == 3
    assert score.nats_per_token == pytest.approx(nats / 3, rel=1e-5)
    assert score.bits_per_byte == pytest.approx(nats / math.log(2) / 38, rel=1e-5)
    assert bits_per_byte(model, FixedSet(documents, 70)).tokens == 6


def test_windows_score_learned_targets_once_wherever_they_lie(model):
    mask = np.zeros(92, bool)
    mask[[3, 20, 50, 91]] = True
    with torch.no_grad():
        model.output_matrix.zero_()
    score = bits_per_byte(model, FixedSet([np.ones(92, np.int64)], 8, [mask]))
    assert score.bits_per_byte == pytest.approx(4 * math.log2(50) / 8, rel=1e-6)


def test_a_part_of_a_split_is_counted_in_learned_targets(split):
    documents = [[1, 3, 4, 5, 2], [1, 6, 7, 2]]
    some = split(documents, 2 * (15 + 16), ["a", "b"], [[0, 0, 1, 1, 0], [0, 1, 0, 1]])
    chosen = fixed_set(some, np.arange(50), max_tokens=3)
    assert chosen.targets == 3
    assert chosen.learned is not None
    shown = {tuple(ids.tolist()): mask.tolist() for ids, mask in zip(chosen.documents, chosen.learned, strict=True)}
    whole_first = {(1, 3, 4, 5, 2): [0, 0, 1, 1, 0], (1, 6): [0, 1]}
    whole_second = {(1, 6, 7, 2): [0, 1, 0, 1], (1, 3, 4): [0, 0, 1]}
    assert shown in (whole_first, whole_second)
    # twice the bytes that the learned ids stand for
    assert chosen.text_bytes == 2 * ((4 + 5 + 6) if shown == whole_first else (6 + 2 + 4))
