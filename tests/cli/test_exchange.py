"""`lilliput export`, `import`, `push` and `pull`."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.cli.conftest import Command, Result
from tests.formats.hub_stand_in import COMMIT, stand_in


def test_a_run_goes_out_comes_back_and_generates_the_same(command: Command, llama_run: Path):
    pytest.importorskip("gguf")

    def texts(name: str) -> str:
        return command("generate", name, "One day", "--temperature", "0", "--max-tokens", "12", "--json").out

    def text(result: str) -> list[str]:
        return json.loads(result)["texts"]

    ours = text(texts(str(llama_run)))
    for format, file, extra in (("llama2c", "tiny.bin", []), ("gguf", "tiny.gguf", ["--type", "f32"])):
        result = command("export", str(llama_run), format, *extra)
        assert result.code == 0, result.err
        assert f"{file}  " in result.out
        assert "parity (f32): logits within 0 of the source" in result.out
        assert Path(file).is_file()
        assert command("import", file, f"from-{format}").code == 0
        assert text(texts(f"from-{format}")) == ours


def test_characters_of_nanogpt_come_with_their_own_vocabulary(command: Command):
    from tests.formats.test_characters import checkpoint, kept, vocabulary

    checkpoint(Path("ckpt.pt"))
    kept(Path("meta.pkl"), vocabulary())
    result = command("import", "ckpt.pt", "chars")
    assert result.code == 0, result.err
    assert result.out.endswith("lilliput generate chars\n")
    texts = command("generate", "chars", "Tom", "--temperature", "0", "--max-tokens", "5", "--json")
    assert len(json.loads(texts.out)["texts"][0]) == 8
    unknown = command("generate", "chars", "Tom 1")
    assert unknown.code == 2
    assert "has no '1' (U+0031)" in unknown.err
    assert "needs a tokenizer with an end mark" in command("generate", "chars", "A", "--regex", "a+").err


def test_options_and_json(command: Command, llama_run: Path):
    result = command("export", str(llama_run), "llama2c", "--type", "int8", "-o", "out/small.bin", "--json")
    written = json.loads(result.out)
    assert written["files"] == ["out/small.bin", "out/small-tokenizer.bin"]
    assert written["kind"] == "int8"
    assert written["parity"]["log_probability"] < 0.2
    assert all(Path(file).is_file() for file in written["files"])
    assert "runq" in written["use"]


def test_bad_input_is_one_line(command: Command, trained: Path, tmp_path: Path):
    (tmp_path / "noise.bin").write_bytes(b"\0" * 999)
    (tmp_path / "runs" / "there").mkdir(parents=True)
    cases: list[tuple[list[str], str]] = [
        (["export", str(trained), "ggml"], "unknown format 'ggml' (did you mean 'gguf'?)"),
        (["export", str(trained), "llmc"], "llmc is a format that is only read"),
        (["export", str(trained), "gguf", "--type", "q2"], "gguf stores numbers as f16 or f32 or q8_0, not 'q2'"),
        (["export", str(trained), "llama2c"], "llama2c cannot store this model: qk_norm=True (needs False)"),
        (["export", "nowhere", "gguf"], "there is no run or model folder 'nowhere'"),
        (["import", "noise.bin", "noise"], "has no format that Lilliput reads"),
        (["import", "none.bin", "none"], "there is no file none.bin"),
        (["import", "noise.bin", "../noise"], "'../noise' cannot name a folder in runs"),
        (["import", "noise.bin", "there"], "runs/there exists already"),
        (["push", str(trained), "no name"], "'no name' is not a name on the Hugging Face hub"),
        (["pull", "story"], "'story' is not a name on the Hugging Face hub"),
    ]
    for words, printed in cases:
        result = command(*words)
        assert result.code == 2, words
        assert printed in result.err
        assert "Traceback" not in result.err
        assert len(result.err.splitlines()) <= 2


def test_a_dry_run_shows_the_files_and_the_card(command: Command, trained: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    result = command("push", str(trained), "ada/tiny", "--licence", "mit", "--dry-run")
    assert result.code == 0, result.err
    for words in ("model.safetensors", "recipe.yaml", "license: mit", "| trigram |", "nothing was uploaded"):
        assert words in result.out
    shown = json.loads(command("push", str(trained), "ada/tiny", "--dry-run", "--json").out)
    assert shown["commit"] is None
    assert shown["files"]["README.md"] == len(shown["card"].encode())


def test_push_and_pull_through_the_command(trained: Path, tmp_path: Path):
    """In processes of their own: the hub's client reads HF_ENDPOINT when it is imported."""

    def run(*words: str) -> Result:
        command = [sys.executable, "-m", "lilliput", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        return Result(done.returncode, done.stdout, done.stderr)

    with stand_in() as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_test"}
        pushed = run("push", str(trained), "ada/tiny", "--private")
        assert pushed.code == 0, pushed.err
        assert json.loads(pushed.out)["commit"] == f"{hub.address}/ada/tiny/commit/{COMMIT}"
        assert hub.private["ada/tiny"]
        pulled = run("pull", "ada/tiny", "mine")
        assert pulled.code == 0, pulled.err
        assert json.loads(pulled.out) == {"repo": "ada/tiny", "folder": "runs/mine", "commit": COMMIT}
    assert (tmp_path / "runs" / "mine" / "model.safetensors").read_bytes() == hub.repos["ada/tiny"]["model.safetensors"]


def test_an_adapter_is_merged_into_the_run_that_it_names(command: Command, llama_run: Path, tmp_path: Path):
    from safetensors.torch import load_file

    base = next((llama_run / "checkpoints").glob("step-*")) / "model"
    weights = load_file(base / "model.safetensors")
    name = "model.layers.0.mlp.down_proj"
    settings = adapter(tmp_path / "adapter", name, weights[f"{name}.weight"].shape, str(llama_run))
    result = command("import", "adapter", "merged")
    assert result.code == 0, result.err
    assert "lilliput generate merged" in result.out
    merged = load_file(Path("runs/merged/model.safetensors"))
    assert merged.keys() == weights.keys()
    for key, tensor in merged.items():
        change = 3.0 if key == f"{name}.weight" else 0.0  # alpha 6, rank 2, ones: 6 / 2 * (1 * 1 + 0)
        assert torch.allclose(tensor, weights[key].float() + change), key
    for file in ("tokenizer.json", "generation_config.json"):
        assert Path("runs/merged", file).read_bytes() == (base / file).read_bytes()
    assert json.loads(Path("runs/merged/config.json").read_text())["lilliput"]["objective"]["kind"] == "causal"
    assert command("generate", "merged", "One day", "--max-tokens", "4").code == 0

    (tmp_path / "adapter" / "adapter_config.json").write_text(
        json.dumps({**settings, "base_model_name_or_path": "a/b"})
    )
    away = command("import", "adapter", "other")
    assert away.code == 2
    assert "belongs to 'a/b', which was not found" in away.err
    assert "--base RUN; or get it first: lilliput pull a/b" in away.err
    assert command("import", "adapter", "other", "--base", str(llama_run)).code == 0
    assert Path("runs/other/model.safetensors").read_bytes() == Path("runs/merged/model.safetensors").read_bytes()
    for words in (["generate", "adapter"], ["export", "adapter", "llama2c"]):
        unmerged = command(*words)
        assert unmerged.code == 2
        assert "has to be merged first\n  lilliput import adapter NAME" in unmerged.err


def test_a_base_belongs_to_an_adapter(command: Command, llama_run: Path, tmp_path: Path):
    (tmp_path / "noise.bin").write_bytes(b"\0" * 999)
    assert "noise.bin is no adapter, so it has no base" in command("import", "noise.bin", "x", "--base", "y").err
    adapter(tmp_path / "adapter", "lm_head", (1, 1), None)
    assert "does not name the model" in command("import", "adapter", "x").err
    assert not list((tmp_path / "runs").iterdir())


def adapter(folder: Path, module: str, shape: Sequence[int], base: str | None) -> dict[str, Any]:
    """A LoRA adapter of one module, whose first matrix is one in its first row; its settings."""
    from safetensors.torch import save_file

    folder.mkdir()
    first, second = torch.zeros(2, shape[1]), torch.ones(shape[0], 2)
    first[0] = 1
    prefix = f"base_model.model.{module}.lora_"
    save_file({f"{prefix}A.weight": first, f"{prefix}B.weight": second}, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": [module]}
    settings |= {"base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return settings


def test_onnx_goes_out_and_not_in(command: Command, trained: Path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    result = command("export", str(trained), "onnx", "-o", "out/m.onnx")
    assert result.code == 0, result.err
    for words in ("out/m.onnx  ", "out/m-tokenizer.json  ", "parity (f32): logits within ", "python -c "):
        assert words in result.out
    assert "torchvision" not in result.err
    again = command("import", "out/m.onnx", "again")
    assert (again.code, "Lilliput writes this format only" in again.err) == (2, True)
