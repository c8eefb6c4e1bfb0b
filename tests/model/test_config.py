"""ModelConfig: what follows from what, what is refused, and that a config written down is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.config import validate
from lilliput.base.errors import ConfigError
from lilliput.model.config import ModelConfig, resolve
from lilliput.model.styles import STYLES


def test_sizes_follow_from_the_width():
    wide = ModelConfig(d_model=256)
    assert (wide.n_heads, wide.n_kv_heads, wide.d_head, wide.d_mlp) == (4, 4, 64, 704)
    assert ModelConfig(d_model=96).d_head == 32
    assert ModelConfig(d_model=96, mlp="relu2").d_mlp == 384
    assert ModelConfig(d_model=96, n_heads=2).d_head == 48
    assert ModelConfig(d_model=96, d_head=24).n_heads == 4
    assert ModelConfig(d_model=96, n_heads=2, d_head=64).n_kv_heads == 2


def test_a_style_fills_in_what_is_not_given():
    config = resolve("gpt2_124m", n_layers=3, vocab_size=100)
    assert (config.n_layers, config.vocab_size, config.d_model, config.position) == (3, 100, 768, "learned")
    assert resolve("story_7m", d_model=128).n_heads == 2


@pytest.mark.parametrize(
    ("values", "printed"),
    [
        ({"style": "story_7b"}, "unknown model style 'story_7b' .did you mean 'story_7m'"),
        ({"style": 7}, "unknown model style '7'"),
        ({"norm": "group"}, "unknown norm 'group'.*known: batch, layer, layer_unbiased, rms, rms_plus_one"),
        ({"mlp": "swiglo"}, "did you mean 'swiglu'"),
        ({"position": "sinusoidal"}, "known: alibi, buckets, learned, none, rotary"),
        ({"d_model": 100}, "d_model 100 is not a multiple of 32"),
        ({"d_model": 128, "n_heads": 3}, "d_model 128 is not a multiple of n_heads 3"),
        ({"n_heads": 4, "n_kv_heads": 3}, "n_heads 4 is not a multiple of n_kv_heads 3"),
        ({"d_head": 33, "n_heads": 4}, "rotary_fraction 1.0 of d_head 33 is 33 channels"),
        ({"d_model": -4}, "'d_model': .*greater than or equal to 1 .given -4"),
        ({"n_heads": -1}, "'n_heads': .*greater than or equal to 0"),
        ({"d_model": "wide"}, "'d_model': .*valid integer"),
        ({"dropout": 1.0}, "'dropout': .*less than 1"),
        ({"depth": 3}, "unknown key 'depth'"),
    ],
)
def test_what_cannot_be_is_refused(values, printed):
    with pytest.raises(ConfigError, match=printed):
        validate(ModelConfig, values, "test")


def _changes() -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "style": st.sampled_from(sorted(STYLES)),
            "d_model": st.sampled_from([64, 96, 160, 256]),
            "n_heads": st.sampled_from([1, 2, 4, 8, 16]),
            "d_head": st.sampled_from([16, 32, 64]),
            "d_mlp": st.sampled_from([96, 448, 768]),
            "norm": st.sampled_from(["rms", "layer"]),
            "mlp": st.sampled_from(["swiglu", "gelu"]),
            "qk_norm": st.booleans(),
            "window": st.sampled_from([None, 8]),
            "init": st.sampled_from(["normal", "zero_out"]),
            "context_length": st.sampled_from([128, 256]),
        },
    )


@given(_changes())
def test_differences_read_back_as_the_same_config(changes):
    try:
        config = ModelConfig.model_validate(changes)
    except ValueError:
        return
    assert ModelConfig.model_validate(config.differences()) == config
    assert ModelConfig.model_validate(config.model_dump(mode="json")) == config


def test_differences_are_only_differences():
    assert ModelConfig().differences() == {}
    assert resolve("gpt2_124m").differences() == {"style": "gpt2_124m"}
    assert resolve("gpt2_124m", norm="rms").differences()["norm"] == "rms"
