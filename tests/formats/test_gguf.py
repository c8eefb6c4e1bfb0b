"""GGUF: what is written, what comes back, what is refused; and llama.cpp itself saying the same tokens."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.base.errors import ExportError, MissingExtra
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.gguf_format import Gguf
from lilliput.formats.source import Source
from lilliput.formats.transfer import read, write
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from tests.formats.conftest import FAMILIES, GPT, PROMPTS, SIZE, same_weights, tales, texts

gguf = pytest.importorskip("gguf")
Grown = Callable[[str], Source]


def keys(file: Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in gguf.GGUFReader(file).fields.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back(family: str, grown: Grown, tmp_path):
    source = grown(family)
    written = write(source, "gguf", tmp_path / "m.gguf", "f32")
    again = read(written.files[0])
    assert again.tokenizer is not None
    assert again.model.config == source.model.config
    same_weights(again.model, source.model)
    assert again.tokenizer.specials == source.tokenizer.specials
    assert texts(again.model, again.tokenizer, PROMPTS) == texts(source.model, source.tokenizer, PROMPTS)
    assert written.parity.logit == 0
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


@pytest.mark.parametrize(("kind", "nats"), [("f16", 1e-2), ("q8_0", 1e-1)])
def test_smaller_types_are_smaller_and_close(kind, nats, grown: Grown, tmp_path):
    source = grown("qwen3")
    whole = write(source, "gguf", tmp_path / "whole.gguf", "f32").files[0].stat().st_size
    written = write(source, "gguf", tmp_path / "m.gguf", kind)
    assert written.files[0].stat().st_size < whole
    assert 0 < written.parity.log_probability < nats
    stored = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(written.files[0]).tensors}
    assert stored["token_embd.weight"] == kind.upper()
    assert stored["output_norm.weight"] == "F32"


def test_rows_that_q8_0_cannot_part_stay_fp32(tokenizers, tmp_path):
    shape: dict[str, Any] = {**SIZE, "d_mlp": 72, "vocab_size": 330}
    source = Source(Model(ModelConfig(**shape)), tokenizers["qwen2"], "m")
    file = write(source, "gguf", tmp_path / "m.gguf", "q8_0").files[0]
    stored = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(file).tensors}
    assert (stored["blk.0.ffn_up.weight"], stored["blk.0.ffn_down.weight"]) == ("Q8_0", "F32")


@pytest.mark.parametrize(
    ("family", "name", "model", "pre"),
    [
        ("qwen3", "qwen3", "gpt2", "qwen2"),
        ("llama_biased", "llama", "gpt2", "llama-bpe"),
        ("llama", "llama", "llama", "default"),
        ("neox", "gptneox", "gpt2", "gpt-2"),
        ("gpt2", "gpt2", "gpt2", "gpt-2"),
    ],
)
def test_architecture_tokenizer_and_pre_split_are_named(family, name, model, pre, grown: Grown, tmp_path):
    source = grown(family)
    source = replace(source, tokenizer=source.tokenizer.with_template("{{ messages[0].content }}"))
    printed = keys(write(source, "gguf", tmp_path / "m.gguf").files[0])
    assert printed["general.architecture"] == name
    assert printed["general.name"] == family
    assert (printed["tokenizer.ggml.model"], printed["tokenizer.ggml.pre"]) == (model, pre)
    assert printed["tokenizer.ggml.bos_token_id"] == source.tokenizer.bos_id
    assert printed["tokenizer.ggml.eos_token_id"] == source.tokenizer.eos_id
    assert printed["tokenizer.ggml.add_bos_token"]
    assert printed["tokenizer.chat_template"] == "{{ messages[0].content }}"
    assert len(printed["tokenizer.ggml.tokens"]) == source.model.config.vocab_size


def test_ids_that_only_the_model_has_are_filled_up(tokenizers, tmp_path):
    source = Source(Model(ModelConfig(**SIZE, vocab_size=352)), tokenizers["qwen2"], "m")
    file = write(source, "gguf", tmp_path / "m.gguf").files[0]
    assert keys(file)["tokenizer.ggml.tokens"][-1] == "<unused 351>"
    again = read(file)
    assert again.model.config.vocab_size == 352
    assert again.tokenizer is not None
    assert again.tokenizer.vocab_size == 330


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"window": 8}, "window=8"),
        ({"mlp": "relu2"}, "a model without a stock class"),
        ({**GPT, "mlp": "relu2", "position": "learned"}, "mlp=relu2 (needs gelu, gelu_tanh, swiglu or experts)"),
    ],
)
def test_what_cannot_be_written_is_refused(changes, reason, tokenizers, tmp_path):
    source = Source(Model(ModelConfig(**{**SIZE, "vocab_size": 330, **changes})), tokenizers["qwen2"], "m")
    with pytest.raises(ExportError) as caught:
        write(source, "gguf", tmp_path / "m.gguf")
    assert reason in caught.value.message
    assert "lilliput train story" in str(caught.value.hint)
    assert not list(tmp_path.iterdir())


def test_a_window_that_never_closes_is_no_window(tokenizers):
    source = Source(Model(ModelConfig(**SIZE, vocab_size=330, window=48)), tokenizers["qwen2"], "m")
    assert not Gguf().misfits(source, "f16")


def test_a_tokenizer_whose_split_has_no_name(tokenizers):
    spec = json.loads(tokenizers["qwen2"].content)
    spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] += "|x"
    source = Source(Model(ModelConfig(**SIZE, vocab_size=330)), Tokenizer(json.dumps(spec)), "m")
    assert "pre-split llama.cpp has no name for" in Gguf().misfits(source, "f16")[0]


def test_files_that_cannot_be_read(grown: Grown, tmp_path):
    file = write(grown("qwen3"), "gguf", tmp_path / "m.gguf").files[0]
    data = file.read_bytes()
    (tmp_path / "short.gguf").write_bytes(data[: len(data) // 2])
    with pytest.raises(ExportError, match=r"short\.gguf is not a whole GGUF file"):
        read(tmp_path / "short.gguf")
    (tmp_path / "other.gguf").write_bytes(data.replace(b"qwen3", b"qwen9"))
    with pytest.raises(ExportError, match="is a 'qwen9' model"):
        read(tmp_path / "other.gguf")


def test_a_bias_that_the_architecture_has_no_place_for(grown: Grown, tmp_path):
    file = write(grown("llama_biased"), "gguf", tmp_path / "m.gguf").files[0]
    named, other = (len(name).to_bytes(8, "little") + name for name in (b"llama", b"qwen3"))
    (tmp_path / "other.gguf").write_bytes(file.read_bytes().replace(named, other).replace(b"llama.", b"qwen3."))
    with pytest.raises(ExportError, match=r"blk\.0\.attn_[a-z]+\.bias"):
        read(tmp_path / "other.gguf")


def test_without_the_package_the_extra_is_named(grown: Grown, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtra, match=r"lilliput\[export\]"):
        write(grown("qwen3"), "gguf", tmp_path / "m.gguf")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------- llama.cpp itself


class LlamaCpp:
    """llama.cpp on one file, in a process of its own (llama_cpp.py)."""

    def __init__(self, file: Path, context: int):
        pytest.importorskip("xllamacpp")
        script = Path(__file__).with_name("llama_cpp.py")
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, str(script), str(file), str(context)], **pipes)
        assert self.process.stdout is not None
        lines = (line for line in self.process.stdout if line.startswith('{"address"'))
        self.address = json.loads(next(lines))["address"]

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, path: str, **values: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, json.dumps(values).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def tokens(self, text: str) -> list[int]:
        return self.ask("/tokenize", content=text, add_special=True)["tokens"]

    def greedy(self, ids: list[int], count: int) -> list[int]:
        values = {"prompt": ids, "n_predict": count, "temperature": 0, "return_tokens": True, "ignore_eos": True}
        return self.ask("/completion", **values)["tokens"]

    def log_probabilities(self, ids: list[int], vocabulary: int) -> dict[int, float]:
        values = {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": vocabulary}
        (first,) = self.ask("/completion", **values)["completion_probabilities"]
        return {entry["id"]: entry["logprob"] for entry in first["top_logprobs"]}


@contextmanager
def running(source: Source, kind: str, folder: Path) -> Iterator[LlamaCpp]:
    program = LlamaCpp(write(source, "gguf", folder / "m.gguf", kind).files[0], source.model.config.context_length)
    try:
        yield program
    finally:
        program.end()


@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_generates_the_same(family: str, grown: Grown, tmp_path):
    source = grown(family)
    model, tokenizer = source.model, source.tokenizer
    with running(source, "f32", tmp_path) as program:
        expected = texts(model, tokenizer, PROMPTS, 16)
        for prompt, printed in zip(PROMPTS, expected, strict=True):
            ids = [tokenizer.bos_id, *tokenizer.encode(prompt)]
            assert program.tokens(prompt) == ids
            # What follows the end mark was never learned: every token is about as likely there.
            until = printed.index(tokenizer.eos_id) if tokenizer.eos_id in printed else len(printed)
            assert program.greedy(ids, 16)[:until] == printed[:until], prompt
        for prompt in PROMPTS[:10]:
            ids = [tokenizer.bos_id, *tokenizer.encode(prompt)]
            with torch.no_grad():
                ours = model.logits(model(torch.tensor([ids])))[0, -1].log_softmax(-1)
            theirs = program.log_probabilities(ids, model.config.vocab_size)
            assert len(theirs) > 0.9 * model.config.vocab_size
            assert max(abs(float(ours[number]) - value) for number, value in theirs.items()) < 0.01


@pytest.mark.parametrize("kind", ["f16", "q8_0"])
def test_llama_cpp_takes_the_smaller_types(kind: str, grown: Grown, tmp_path):
    source = grown("qwen3")
    with running(source, kind, tmp_path) as program:
        ids = [source.tokenizer.bos_id, *source.tokenizer.encode("One day Tom")]
        theirs = program.log_probabilities(ids, 330)
    with torch.no_grad():
        ours = source.model.logits(source.model(torch.tensor([ids])))[0, -1].log_softmax(-1)
    best = int(ours.argmax())
    assert max(theirs, key=lambda number: theirs[number]) == best
    assert abs(theirs[best] - float(ours[best])) < 0.1


@pytest.mark.parametrize("kind", ["qwen2", "llama-bpe", "gpt-2", "sentencepiece"])
def test_llama_cpp_tokenises_as_we_do(kind: str, shared_data, tmp_path):
    """On real prose, with signs, digits and line breaks that the tales lack."""
    text = (shared_data / "prose" / "tinyshakespeare.txt").read_text()[:60_000] + "".join(tales(20))
    parts = {"kind": kind} if kind == "sentencepiece" else {"kind": "bpe", "pattern": kind}
    tokenizer = Tokenizer.train([text], TokenizerConfig.model_validate({**parts, "vocab_size": 600}))
    shape: dict[str, Any] = {"d_model": 32, "n_layers": 1, "vocab_size": 600, "context_length": 32}
    source = Source(Model(ModelConfig(**shape)), tokenizer, "m")
    extra = ["", "  two  spaces", "1,234.5 — “Où?”\n\n\tnaïve 東京 🦊 it's I'LL", "a\r\nb  \n  c"]
    with running(source, "f16", tmp_path) as program:
        for part in (*(text[at : at + 1500] for at in range(0, 45_000, 1500)), *extra):
            assert program.tokens(part) == [tokenizer.bos_id, *tokenizer.encode(part)], part[:60]
