"""Adapters on one loaded base: they share its weights, generate with their own, and are refused on another base."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from lilliput.base.console import size
from lilliput.base.errors import CheckpointError, ConfigError, ModelError
from lilliput.cli.serve import adapters_of
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.int8 import Int8Linear
from lilliput.generation.adapters import with_adapter
from lilliput.generation.loading import load
from lilliput.model.huggingface import from_huggingface, to_huggingface
from lilliput.model.lora import AdapterConfig, adapted, attach
from lilliput.model.lora_files import write_adapter
from lilliput.server.serving import adapted as served_adapters
from lilliput.server.serving import load_served, serve
from tests.model.families import stir, stirred, tokens


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = ["Tom saw a red ball near the tree.", "Lily went home with a kite."] * 20
    return Tokenizer.train(iter(texts), TokenizerConfig(vocab_size=300))


@pytest.fixture
def base(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    to_huggingface(stirred("llama", vocab_size=tokenizer.vocab_size, context_length=32), tmp_path / "base")
    tokenizer.save(tmp_path / "base")
    return tmp_path / "base"


def adapter(base: Path, place: Path, seed: int) -> Path:
    model, config = from_huggingface(base), AdapterConfig(rank=2, targets=("q_proj", "down"))
    attach(model, config, seed)
    for module in adapted(model).values():
        stir(torch.nn.ParameterList([module.lora_a, module.lora_b]), seed)
    write_adapter(model, config, place, str(base))
    return place


def test_adapters_share_what_they_do_not_change(base: Path, tmp_path: Path):
    loaded, lines = load(base, "cpu", lambda text: None), list[str]()
    made = [
        with_adapter(loaded, base, adapter(base, tmp_path / name, seed), lines.append)
        for seed, name in enumerate(("one", "two"))
    ]
    places = [{name: one.data_ptr() for name, one in each.model.named_parameters()} for each in (loaded, *made)]
    changed = {f"blocks.{layer}.{part}.weight" for layer in (0, 1) for part in ("attn.qkv", "mlp.down")}
    for name in places[0]:
        assert len({each[name] for each in places}) == (3 if name in changed else 1), name
    own = sum(made[0].model.get_parameter(name).numel() for name in changed) * 4
    assert size(own) in lines[0]


def test_each_generates_by_its_own_weights_and_natively(base: Path, tmp_path: Path):
    loaded = load(base, "cpu", lambda text: None)
    before = loaded.generate("Tom", max_tokens=12, temperature=0)
    folder = adapter(base, tmp_path / "one", 1)
    made = with_adapter(loaded, base, folder, lambda text: None)
    ids = tokens(vocabulary=300)
    with torch.no_grad():
        difference = (made.model(ids) - loaded.model(ids)).abs().max()
    assert difference > 1e-2
    assert made.generate("Tom", max_tokens=12, temperature=0) != before
    assert loaded.generate("Tom", max_tokens=12, temperature=0) == before
    assert type(made.decoder) is type(loaded.decoder)


def test_int8_is_of_the_merged_matrices(base: Path, tmp_path: Path):
    loaded = load(base, "cpu", lambda text: None)
    made = with_adapter(loaded, base, adapter(base, tmp_path / "one", 1), lambda text: None, int8=True)
    assert any(isinstance(module, Int8Linear) for module in made.model.modules())
    assert not any(isinstance(module, Int8Linear) for module in loaded.model.modules())


def test_they_are_served_by_name_beside_their_base(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found: list = []
    monkeypatch.setattr("lilliput.server.serving.run_server", lambda models, **settings: found.extend(models))
    given = {name: adapter(base, tmp_path / name, seed) for seed, name in enumerate(("one", "two"))}
    serve([base], "cpu", lambda text: None, adapters=given)
    assert [served.name for served in found] == ["base", "one", "two"]
    assert found[1].generator.model.embed.weight is found[0].generator.model.embed.weight
    with pytest.raises(ConfigError, match="two of the models would be called 'base'"):
        serve([base], "cpu", lambda text: None, adapters={"base": given["one"]})
    with pytest.raises(ConfigError, match="adapters stand on one model"):
        served_adapters([found[0], found[0]], [base, base], given)
    assert served_adapters([load_served(base, "cpu", lambda text: None)], [base], {}) == []


def test_a_folder_without_an_adapter_and_another_base_are_refused(base: Path, tmp_path: Path):
    loaded = load(base, "cpu", lambda text: None)
    with pytest.raises(CheckpointError, match="holds no adapter"):
        with_adapter(loaded, base, base, lambda text: None)
    folder = adapter(base, tmp_path / "step" / "adapter", 1)
    (tmp_path / "step" / "trainer").mkdir()
    state = {"callbacks": {"origin": {"path": "runs/other", "sha256": "0" * 64}}}
    (tmp_path / "step" / "trainer" / "state.json").write_text(json.dumps(state))
    with pytest.raises(ModelError, match="trained on other weights") as caught:
        with_adapter(loaded, base, folder, lambda text: None)
    assert "runs/other" in str(caught.value.hint)
    shutil.rmtree(tmp_path / "step" / "trainer")
    with_adapter(loaded, base, folder, lambda text: None)


@pytest.mark.parametrize("words", [["one"], ["=folder"], ["one="], ["one=a", "one=b"]])
def test_an_adapter_is_a_name_and_a_folder(words: list[str]):
    assert adapters_of(["kind=runs/kind", "sad=runs/sad=1"]) == {"kind": "runs/kind", "sad": "runs/sad=1"}
    with pytest.raises(ConfigError):
        adapters_of(words)
