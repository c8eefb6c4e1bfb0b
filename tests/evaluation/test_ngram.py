import math
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.base.errors import ConfigError, DataError
from lilliput.evaluation import ngram
from lilliput.evaluation.bits_per_byte import FixedSet
from lilliput.evaluation.ngram import KneserNey, baselines, packed

# One document: beginning 0, then 1 2 1, end 3. Four bigrams, each seen once: discounts fall back to 0.5, 1, 1.5.
TINY = [np.array([0, 1, 2, 1, 3])]


def counted(documents, order, vocabulary):
    return KneserNey(packed(documents, order, vocabulary), order, vocabulary)


def nats(model, documents, order, vocabulary):
    return -np.log(model.probabilities(packed(documents, order, vocabulary))).sum()


def after(model, context, vocabulary):
    """The probability of every id after `context`, order - 1 ids."""
    documents = [np.array([*context, token]) for token in range(vocabulary)]
    # As a document of its own, an n-gram is the last one of its targets; a unigram needs some beginning.
    documents = documents if context else [np.array([0, *ids]) for ids in documents]
    last = [packed([ids], max(1, len(context) + 1), vocabulary)[-1] for ids in documents]
    return model.probabilities(np.array(last))


def test_a_tiny_bigram_model_by_hand():
    model = counted(TINY, 2, 4)
    # Different predecessors: 2 of id 1, 1 of ids 2 and 3; in all 4. Passed on to the uniform: (1 + 0.5 + 0.5) / 4.
    lower = np.array([0 + 0.5 / 4, (2 - 1) / 4 + 0.5 / 4, (1 - 0.5) / 4 + 0.5 / 4, (1 - 0.5) / 4 + 0.5 / 4])
    # After 1: ids 2 and 3 once each, so (1 - 0.5) / 2 for each and (0.5 + 0.5) / 2 passed on.
    after_1 = np.array([0, 0, 0.25, 0.25]) + 0.5 * lower
    after_2 = np.array([0, 0.5, 0, 0]) + 0.5 * lower
    np.testing.assert_allclose(after(model, [1], 4), after_1)
    np.testing.assert_allclose(after(model, [2], 4), after_2)
    np.testing.assert_allclose(after(model, [0], 4), after_2)
    np.testing.assert_allclose(after(model, [3], 4), lower)  # 3 is never a context
    expected = -math.log(after_2[1] * after_1[2] * after_2[1] * after_1[3])
    assert nats(model, TINY, 2, 4) == pytest.approx(expected)


def test_a_tiny_unigram_model_by_hand():
    probs = after(counted(TINY, 1, 4), [], 4)
    np.testing.assert_allclose(probs, [0.125, 0.25 + 0.125, 0.125 + 0.125, 0.125 + 0.125])


class Slow:
    """The same estimate from dictionaries of counts, one n-gram at a time."""

    def __init__(self, documents, order, vocabulary):
        self.vocabulary = vocabulary
        self.counts = {k: Counter() for k in range(1, order + 1)}
        for ids in documents:
            padded = [ids[0]] * (order - 1) + list(ids[1:])
            for end in range(order, len(padded) + 1):
                self.counts[order][tuple(padded[end - order : end])] += 1
        for k in range(order - 1, 0, -1):
            for gram in self.counts[k + 1]:
                self.counts[k][gram[1:]] += 1
        self.discounts = {k: self.estimate(c) for k, c in self.counts.items()}
        self.followers = {k: defaultdict(dict) for k in self.counts}
        for k, counts in self.counts.items():
            for gram, count in counts.items():
                self.followers[k][gram[:-1]][gram[-1]] = count

    @staticmethod
    def estimate(counts):
        n = Counter(counts.values())
        if n[1] and n[2] and n[3]:
            y = n[1] / (n[1] + 2 * n[2])
            found = [c - (c + 1) * y * n[c + 1] / n[c] for c in (1, 2, 3)]
            if min(found) >= 0:
                return found
        return [0.5, 1.0, 1.5]

    def probability(self, context, token):
        k = len(context) + 1
        lower = self.probability(context[1:], token) if k > 1 else 1 / self.vocabulary
        after = self.followers[k].get(context)
        if after is None:
            return lower
        discounts = {w: self.discounts[k][min(c, 3) - 1] for w, c in after.items()}
        own = after[token] - discounts[token] if token in after else 0.0
        return (own + sum(discounts.values()) * lower) / sum(after.values())


