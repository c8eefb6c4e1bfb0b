import pytest

from lilliput.base.errors import ConfigError
from lilliput.planning.tables import MODELS, energy, published_energy, text, training


def test_llama_3s_published_tons():
    small, large = published_energy("Llama 3 8B"), published_energy("Llama 3 70B")
    assert (small.kwh, small.tons_co2) == (pytest.approx(910_000), pytest.approx(390))
    assert (large.kwh, large.tons_co2) == (pytest.approx(4_480_000), pytest.approx(1900))
    assert 420 < large.grams_co2_per_kwh < small.grams_co2_per_kwh < 430
    assert energy(2, 500, 100).tons_co2 == pytest.approx(1e-4)


def test_gpt3_was_far_from_20_tokens_a_parameter():
    row = training(*MODELS["GPT-3"])
    assert row.tokens_per_parameter == pytest.approx(1.714, abs=1e-3)
    assert row.flops == pytest.approx(3.15e23)


def test_text_in_any_unit():
    for given in ({"tokens": 120_000}, {"words": 90_000}, {"novels": 1}):
        found = text(**given)
        assert (found.tokens, found.words, found.novels) == pytest.approx((120_000, 90_000, 1))
    with pytest.raises(ConfigError, match="2 are given"):
        text(tokens=1, words=1)
