"""Adapters that are trained here: what they compute, PEFT's format both ways, and that no backend leaves them out."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.base.errors import CheckpointError, ConfigError, ModelError
from lilliput.decoding import int8, native
from lilliput.model import huggingface
from lilliput.model.adapter import merge
from lilliput.model.config import ModelConfig
from lilliput.model.huggingface import to_huggingface
from lilliput.model.lora import AdapterConfig, LoraLinear, adapted, attach, merged, pieces_of
from lilliput.model.lora_files import read_adapter, target_modules, write_adapter
from lilliput.model.transformer import Model
from lilliput.training.config import OptimizerConfig
from lilliput.training.optim import build
from tests.model.families import stir, stirred, tokens

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3": ("story_grouped", {}),
    "some": ("story_grouped", {"targets": ("q_proj", "v_proj", "blocks.1.mlp.down")}),
    "llama": ("llama", {"targets": ("attn", "gate_up"), "rank": 3, "alpha": 5.5}),
    "mistral": ("mistral", {"targets": ("up_proj", "o_proj")}),
    "neox": ("pythia", {}),
    "gpt2": ("gpt2", {}),
    "gpt2_some": ("gpt2", {"targets": ("attn.out",)}),
}


def trained(family: str, seed: int = 3, **settings: Any) -> tuple[Model, AdapterConfig]:
    """A model with an adapter whose matrices are not zero, in evaluation mode."""
    model, config = stirred(family), AdapterConfig(**{"rank": 4, "alpha": 6.0, **settings})
    attach(model, config, seed=1)
    for name, module in adapted(model).items():
        stir(torch.nn.ParameterList([module.lora_a, module.lora_b]), seed=len(name) + seed)
    return model.eval(), config


def logits(model: Model) -> torch.Tensor:
    with torch.no_grad():
        return model.logits(model(tokens()))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of peft and transformers themselves
@pytest.mark.parametrize("case", CASES)
def test_peft_computes_the_same_from_the_folder_on_the_exported_base(case: str, tmp_path: Path):
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    family, settings = CASES[case]
    to_huggingface(stirred(family), tmp_path / "base")
    model, config = trained(family, **settings)
    write_adapter(model, config, tmp_path / "adapter", str(tmp_path / "base"))
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        wanted = theirs(tokens()).logits
    assert (logits(model) - wanted).abs().max() < 2e-4
    assert (logits(stirred(family)) - wanted).abs().max() > 1e-2


@pytest.mark.parametrize("case", CASES)
def test_the_merged_model_computes_the_same_and_is_the_merged_folder(case: str, tmp_path: Path):
    family, settings = CASES[case]
    model, config = trained(family, **settings)
    write_adapter(model, config, tmp_path, "base")
    plain, from_folder = merged(model), stirred(family)
    merge(tmp_path, from_folder)
    assert (logits(plain) - logits(model)).abs().max() < 1e-4
    for name, tensor in from_folder.state_dict().items():
        torch.testing.assert_close(plain.state_dict()[name], tensor, atol=1e-6, rtol=1e-6)
    assert plain.embed.weight.data_ptr() == model.embed.weight.data_ptr()
    assert huggingface.refuses(plain) == []


@pytest.mark.parametrize("case", CASES)
def test_the_folder_is_read_back_bit_for_bit(case: str, tmp_path: Path):
    family, settings = CASES[case]
    model, config = trained(family, **settings)
    write_adapter(model, config, tmp_path, "base")
    again, _ = trained(family, seed=4, **settings)
    read_adapter(again, tmp_path)
    for name, module in adapted(model).items():
        other = adapted(again)[name]
        assert torch.equal(module.lora_a, other.lora_a)
        assert torch.equal(module.lora_b, other.lora_b)
    assert torch.equal(logits(model), logits(again))


def test_another_adapters_folder_is_refused(tmp_path: Path):
    model, config = trained("llama")
    write_adapter(model, config, tmp_path, "base")
    others: tuple[dict[str, Any], ...] = ({"rank": 2}, {"targets": ("qkv",)})
    for settings in others:
        with pytest.raises(CheckpointError, match="another adapter"):
            read_adapter(trained("llama", **settings)[0], tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_adapter(model, tmp_path)


def test_a_new_adapter_changes_nothing_and_trains_its_own_matrices_alone():
    model = stirred("llama")
    before, plain = logits(model), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count = attach(model, AdapterConfig(rank=2), seed=1)
    assert torch.equal(logits(model), before)
    learning = {name: one for name, one in model.named_parameters() if one.requires_grad}
    assert all(".lora_" in name for name in learning)
    assert sum(one.numel() for one in learning.values()) == count
    optimizers = build(model, OptimizerConfig(kind="muon"))
    assert {type(each).__name__ for each in optimizers.optimizers} == {"AdamW"}
    ids = tokens()
    for _ in range(2):
        model.train()
        model.loss(model(ids), ids, torch.ones(ids.shape)).backward()
        optimizers.step()
        optimizers.zero_grad()
    assert all(torch.equal(tensor, plain[name]) for name, tensor in model.state_dict().items() if name in plain)
    assert all(bool(module.lora_b.any()) for module in adapted(model).values())
    assert {key.rpartition(".")[0] for key in optimizers.state()} == {*learning}


def test_the_first_matrices_are_a_function_of_the_seed():
    def first(seed: int) -> torch.Tensor:
        model = stirred("llama")
        attach(model, AdapterConfig(), seed)
        return adapted(model)["blocks.0.attn.qkv"].lora_a

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_dropout_is_of_the_update_in_training_alone():
    model, _ = trained("llama", dropout=0.5)
    assert torch.equal(logits(model), logits(model))
    model.train()
    assert not torch.equal(logits(model), logits(model))


def test_targets_are_named_as_we_do_and_as_the_stock_class_does():
    model = stirred("llama")
    assert [piece.theirs for piece in pieces_of(model, ["blocks.1.attn.qkv"])["blocks.1.attn.qkv"]] == [
        f"model.layers.1.self_attn.{name}_proj" for name in "qkv"
    ]
    assert pieces_of(model, ["self_attn"]) == pieces_of(model, ["attn"])
    assert pieces_of(model, ["all-linear"]) == pieces_of(model) == pieces_of(model, ["blocks.0-1"])
    assert {*pieces_of(model, ["model.layers.0.mlp.gate_proj"])} == {"blocks.0.mlp.gate_up"}


@pytest.mark.parametrize("target", ["q_projj", "embed", "unembed", "blocks.7", ""])
def test_an_unknown_target_is_refused_with_the_known_ones(target: str):
    with pytest.raises(ConfigError, match=r"adapter\.targets") as caught:
        pieces_of(stirred("llama"), [target])
    assert "q_proj" in str(caught.value.hint)


def test_target_modules_are_short_where_all_blocks_have_them():
    assert target_modules(trained("llama", targets=("q_proj", "mlp"))[0]) == [
        *("q_proj", "gate_proj", "up_proj", "down_proj"),
    ]
    assert target_modules(trained("llama", targets=("blocks.0.attn.out",))[0]) == ["model.layers.0.self_attn.o_proj"]
    assert target_modules(trained("gpt2", targets=("attn.out",))[0]) == [
        *("transformer.h.0.attn.c_proj", "transformer.h.1.attn.c_proj"),
    ]


def test_a_model_without_a_stock_class_is_refused():
    model = Model(ModelConfig(d_model=32, n_layers=1, mlp="relu2"))
    with pytest.raises(ModelError, match="none computes this model") as caught:
        attach(model, AdapterConfig(), 1)
    assert "train.freeze" in str(caught.value.hint)


def test_every_backend_refuses_an_adapter_that_is_not_merged(tmp_path: Path):
    model, _ = trained("llama")
    for backend in (native, int8, huggingface):
        assert any("LoraLinear" in reason for reason in backend.refuses(model))
        assert not any("LoraLinear" in reason for reason in backend.refuses(merged(model)))
    with pytest.raises(ModelError, match="no folder can hold this model"):
        to_huggingface(model, tmp_path)


def test_an_adapter_of_several_pieces_is_the_sum_written_out():
    model, config = trained("story_grouped", targets=("q_proj", "v_proj"))
    module = adapted(model)["blocks.0.attn.qkv"]
    assert isinstance(module, LoraLinear)
    x = torch.randn(5, module.in_features, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = torch.nn.functional.linear(x, module.weight, module.bias)
        for piece, a, b in module.matrices():
            wanted[:, piece.start : piece.stop] += config.alpha / config.rank * x @ a.T @ b.T
        torch.testing.assert_close(module(x), wanted)


def test_the_settings_are_pefts(tmp_path: Path):
    peft = pytest.importorskip("peft")
    model, config = trained("gpt2", dropout=0.25, alpha=12)
    write_adapter(model, config, tmp_path, "some/base")
    known = peft.LoraConfig.from_pretrained(str(tmp_path))
    assert (known.r, known.lora_alpha, known.lora_dropout, known.bias) == (4, 12, 0.25, "none")
    assert known.base_model_name_or_path == "some/base"
    assert json.loads((tmp_path / "adapter_config.json").read_text())["fan_in_fan_out"] is True