def skewed(size, vocabulary, seed):
    """Documents in which some ids follow others far more often than chance has it."""
    rng = np.random.default_rng(seed)
    documents = []
    for _ in range(size):
        ids = [0]
        for _ in range(rng.integers(0, 30)):
            jump = min(int(rng.geometric(0.35)), vocabulary - 3)
            ids.append(2 + (ids[-1] * 3 + jump) % (vocabulary - 2))
        documents.append(np.array([*ids, 1]))
    return documents


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [1, 4, 60, 250])
def test_the_tables_agree_with_counting_one_by_one(order, size):
    train, held_out = skewed(size, 12, seed=1), skewed(20, 12, seed=2)
    slow, fast = Slow(train, order, 12), counted(train, order, 12)
    expected = 0.0
    for ids in held_out:
        padded = [ids[0]] * (order - 1) + list(ids[1:])
        for end in range(order, len(padded) + 1):
            gram = tuple(padded[end - order : end])
            expected -= math.log(slow.probability(gram[:-1], gram[-1]))
    assert nats(fast, held_out, order, 12) == pytest.approx(expected, rel=1e-9)
    longer = KneserNey(packed(train, 5, 12), order, 12)
    assert nats(longer, held_out, 5, 12) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1] * 6 + [2] * 3 + [3] * 2 + [4] + [9], [0, 0.5, 1.0, 2.0]),
        ([1] * 6 + [2] * 2 + [3] + [7], [0, 0.6, 1.1, 3.0]),
        ([1] * 6 + [3] * 2, [0, 0.5, 1.0, 1.5]),  # no count of 2
        ([1, 2] + [3] * 5, [0, 0.5, 1.0, 1.5]),  # the second discount would be negative
    ],
)
def test_discounts_come_from_counts_of_counts_where_those_suffice(counts, expected):
    np.testing.assert_allclose(ngram._discounts(np.array(counts)), expected)


def test_chunks_do_not_change_what_is_counted(monkeypatch):
    documents = [np.array([0]), *skewed(80, 12, seed=1), np.array([0])]
    whole = packed(documents, 3, 12)
    monkeypatch.setattr(ngram, "CHUNK_TOKENS", 37)
    np.testing.assert_array_equal(packed(documents, 3, 12), whole)


@given(st.integers(1, 5), st.integers(3, 40), st.integers(1, 30), st.integers(0, 2**32), st.data())
@settings(deadline=None)
def test_probabilities_sum_to_one_after_any_context(order, vocabulary, size, seed, data):
    model = counted([*skewed(size, vocabulary, seed), np.array([0, 1])], order, vocabulary)
    context = data.draw(st.lists(st.integers(0, vocabulary - 1), min_size=order - 1, max_size=order - 1))
    probs = after(model, context, vocabulary)
    assert probs.sum() == pytest.approx(1)
    assert (probs > 0).all()


def test_no_context_crosses_a_document():
    apart = counted([np.array([0, 5, 1]), np.array([0, 6, 1])] * 3, 2, 8)
    np.testing.assert_array_equal(after(apart, [1], 8), after(apart, [7], 8))  # nothing follows an end


