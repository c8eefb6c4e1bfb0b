"""Every field of every stock config: equal logits, or a refusal that names the field."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.base.errors import LilliputError
from lilliput.model.huggingface import from_huggingface, to_huggingface
from tests.model.families import stir, stirred, tokens

transformers = pytest.importorskip("transformers")
CLASSES = {"llama": "llama", "story": "qwen3", "mistral": "mistral", "pythia": "gpt_neox", "gpt2": "gpt2"}
"""A family of ours for each stock class, by the name of its test."""


def fields(family: str, folder: Path) -> dict[str, Any]:
    """The config as transformers writes it for a small model of the class, without our notes."""
    to_huggingface(stirred(family), folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "lilliput": None}))
    return transformers.AutoConfig.from_pretrained(folder).to_dict()


def others(key: str, value: Any, layers: int) -> list[Any]:
    """Other values for a field."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 2 * value, 1]
    if isinstance(value, float):
        return [value + 0.01, 10 * value]
    if key in ("hidden_act", "activation_function"):
        return ["gelu", "relu", "silu", "gelu_new", "gelu_pytorch_tanh", "tanh", "quick_gelu"]
    if key == "layer_types":
        return [["sliding_attention"] * layers, ["full_attention", "sliding_attention"]]
    if key == "rope_parameters":
        kinds = [{"rope_type": "linear", "factor": 2.0}, {"rope_type": "dynamic", "factor": 2.0}]
        return [
            {**value, "rope_theta": 77.0},
            {**value, "partial_rotary_factor": 0.5},
            *({**value, **k} for k in kinds),
        ]
    return [3] if value is None else []


def equal_or_refused(folder: Path, key: str) -> str:
    """What became of a folder that transformers loads."""
    ids = tokens(vocabulary=8)
    try:
        theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            expected = theirs(ids).logits
    except Exception:  # whatever transformers itself makes of a config that it does not take
        return "not theirs"
    try:
        ours = from_huggingface(folder)
    except LilliputError as error:
        named = any(word in str(error) for word in (key, *FOLLOWS.get(key, ())))
        return "refused" if named else f"refused without naming it: {error}"
    with torch.no_grad():
        assert (ours.logits(ours(ids)) - expected).abs().max() < 1e-4, key
    return "equal"


FOLLOWS = {
    "rope_parameters": ("rope_type", "partial_rotary_factor"),
    "use_sliding_window": ("layer_types",),
    "sliding_window": ("layer_types",),
    "max_window_layers": ("layer_types",),
    "head_dim": ("d_model", "d_head"),
    "n_head": ("n_heads",),
    "num_attention_heads": ("n_heads", "d_head"),
    "num_key_value_heads": ("n_kv_heads",),
    "rope_scaling": ("rope_type",),
}
"""What a refusal may name in place of the field itself: what the class derives from it, or our own word for it."""


@pytest.mark.parametrize("family", CLASSES)
def test_another_value_of_any_field_gives_equal_logits_or_is_refused_by_name(family, tmp_path):
    whole = fields(family, tmp_path / "first")
    layers = whole.get("num_hidden_layers") or whole["n_layer"]
    outcomes: dict[str, list[str]] = {}
    for key, value in whole.items():
        if key in ("model_type", "architectures", "transformers_version", "dtype", "id2label", "label2id"):
            continue
        for number, other in enumerate(others(key, value, layers)):
            folder = tmp_path / f"{key}-{number}"
            try:
                config = type(transformers.AutoConfig.from_pretrained(tmp_path / "first"))(**{**whole, key: other})
                stir(transformers.AutoModelForCausalLM.from_config(config)).save_pretrained(folder)
            except Exception:  # no such model in transformers either
                continue
            outcomes.setdefault(key, []).append(equal_or_refused(folder, key))
    assert {outcome for found in outcomes.values() for outcome in found} <= {"equal", "refused", "not theirs"}
    assert sum("equal" in found for found in outcomes.values()) > 12
    assert any("refused" in found for found in outcomes.values())


@pytest.mark.parametrize("family", CLASSES)
@pytest.mark.parametrize("how", ["missing", "null"])
def test_a_field_that_is_not_there_is_what_the_class_takes_for_it(family, how, tmp_path):
    whole = fields(family, tmp_path)
    path = tmp_path / "config.json"
    written = json.loads(path.read_text())
    found = []
    for key in written:
        if key in ("model_type", "architectures", "lilliput"):
            continue
        left = {k: v for k, v in written.items() if k != key} if how == "missing" else {**written, key: None}
        path.write_text(json.dumps(left))
        found.append(equal_or_refused(tmp_path, key))
    assert set(found) <= {"equal", "refused", "not theirs"}
    assert found.count("equal") >= 4
    assert whole


@pytest.mark.parametrize("windowed", [2, 28, 0])
def test_qwen3_windows_the_layers_that_transformers_windows(windowed, tmp_path):
    fields("story", tmp_path)
    path = tmp_path / "config.json"
    changes = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": windowed}
    written = {k: v for k, v in json.loads(path.read_text()).items() if k != "layer_types"}
    path.write_text(json.dumps({**written, **changes}))
    assert equal_or_refused(tmp_path, "layer_types") == "equal"
    assert from_huggingface(tmp_path).config.window == (None if windowed else 4)
    path.write_text(json.dumps({**written, **changes, "max_window_layers": 1}))
    assert equal_or_refused(tmp_path, "layer_types") == "equal"
    assert from_huggingface(tmp_path).config.window_layers == (1,)


def test_an_unknown_key_is_refused_and_an_empty_one_is_not(tmp_path):
    fields("llama", tmp_path)
    path = tmp_path / "config.json"
    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "logit_softcap": 30.0}))
    with pytest.raises(LilliputError, match=r"logit_softcap=30\.0"):
        from_huggingface(tmp_path)
    path.write_text(json.dumps({**written, "logit_softcap": None}))
    from_huggingface(tmp_path)


SPELLED: list[tuple[str, dict[str, Any], str]] = [
    ("gpt2", {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}, "equal"),
    ("gpt2", {"max_position_embeddings": 24, "n_positions": 7}, "equal"),
    ("llama", {"rotary_emb_base": 77.0}, "equal"),
    ("llama", {"rope_parameters": None, "rope_scaling": {"rope_type": "default", "rope_theta": 77.0}}, "equal"),
    ("pythia", {"rope_parameters": None, "rope_theta": None, "rotary_emb_base": 77.0}, "equal"),
    *((family, {"is_causal": False}, "refused") for family in CLASSES),
    ("llama", {"quantization_config": {"quant_method": "gptq", "bits": 4}}, "refused"),
    ("llama", {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 77.0}}}, "refused"),
]
"""Other spellings of fields, and fields that `to_dict` does not have."""


@pytest.mark.parametrize(("family", "changes", "outcome"), SPELLED)
def test_other_spellings_are_read_as_the_class_reads_them(family, changes, outcome, tmp_path):
    fields(family, tmp_path)
    path = tmp_path / "config.json"
    written = {**json.loads(path.read_text()), **changes}
    if family == "gpt2":
        written = {key: value for key, value in written.items() if key not in ("n_embd", "n_layer", "n_head")} | {
            key: written[key] for key in ("n_embd", "n_layer", "n_head") if "hidden_size" not in changes
        }
    path.write_text(json.dumps(written))
    key = next(iter(changes))
    if key in ("quantization_config", "rope_parameters") and outcome == "refused":  # transformers does not load these
        with pytest.raises(LilliputError, match=key):
            from_huggingface(tmp_path)
    else:
        assert equal_or_refused(tmp_path, key) == outcome
