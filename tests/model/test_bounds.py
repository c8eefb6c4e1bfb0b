"""Sizes that nobody can mean, and models that a file or the machine cannot hold, before anything of them is made."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.base.config import validate
from lilliput.base.errors import ConfigError, LilliputError, ModelError
from lilliput.model.bounds import check_memory, check_stored
from lilliput.model.config import ModelConfig
from lilliput.model.huggingface import from_huggingface, to_huggingface
from lilliput.model.positions import MOST_ROWS, Rotary
from lilliput.model.transformer import Model

SIZES = ("d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp", "vocab_size", "context_length")


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [-1, 1.5, "x", "8", True, 10**9, 10**30, float("nan"), [4]])
def test_a_size_that_is_none_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        validate(ModelConfig, {name: value}, "recipe")


def test_a_size_may_be_written_with_an_exponent() -> None:
    assert ModelConfig(d_model=128.0, n_heads=4.0).d_head == 32  # pyright: ignore[reportArgumentType]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = ModelConfig(d_model=32, n_layers=1, n_heads=2, vocab_size=32, context_length=16)
    to_huggingface(Model(config, seed=1), tmp_path)
    return tmp_path


@pytest.mark.parametrize("key", ["num_attention_heads", "num_key_value_heads", "num_hidden_layers", "hidden_size"])
@pytest.mark.parametrize("value", [0, 1.5, "x", -4, 10**9, True])
def test_a_config_json_with_a_size_that_is_none_is_refused(folder: Path, key: str, value: Any) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, key: value}))
    with pytest.raises(LilliputError):
        from_huggingface(folder)


@pytest.mark.parametrize("text", ["[]", "3", '"text"', "null", "[" * 100_000, '{"vocab_size": ' + "1" * 5000 + "}"])
def test_a_config_json_that_is_no_object_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        from_huggingface(folder)


def test_a_model_that_its_file_cannot_hold_is_not_begun() -> None:
    large = ModelConfig(d_model=4096, n_layers=64)
    with pytest.raises(ModelError, match=r"1 MB of weights cannot hold them"):
        check_stored(large, 1_000_000, "config.json")
    check_stored(large, 10**11, "config.json")


def test_a_model_that_the_machine_cannot_hold_is_not_begun() -> None:
    with pytest.raises(ModelError, match="and this machine has"):
        check_memory(ModelConfig(d_model=2**17, n_layers=2**11), trained=False)
    check_memory(ModelConfig(), trained=True)


def test_positions_beyond_the_table_have_the_same_angles() -> None:
    config = ModelConfig(d_model=32, n_layers=1, n_heads=2, context_length=2**24)
    rotary = Rotary(config)
    assert isinstance(rotary.cos, torch.Tensor)
    assert len(rotary.cos) == MOST_ROWS
    last, past = slice(MOST_ROWS - 2, MOST_ROWS), slice(MOST_ROWS - 1, MOST_ROWS + 1)
    kept, computed = (rotary.tables(where, where.stop, torch.float32) for where in (last, past))
    assert isinstance(kept, tuple)
    assert isinstance(computed, tuple)
    assert torch.equal(kept[0][1], computed[0][0])
    assert not torch.equal(computed[0][0], computed[0][1])