def words(shared_data, limit):
    """Real stories as numbered words: the 2,000 most frequent, the rest as one id."""
    text = (shared_data / "tinystories" / "v1-train-head-2MiB.txt").read_text(encoding="utf-8")
    stories = [s.strip() for s in text.split("<|endoftext|>") if s.strip()][:limit]
    split = [re.findall(r"\w+|[^\w\s]", s.lower()) for s in stories]
    ids = {w: i for i, (w, _) in enumerate(Counter(w for s in split for w in s).most_common(2000), start=3)}
    return [np.array([0, *(ids.get(w, 2) for w in s), 1]) for s in split], [len(s.encode()) for s in stories]


def test_on_real_stories_longer_contexts_predict_better(shared_data, split):
    documents, sizes = words(shared_data, 1000)
    held_out = FixedSet(documents[900:], sum(sizes[900:]))
    train = split([d.tolist() for d in documents[:900]])
    found = baselines(train, held_out, 2003)
    assert list(found) == ["unigram", "bigram", "trigram"]
    assert found["unigram"] > 1.2 * found["bigram"] > 1.2 * found["trigram"]
    # The unigram is the maximum-likelihood one but for the smoothing of a few rare words.
    counts = np.bincount(np.concatenate([d[1:] for d in documents[:900]]), minlength=2003) + 1e-9
    targets = np.concatenate([d[1:] for d in held_out.documents])
    plain = -np.log2(counts / counts.sum())[targets][counts[targets] > 1].sum() / held_out.text_bytes
    assert found["unigram"] == pytest.approx(plain, rel=0.01)
    assert set(baselines(train, held_out, 2003, orders=(5, 4))) == {"4-gram", "5-gram"}
    assert baselines(train, held_out, 2003, orders=()) == {}


def test_the_cap_counts_that_many_tokens_of_documents_drawn_by_the_seed(split):
    train, held_out = split([d.tolist() for d in skewed(200, 12, 1)]), FixedSet(skewed(20, 12, 2), 100)
    drawn = list(ngram._training_documents(train, 500, seed=0))
    assert sum(len(ids) for ids, _ in drawn) == 500
    assert [ids.tolist() for ids, _ in drawn[:9]] != [train.document(i).tolist() for i in range(9)]
    one, same, other = (baselines(train, held_out, 12, max_tokens=500, seed=s) for s in (0, 0, 1))
    assert one == same
    assert one != other
    assert baselines(train, held_out, 12)["trigram"] < one["trigram"]
    assert baselines(train, held_out, 12, seed=0) == baselines(train, held_out, 12, seed=1)


@pytest.mark.parametrize(
    ("order", "vocabulary", "says"), [(6, 10, "from 1 to 5"), (0, 10, "0-gram"), (5, 32_000, "1 to 4")]
)
def test_orders_that_cannot_be_counted_are_refused(order, vocabulary, says):
    with pytest.raises(ConfigError, match=says):
        packed(TINY, order, vocabulary)


def test_nothing_to_count_or_to_score_is_an_error(split):
    with pytest.raises(DataError, match="no training token"):
        counted([np.array([0])], 2, 4)
    with pytest.raises(DataError, match="nothing to score"):
        baselines(split([[0, 1]]), FixedSet([np.array([0])], 1), 4)


def test_only_learned_targets_are_counted_and_scored(split):
    documents = [[0, 3, 4, 4, 1], [0, 5, 5, 4, 1]]
    learn = [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1]]
    train = split(documents, learn=learn)
    # Every learned token is a 4 or a 1, so a unigram of them has no need of the others.
    seen = ngram.training_ngrams(train, 1, 12)
    assert sorted(seen.tolist()) == [1, 1, 4, 4]
    held_out = FixedSet([np.array(ids) for ids in documents], 4, [np.array(mask, bool) for mask in learn])
    everything = FixedSet(held_out.documents, 4)
    bits = -np.log2(ngram.KneserNey(seen.copy(), 1, 12).probabilities(np.array([4, 1, 4, 1]))).sum()
    assert baselines(train, held_out, 12, (1,))["unigram"] == pytest.approx(bits / 4)
    assert baselines(train, everything, 12, (1,))["unigram"] > bits / 4
