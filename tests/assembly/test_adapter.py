"""Runs that train an adapter or a part of the model: checkpoints, bit-exact resumes, and what did not move."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lilliput import api
from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.adapter import merge_adapter
from lilliput.model.huggingface import from_huggingface
from lilliput.runs.run_folder import RunFolder
from tests.assembly.conftest import StopAt
from tests.assembly.test_beginning import newest, weights

LORA = ("adapter.rank=2", "adapter.targets=[q_proj, mlp]", "train.optimizer.learning_rate=0.01")
LORA += ("train.checkpoint_steps=3", "adapter.dropout=0.1")


def test_a_checkpoint_holds_the_adapter_and_the_merged_model(begin, source: Path, tmp_path: Path):
    run = begin(*LORA)
    folder = newest(run.path).parent
    assert {file.name for file in (folder / "adapter").iterdir()} >= {
        *("adapter_config.json", "adapter_model.safetensors", "tokenizer.json"),
    }
    tensors = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert any(bool(tensor.any()) for name, tensor in tensors.items() if "lora_B" in name)
    before, after = weights(source), weights(run.path)
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {
        *(f"blocks.{layer}.{part}.weight" for layer in (0, 1) for part in ("attn.qkv", "mlp.gate_up", "mlp.down")),
    }
    keys = after["blocks.0.attn.qkv.weight"][32:]  # of q alone
    assert torch.equal(keys, before["blocks.0.attn.qkv.weight"][32:])
    (tmp_path / "merged").mkdir()
    merge_adapter(folder / "adapter", tmp_path / "merged", newest(source), None, lambda text: None)
    for name, tensor in from_huggingface(tmp_path / "merged").state_dict().items():
        torch.testing.assert_close(tensor, after[name], atol=1e-6, rtol=1e-6)
    settings = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(newest(source))
    assert run.summary["parameters_trained"] == sum(tensor.numel() for tensor in tensors.values())
    assert run.summary["parameters_trained"] < run.summary["parameters"] / 4
    moments = load_file(folder / "trainer" / "optimizer.safetensors")
    assert all(".lora_" in name for name in moments)


def test_a_resumed_adapter_is_the_same_to_the_bit(begin):
    whole = begin(*LORA, name="whole")
    begin(*LORA, callbacks=(StopAt(4),))
    resumed = begin(*LORA)
    assert resumed.summary["sha256"] == whole.summary["sha256"]
    files = [newest(run.path).parent / "adapter" / "adapter_model.safetensors" for run in (whole, resumed)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_adapter_needs_the_base_that_it_was_trained_on(begin, source: Path):
    begin(*LORA, callbacks=(StopAt(4),))
    base = newest(source) / "model.safetensors"
    kept = base.read_bytes()
    base.write_bytes(kept[:-4] + b"\x00\x00\x00\x01")
    shutil.copyfile(base, base.with_name("other"))
    from_ = source.parent / "next" / "recipe.yaml"
    with pytest.raises(CheckpointError, match="stands on another model"):
        api.train(from_, runs=source.parent, live=False, notify=lambda text: None)
    shutil.rmtree(source)
    with pytest.raises(CheckpointError, match="stands on another model") as caught:
        api.train(from_, runs=source.parent, live=False, notify=lambda text: None)
    assert "merged model" in str(caught.value.hint)


def test_an_adapter_of_new_weights_is_refused(begin):
    with pytest.raises(ConfigError, match=r"init\.from=RUN"):
        begin("adapter.rank=2", from_=None)


def test_an_adapter_and_frozen_parts_are_refused_together(begin):
    with pytest.raises(ConfigError, match=r"train\.freeze or adapter"):
        begin("adapter.rank=2", "train.freeze=[embed]")


def test_an_adapter_adds_no_tokens(begin, source: Path, tmp_path: Path):
    folder = Path(shutil.copytree(newest(source), tmp_path / "equipped"))
    spec = json.loads((folder / "tokenizer.json").read_text())
    old = Tokenizer.load(newest(source)).vocab_size
    token = {"content": "<|tool|>", "special": True, "normalized": False, "lstrip": False, "rstrip": False}
    spec["added_tokens"].append({**token, "id": old, "single_word": False})
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    with pytest.raises(ConfigError, match="trains no new rows"):
        begin("adapter.rank=2", f"tokenizer.path={folder}")


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_frozen_parts_do_not_move_by_a_bit(begin, source: Path, kind: str):
    freeze = "train.freeze=[embed, blocks.0, blocks.1.attn.qkv]"
    run = begin(freeze, f"train.optimizer.kind={kind}", "train.optimizer.weight_decay=0.5")
    before, after = weights(source), weights(run.path)
    frozen = ("embed.", "blocks.0.", "blocks.1.attn.qkv.")
    assert all(torch.equal(after[name], before[name]) for name in after if name.startswith(frozen))
    assert not any(torch.equal(after[name], before[name]) for name in after if not name.startswith(frozen))
    moments = load_file(newest(run.path).parent / "trainer" / "optimizer.safetensors")
    assert moments
    assert not any(name.startswith(frozen) for name in moments)


def test_a_run_with_frozen_parts_resumes_to_the_bit(begin):
    whole = begin("train.freeze=[blocks.0]", name="whole")
    begin("train.freeze=[blocks.0]", callbacks=(StopAt(3),))
    assert begin("train.freeze=[blocks.0]").summary["sha256"] == whole.summary["sha256"]


def test_an_unknown_part_is_refused_with_the_known_ones(begin):
    with pytest.raises(ConfigError, match=r"no part 'blocks\.2'") as caught:
        begin("train.freeze=[blocks.0-2]")
    assert "blocks.0-1.attn.qkv" in str(caught.value.hint)


def test_the_steps_of_a_run_are_in_its_folder(begin):
    run = begin(*LORA)
    assert RunFolder(run.path).steps() == [3, 6]
