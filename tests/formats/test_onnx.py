"""ONNX: onnxruntime says the same as the model; the printed command; what is refused."""

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.base.errors import ConfigError, ExportError, MissingExtra
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats import onnx_format
from lilliput.formats.source import Source
from lilliput.formats.transfer import read, write
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from tests.formats.conftest import PROMPTS, SIZE, texts

pytest.importorskip("onnxscript")
runtime = pytest.importorskip("onnxruntime")
Grown = Callable[[str], Source]


def greedy(files: list[Path], prompt: str, count: int) -> list[int]:
    """What onnxruntime and the tokenizers package say after a prompt, beside no code of ours."""
    from tokenizers import Tokenizer as Backend

    session = runtime.InferenceSession(files[0], providers=["CPUExecutionProvider"])
    start = Backend.from_file(str(files[1])).encode(prompt).ids
    ids = list(start)
    for _ in range(count):
        (logits,) = session.run(["logits"], {"input_ids": torch.tensor([ids]).numpy()})
        ids.append(int(logits[0, -1].argmax()))
    return ids[len(start) :]


@pytest.mark.parametrize("family", ["qwen3", "llama", "neox", "gpt2"])
def test_onnxruntime_generates_the_same(family: str, grown: Grown, tmp_path):
    source = grown(family)
    written = write(source, "onnx", tmp_path / "m.onnx")
    assert [path.name for path in written.files] == ["m.onnx", "m-tokenizer.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m-tokenizer.json", "m.onnx"]
    assert written.parity.logit < 1e-3
    assert written.parity.same_greedy == written.parity.tokens
    assert written.parity.texts
    for prompt, ours in zip(PROMPTS[:6], texts(source.model, source.tokenizer, PROMPTS[:6], 12), strict=True):
        assert greedy(written.files, prompt, len(ours)) == ours
    assert Tokenizer.load(written.files[1]).content == source.tokenizer.content


def test_a_window_and_the_printed_command(tokenizers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts: dict[str, Any] = {**SIZE, "vocab_size": 330, "window": 5}
    written = write(Source(Model(ModelConfig(**parts)), tokenizers["qwen2"], "small"), "onnx")
    assert written.files[0] == Path("small.onnx")
    assert "at most 48 tokens" in written.notes[0]
    done = subprocess.run(shlex.split(written.use), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Once")


def test_another_graph_is_not_kept(grown: Grown, tmp_path, monkeypatch):
    class Wrong(onnx_format._Logits):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return 1.1 * super().forward(ids)

    monkeypatch.setattr(onnx_format, "_Logits", Wrong)
    with pytest.raises(ExportError, match="read back, is another model"):
        write(grown("qwen3"), "onnx", tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_done_is_refused_with_a_reason(grown: Grown, tokenizers, tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    with pytest.raises(ExportError, match=r"Lilliput writes this format only\n.*import the folder"):
        read(tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="onnx stores numbers as f32, not 'f16'"):
        write(grown("qwen3"), "onnx", tmp_path / "n.onnx", "f16")
    parts: dict[str, Any] = {**SIZE, "vocab_size": 330, "context_length": 2}
    with pytest.raises(ExportError, match="context_length=2"):
        write(Source(Model(ModelConfig(**parts)), tokenizers["qwen2"], "m"), "onnx", tmp_path / "n.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"'onnxscript'.*\n.*lilliput\[onnx\]"):
        write(grown("qwen3"), "onnx", tmp_path / "n.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
