"""Stock folders both ways, with transformers as the oracle: the same logits, and clear words where it cannot be."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.base.errors import LilliputError, ModelError
from lilliput.model.huggingface import STOCK, from_huggingface, huggingface_class, to_huggingface
from lilliput.model.transformer import Model
from lilliput.model.weights import tensor_shapes
from tests.model.families import FAMILIES, config, stir, stirred, tokens

transformers = pytest.importorskip("transformers")
stock_families = [family for family, (name, _) in FAMILIES.items() if name]
both = pytest.mark.parametrize("tied", [False, True])


def _auto(family: str) -> Any:
    masked = not FAMILIES[family][1].get("causal", True)
    return transformers.AutoModelForMaskedLM if masked else transformers.AutoModelForCausalLM


def _theirs(folder: Path, family: str = "story") -> Any:
    return _auto(family).from_pretrained(folder, dtype=torch.float32).eval()


def _same_logits(ours: Model, theirs: Any) -> None:
    ids = tokens()
    with torch.no_grad():
        gap = (ours.logits(ours(ids)) - theirs(ids).logits).abs().max()
    assert gap < 1e-4


def _edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("family", stock_families)
@both
def test_ours_is_loaded_by_the_stock_class(family, tied, tmp_path):
    model = stirred(family, tied_embeddings=tied, rope_theta=500.0)
    to_huggingface(model, tmp_path, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    theirs, report = _auto(family).from_pretrained(tmp_path, dtype=torch.float32, output_loading_info=True)
    assert type(theirs).__name__ == FAMILIES[family][0]
    assert not any(report.values())
    assert theirs.config.tie_word_embeddings == tied
    assert (theirs.config.bos_token_id, theirs.config.eos_token_id, theirs.config.pad_token_id) == (1, 2, 0)
    if model.config.causal:
        assert theirs.generation_config.eos_token_id == 2
    _same_logits(model, theirs.eval())


@pytest.mark.parametrize("family", stock_families)
@both
def test_theirs_is_loaded_by_ours(family, tied, tmp_path):
    to_huggingface(Model(config(family, tied_embeddings=tied)), tmp_path / "first")
    _edit(tmp_path / "first", lilliput=None)
    blank = transformers.AutoConfig.from_pretrained(tmp_path / "first")
    theirs = stir(_auto(family).from_config(blank))
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists()
    ours = from_huggingface(tmp_path / "theirs")
    assert not ours.training
    _same_logits(ours, theirs)


@pytest.mark.parametrize("family", stock_families)
def test_their_saving_of_ours_comes_back_the_same(family, tmp_path):
    model = stirred(family)
    to_huggingface(model, tmp_path / "ours")
    _theirs(tmp_path / "ours", family).save_pretrained(tmp_path / "theirs")
    again = from_huggingface(tmp_path / "theirs")
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_biases_that_others_trained_are_not_dropped(tmp_path):
    to_huggingface(stirred("gpt"), tmp_path / "ours")
    theirs = stir(_theirs(tmp_path / "ours"), seed=5)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = from_huggingface(tmp_path / "theirs")
    assert ours.config.bias
    _same_logits(ours, theirs)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("Llama", {"num_key_value_heads": 2}),
        ("Llama", {"head_dim": 8, "attention_bias": True, "mlp_bias": True}),
        ("Qwen3", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 0}),
        ("Qwen3", {"use_sliding_window": False, "sliding_window": 6}),
        ("Mistral", {"sliding_window": None}),
        ("GPTNeoX", {"rotary_pct": 0.5, "rotary_emb_base": 500}),
        ("GPTNeoX", {"use_parallel_residual": False, "hidden_act": "gelu_pytorch_tanh"}),
    ],
)
def test_configs_not_written_by_us(kind, values, tmp_path):
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 61,
        "max_position_embeddings": 24,
    }
    if kind in ("Mistral", "Qwen3"):
        sizes |= {"head_dim": 8, "num_key_value_heads": 4}
    made = getattr(transformers, f"{kind}Config")(**{**sizes, **values})
    theirs = stir(transformers.AutoModelForCausalLM.from_config(made))
    theirs.save_pretrained(tmp_path)
    _same_logits(from_huggingface(tmp_path), theirs)


def test_a_folder_without_head_or_prefix_and_in_half_precision(tmp_path):
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 24, "vocab_size": 61}
    theirs = stir(transformers.GPT2Model(transformers.GPT2Config(**sizes))).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    ours = from_huggingface(tmp_path)
    assert ours.config.tied_embeddings
    assert ours.embed.weight.dtype == torch.float32
    with torch.no_grad():
        gap = (ours(tokens()) - theirs.float()(tokens()).last_hidden_state).abs().max()
    assert gap < 1e-4


def test_older_words_for_rotary(tmp_path):
    model = stirred("llama", rope_theta=777.0)
    to_huggingface(model, tmp_path)
    _edit(tmp_path, rope_parameters=None, lilliput=None)
    assert from_huggingface(tmp_path).config.rope_theta == 777.0
    _edit(tmp_path, rope_parameters={"rope_type": "default", "rope_theta": 777.0}, rope_theta=None)
    assert from_huggingface(tmp_path).config.rope_theta == 777.0


def test_an_edited_config_wins_over_our_own_notes(tmp_path):
    to_huggingface(stirred("llama"), tmp_path)
    _edit(tmp_path, rms_norm_eps=1e-3)
    assert from_huggingface(tmp_path).config.norm_eps == 1e-3


def test_no_stock_class(tmp_path):
    model = stirred("own")
    name, reasons = huggingface_class(model.config)
    assert name is None
    assert len(reasons) == len(STOCK)
    assert "residual=parallel (needs sequential)" in reasons[0]
    to_huggingface(model, tmp_path, extra={"run": "test"})
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["model_type"] == "lilliput"
    assert written["lilliput"]["no_stock_class"] == reasons
    assert written["lilliput"]["run"] == "test"
    assert torch.equal(from_huggingface(tmp_path)(tokens()), model(tokens()))


@pytest.mark.parametrize(
    ("changes", "printed"),
    [
        ({"qk_norm": False, "n_heads": 5, "d_head": 8, "bias": True}, "d_model=48 .needs a multiple of n_heads=5"),
        ({"norm": "layer", "mlp": "gelu", "qk_norm": False, "n_kv_heads": 2}, "n_kv_heads=2 .needs n_heads=4"),
        ({"norm": "layer", "mlp": "gelu", "qk_norm": False, "d_head": 8}, "n_heads x d_head = 32 .needs d_model=48"),
    ],
)
def test_shapes_without_a_stock_class_say_why(changes, printed):
    name, reasons = huggingface_class(config("story", **changes))
    assert name is None
    assert any(re.search(printed, reason) for reason in reasons)


@pytest.mark.parametrize(
    ("changes", "printed"),
    [
        ({"model_type": "bloom", "architectures": ["BloomForCausalLM"]}, r"'bloom' model .BloomForCausalLM.*\n.*Qwen3"),
        ({"intermediate_size": 96}, r"gate_proj.weight is \[80, 48\], but config.json asks for \[96, 48\]"),
        ({"num_hidden_layers": 3, "layer_types": None}, "of the 36 tensors .* 11 missing .first model.layers.2"),
        ({"num_hidden_layers": 1, "layer_types": None}, "of the 14 tensors .* 11 unknown .first model.layers.1"),
        ({"hidden_act": "relu"}, "hidden_act=relu, .* supported: silu"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_type=yarn"),
        ({"attention_bias": True}, "attention_bias=True"),
        ({"hidden_size": None}, "lacks the key 'hidden_size'"),
        ({"hidden_size": "wide"}, "hidden_size=.*a whole number from 1"),
        (
            {"layer_types": ["full_attention", "chunked_attention"]},
            "layer_types=.*chunked.* supported: full_attention or",
        ),
        ({"layer_types": ["full_attention"] * 3}, "layer_types=.* supported: one for each of 2 layers"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types=sliding_att.*use_sliding_window"),
        ({"layer_types": ["sliding_attention"] * 2}, "layer_types=sliding_attention, .*use_sliding_window"),
    ],
)
def test_what_cannot_be_loaded_is_reported(changes, printed, tmp_path):
    to_huggingface(stirred("story"), tmp_path)
    _edit(tmp_path, **changes)
    with pytest.raises(LilliputError, match=printed):
        from_huggingface(tmp_path)


def test_damaged_and_missing_files(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*config\.json: No such file"):
        from_huggingface(tmp_path)
    to_huggingface(stirred("story"), tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read"):
        from_huggingface(tmp_path)
    weights.unlink()
    with pytest.raises(ModelError, match=r"neither model\.safetensors nor"):
        from_huggingface(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="pickle"):
        from_huggingface(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "one.safetensors"}}')
    with pytest.raises(ModelError, match=r"lacks 1 of the 1 files .* one\.safetensors"):
        from_huggingface(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        from_huggingface(tmp_path)


@pytest.mark.parametrize(
    ("index", "printed"),
    [
        ('{"weight_map": {"a": "../elsewhere.safetensors"}}', "no plain file name"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "no plain file name"),
        ('{"weight_map": {"a": 7, "b": 8}}', "no plain file name"),
        ('{"weight_map": ["a"]}', "damaged"),
        ("{", "not valid JSON"),
    ],
)
def test_an_index_names_files_of_its_own_folder(tmp_path: Path, index: str, printed: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelError, match=printed):
        tensor_shapes(tmp_path)
