"""Checkpoints of nanoGPT and llm.c, written here by their layout from a stock GPT-2, which is the oracle."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lilliput.base.errors import ExportError
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.llmc import BLOCK
from lilliput.formats.source import Source
from lilliput.formats.transfer import read, write
from tests.model.families import stir, tokens

transformers = pytest.importorskip("transformers")
SIZES = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 24, "vocab_size": 330}


@pytest.fixture
def kept(tokenizers: dict[str, Tokenizer], tmp_path: Path) -> Path:
    tokenizers["gpt-2"].save(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def stock(activation: str, **sizes: Any) -> Any:
    return stir(
        transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**SIZES, **sizes}, activation_function=activation))
    )


def as_linear(model: Any) -> dict[str, torch.Tensor]:
    """Its tensors with matrices as nn.Linear has them (Hugging Face's are transposed)."""
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    return {name: tensor.T.contiguous() if name.endswith(turned) else tensor for name, tensor in state.items()}


def same_logits(ours: Any, theirs: Any, within: float = 1e-4) -> None:
    ids = tokens(vocabulary=330)
    with torch.no_grad():
        assert (ours.logits(ours(ids)) - theirs(ids).logits).abs().max() < within


def nanogpt(file: Path, state: dict[str, torch.Tensor], **args: Any) -> Path:
    given = {"n_layer": 2, "n_head": 4, "n_embd": 32, "block_size": 24, "vocab_size": 330, "bias": True, "dropout": 0.0}
    saved = {
        "model": state,
        "model_args": given | args,
        "iter_num": 7,
        "best_val_loss": torch.tensor(3.0),
        "config": {},
    }
    torch.save(saved, file)
    return file


def test_nanogpt(kept: Path, tmp_path: Path):
    theirs = stock("gelu")
    state = {f"_orig_mod.{name}": tensor for name, tensor in as_linear(theirs).items()}
    state["_orig_mod.transformer.h.0.attn.bias"] = torch.ones(1, 1, 24, 24).tril()
    content = read(nanogpt(tmp_path / "ckpt.pt", state), kept)
    assert content.model.config.mlp == "gelu"
    same_logits(content.model, theirs)


def test_nanogpt_without_biases(kept: Path, tmp_path: Path):
    theirs = stock("gelu")
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    state = {name: tensor for name, tensor in as_linear(theirs).items() if not name.endswith("bias")}
    content = read(nanogpt(tmp_path / "ckpt.pt", state, bias=False), kept)
    assert not content.model.config.bias
    same_logits(content.model, theirs)


class Harm:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harmed"),)


def test_code_in_a_checkpoint_is_not_run(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {}, "model_args": Harm()}, "ckpt.pt")
    with pytest.raises(ExportError, match="cannot be read without running code in it, which is never done"):
        read(tmp_path / "ckpt.pt", kept)
    assert not (tmp_path / "harmed").exists()
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(ExportError, match="no format that Lilliput reads"):
        read(tmp_path / "bare.pt", kept)
    assert not (tmp_path / "harmed").exists()


def test_other_checkpoints_and_missing_settings(kept: Path, tmp_path: Path):
    torch.save({"weights": {}}, tmp_path / "other.pt")
    with pytest.raises(ExportError, match="is not a checkpoint of nanoGPT"):
        read(tmp_path / "other.pt", kept)
    torch.save({"model": {}, "model_args": {"n_layer": 2, "n_head": 4}}, tmp_path / "few.pt")
    with pytest.raises(ExportError, match="model_args lack n_embd, block_size, vocab_size, bias"):
        read(tmp_path / "few.pt", kept)
    file = nanogpt(tmp_path / "ckpt.pt", {})
    with pytest.raises(ExportError, match=r"36\.8k parameters, and .* of weights cannot hold them"):
        read(file, kept)
    with pytest.raises(ExportError, match="has no tokenizer"):
        read(nanogpt(tmp_path / "ckpt.pt", as_linear(stock("gelu"))))


def llmc(file: Path, state: dict[str, torch.Tensor], version: int) -> Path:
    """Rows of the vocabulary are filled up to 384."""
    header = np.zeros(256, "<i4")
    header[:8] = (20240326, version, 24, 330, 2, 4, 32, 384)
    layers = [[f"transformer.h.{n}.{part}.{what}" for n in (0, 1)] for part in BLOCK for what in ("weight", "bias")]
    first = [torch.cat([state["transformer.wte.weight"], torch.full((54, 32), 9.0)]), state["transformer.wpe.weight"]]
    rest = [state[name] for names in layers for name in names]
    last = [state["transformer.ln_f.weight"], state["transformer.ln_f.bias"]]
    flat = torch.cat([tensor.flatten() for tensor in (*first, *rest, *last)])
    body = flat.numpy().astype("<f4").tobytes() if version == 3 else flat.bfloat16().view(torch.int16).numpy().tobytes()
    file.write_bytes(header.tobytes() + body)
    return file


@pytest.mark.parametrize(("version", "within"), [(3, 1e-4), (5, 0.2)])
def test_llmc(version: int, within: float, kept: Path, tmp_path: Path):
    theirs = stock("gelu_new")
    content = read(llmc(tmp_path / "gpt2.bin", as_linear(theirs), version), kept)
    same_logits(content.model, theirs, within)
    if version == 5:
        same_logits(content.model, theirs.bfloat16().float())


def test_llmc_cut_short_or_of_another_version(kept: Path, tmp_path: Path):
    file = llmc(tmp_path / "gpt2.bin", as_linear(stock("gelu_new")), 3)
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ExportError, match="but its header asks for"):
        read(file, kept)
    file.write_bytes(np.array([20240326, 1], "<i4").tobytes())
    with pytest.raises(ExportError, match=r"version 1 of llm.c's checkpoints; 3 .fp32. and 5 .bf16. can be read"):
        read(file, kept)


def test_formats_that_are_only_read(grown, tmp_path: Path):
    source: Source = grown("gpt2")
    for name in ("nanogpt", "llmc"):
        with pytest.raises(Exception, match=f"{name} is a format that is only read"):
            write(source, name, tmp_path / "m")
