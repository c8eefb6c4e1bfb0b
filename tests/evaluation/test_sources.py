import numpy as np
import pytest

from lilliput.evaluation.bits_per_byte import FixedSet, bits_per_byte
from lilliput.evaluation.ngram import baselines, training_ngrams
from lilliput.evaluation.sources import MOST_SOURCES, ngram_sources, parts, score_sources

rng = np.random.default_rng(0)
DOCUMENTS = [[1, *rng.integers(3, 50, n).tolist(), 2] for n in (5, 40, 7, 15, 16, 17)]
NAMES = ["a#0", "b#0", "a#1", "b#1", "b#2", "a#2"]


def source(name):
    return name.partition("#")[0]


def test_the_total_is_over_all_bytes_not_a_mean_of_rows(model, split):
    whole = split(DOCUMENTS, 400, NAMES)
    sets = parts(whole, np.ones(50, dtype=np.int64), source)
    assert {name: len(found.documents) for name, found in sets.items()} == {"a": 3, "b": 3}
    assert sum(found.text_bytes for found in sets.values()) == pytest.approx(400, abs=1)
    scores = score_sources(model, sets)
    everything = bits_per_byte(model, FixedSet([np.array(ids) for ids in DOCUMENTS], 400))
    assert scores.total.bits_per_byte == pytest.approx(everything.bits_per_byte, rel=5e-3)
    assert scores.total.nats_per_token == pytest.approx(everything.nats_per_token, rel=1e-5)
    assert (scores.total.tokens, scores.total.documents) == (everything.tokens, 6)
    assert scores.by_source["a"].bits_per_byte == bits_per_byte(model, sets["a"]).bits_per_byte
    assert score_sources(model, sets, stride=3).total.stride == 3


def test_one_source_many_sources_or_a_limit_make_one_row(split):
    ones = np.ones(50, dtype=np.int64)
    assert list(parts(split(DOCUMENTS, 9), ones, lambda name: "same")) == ["validation"]
    many = split([[1, 2]] * (MOST_SOURCES + 1), 9)
    assert list(parts(many, ones, lambda name: name)) == ["validation"]
    assert parts(split(DOCUMENTS, 400, NAMES), ones, source, 30)["validation"].targets == 30


def test_ngrams_by_source_are_the_baselines(split):
    train = split([rng.integers(0, 9, 60).tolist() for _ in range(20)])
    sets = {name: FixedSet([rng.integers(0, 9, 30) for _ in range(3)], 70) for name in "ab"}
    rows = ngram_sources(training_ngrams(train, 3, 9), sets, 9, (1, 3))
    assert list(rows) == ["unigram", "trigram"]
    for name, texts in sets.items():
        wanted = baselines(train, texts, 9, (1, 3))
        assert {order: rows[order][name] for order in rows} == pytest.approx(wanted)
    assert rows["unigram"]["total"] == pytest.approx((rows["unigram"]["a"] + rows["unigram"]["b"]) / 2)
