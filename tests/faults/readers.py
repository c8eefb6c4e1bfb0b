"""The list of readers: everything that reads a file of others. One that is added here is given hostile files."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Reader:
    """`read(path)` reads a file, here the one called `file` in a folder that `fill(folder)` made. `form` says which
    mutations it gets: json, yaml, text or binary. Where `needs` cannot be imported it is left out. An `endless`
    one reads a file of any size to its end."""

    name: str
    file: str
    form: str
    fill: Callable[[Path], object]
    read: Read
    needs: str | None = None
    endless: bool = False


TEXTS = [f"Once upon a time Tom saw a ball number {n} near the old tree.\nThey were happy." for n in range(60)]


@cache
def tokenizer(kind: str) -> Any:
    from lilliput.data.config import TokenizerConfig
    from lilliput.data.tokenizer import Tokenizer

    given = {"kind": kind} if kind == "sentencepiece" else {"kind": "bpe", "pattern": kind}
    return Tokenizer.train(TEXTS, TokenizerConfig.model_validate({**given, "vocab_size": 300}))


def source(kind: str = "qwen2", **parts: Any) -> Any:
    """A model of a few thousand parameters with its tokenizer."""
    from lilliput.formats.source import Source
    from lilliput.model.config import ModelConfig
    from lilliput.model.transformer import Model

    sizes = {"d_model": 16, "n_layers": 2, "n_heads": 2, "d_mlp": 32, "vocab_size": 300, "context_length": 16}
    return Source(Model(ModelConfig.model_validate({**sizes, **parts}), seed=1), tokenizer(kind), "tiny")


def _folder(folder: Path) -> None:
    from lilliput.model.huggingface import to_huggingface

    made = source()
    to_huggingface(made.model, folder, **made.tokenizer.marks)
    made.tokenizer.save(folder, 16)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")


def _sharded(folder: Path) -> None:
    _folder(folder)
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    from lilliput.model.weights import tensor_shapes

    (folder / "model.safetensors").symlink_to("a.safetensors")
    names = list(tensor_shapes(folder))
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "a.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _model(path: Path) -> None:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.decoding.ends import ends_of, not_taken
    from lilliput.formats.source import Source
    from lilliput.generation.loading import load
    from lilliput.model.huggingface import from_huggingface

    from_huggingface(path.parent)
    ends_of(path.parent, Tokenizer.load(path.parent))
    not_taken(path.parent)
    Source.load(path.parent, "tiny")
    load(path.parent, device="cpu", compile=False, notify=lambda text: None)


def _tokenizer(path: Path) -> None:
    from lilliput.data.tokenizer import Tokenizer

    loaded = Tokenizer.load(path)
    loaded.decode(loaded.encode("Tom saw a ball" + "a" * 30))


def _template(path: Path) -> None:
    from lilliput.data.chat_template import ChatTemplate
    from lilliput.data.tokenizer import Tokenizer

    found = ChatTemplate.find(path.parent)
    if found is not None:
        found.ids([{"role": "user", "content": "hello"}], Tokenizer.load(path.parent))


def _pair(folder: Path) -> None:
    model = json.loads(tokenizer("gpt-2").content)["model"]
    (folder / "vocab.json").write_text(json.dumps({**model["vocab"], "<|endoftext|>": 300}))
    (folder / "merges.txt").write_text("".join(f"{a} {b}\n" for a, b in model["merges"]))


def _sentencepiece_model(folder: Path) -> None:
    from lilliput.data.tokenizer_training import byte_pieces

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)

    pieces = [*byte_pieces(), "▁", "a", "b", "ab"]
    data = b""
    for place, piece in enumerate(pieces):
        raw = piece.encode()
        inner = b"\x0a" + varint(len(raw)) + raw + b"\x15" + struct.pack("<f", -place) + b"\x18\x01"
        data += b"\x0a" + varint(len(inner)) + inner
    (folder / "tokenizer.model").write_bytes(data)


def _meta(folder: Path) -> None:
    characters = "\n" + "".join(map(chr, range(32, 127)))
    saved = {"itos": dict(enumerate(characters)), "stoi": {c: n for n, c in enumerate(characters)}}
    (folder / "meta.pkl").write_bytes(pickle.dumps(saved))


def _written(format_: str, kind: str, tokens: str, **parts: Any) -> Callable[[Path], object]:
    def fill(folder: Path) -> None:
        from lilliput.formats.format import FORMATS

        made = source(tokens, **parts)
        FORMATS[format_]().write(made, folder / f"model{FORMATS[format_].suffix}", kind)

    return fill


GPT = {"norm": "layer", "mlp": "gelu_tanh", "position": "learned", "bias": True, "qk_norm": False, "d_mlp": 64}


def _nanogpt(folder: Path) -> None:
    import torch

    from lilliput.formats.nanogpt import KEYS, NAMES
    from lilliput.model.places import to_theirs

    made = source("gpt-2", **{**GPT, "mlp": "gelu", "tied_embeddings": True})
    args = {theirs: getattr(made.model.config, ours) for theirs, ours in KEYS.items()}
    state = {name: t.clone() for name, t in to_theirs(made.model.state_dict(), NAMES, made.model.config).items()}
    torch.save(
        {"model": state, "model_args": args, "config": {}, "best_val_loss": torch.tensor(1.0)}, folder / "ckpt.pt"
    )
    tokenizer("gpt-2").save(folder / "tokenizer")


def _llmc(folder: Path) -> None:
    import numpy as np

    from lilliput.formats.llmc import BLOCK
    from lilliput.formats.nanogpt import NAMES
    from lilliput.model.places import to_theirs

    made = source("gpt-2", **{**GPT, "tied_embeddings": True})
    state = to_theirs(made.model.state_dict(), NAMES, made.model.config)
    header = np.zeros(256, "<i4")
    header[:8] = (20240326, 3, 16, 300, 2, 2, 16, 300)
    names = [f"transformer.h.{n}.{p}.{w}" for p in BLOCK for w in ("weight", "bias") for n in (0, 1)]
    ends = ["transformer.ln_f.weight", "transformer.ln_f.bias"]
    order = ["transformer.wte.weight", "transformer.wpe.weight", *names, *ends]
    data = b"".join(state[name].detach().numpy().astype("<f4").tobytes() for name in order)
    (folder / "model.bin").write_bytes(header.tobytes() + data)
    tokenizer("gpt-2").save(folder / "tokenizer")


def _import(path: Path) -> None:
    from lilliput.formats import transfer

    beside = path.parent / "tokenizer"
    transfer.read(path, beside if beside.is_dir() else None)


def _data(path: Path) -> None:
    from lilliput.data.infer import infer_sources
    from lilliput.data.source import documents_of
    from lilliput.data.token_files import TokenFiles

    named = path.parent / "tokenizer"
    for number, found in enumerate(infer_sources([str(path)])):
        if isinstance(found, TokenFiles):
            found = found.model_copy(update={"tokenizer": str(named)})
        found.describe()
        for _ in documents_of(found, number):
            pass


def _text(name: str, content: str | bytes) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def _parquet(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": TEXTS, "n": list(range(len(TEXTS)))}), folder / "data.parquet")


def _zstd(folder: Path) -> None:
    import zstandard

    (folder / "data.txt.zst").write_bytes(zstandard.compress("\n\n".join(TEXTS).encode()))


def _tokens(folder: Path) -> None:
    import numpy as np

    ids = np.array([0, *tokenizer("gpt-2").encode(TEXTS[0]), 0] * 3, "<u2")
    header = np.zeros(256, "<i4")
    header[:3] = (20240520, 1, len(ids))
    (folder / "data.bin").write_bytes(header.tobytes() + ids.tobytes())
    tokenizer("gpt-2").save(folder / "tokenizer")


def _items(path: Path) -> None:
    from lilliput.evaluation.benchmarks.loading import read_rows

    for _ in read_rows(path):
        pass


def _recipe(path: Path) -> None:
    from lilliput.assembly.recipe import load

    load(path)


def _queue(path: Path) -> None:
    from lilliput.lab.queue_file import QueueFile

    QueueFile(path)


def _prompts(path: Path) -> None:
    from lilliput.evaluation.judge.stories import read_prompts

    read_prompts(path)


def _extraction_template(path: Path) -> None:
    from lilliput.worlds.extraction.template import read_template

    read_template(path)


def _examples(path: Path) -> None:
    from lilliput.worlds.extraction.making import read_examples

    read_examples([path])


def _schema(path: Path) -> None:
    from lilliput.generation.constraints import constraint

    constraint(tokenizer("qwen2"), json_schema=str(path))


def _record(path: Path) -> None:
    from lilliput.runs.evaluation_section import evaluation
    from lilliput.runs.record import RunRecord

    evaluation(RunRecord.read(path.parent))


def _run(folder: Path) -> None:
    recipe = "name: tiny\ntrain: {steps: 2}\n"
    (folder / "recipe.yaml").write_text(recipe)
    line = {"step": 1, "tokens": 10, "seconds": 1.0, "loss": 3.0, "val_bits_per_byte": 2.0}
    (folder / "metrics.jsonl").write_text("".join(json.dumps({**line, "step": n}) + "\n" for n in (1, 2)))
    (folder / "summary.json").write_text(json.dumps({"val_bits_per_byte": 2.0, "baselines": {"bigram": 3.0}}))
    (folder / "evaluation.json").write_text(
        json.dumps({"overlap": {"a": {"n": 8, "items": 1, "short": 0, "found": 0}}})
    )


RECIPE = """name: tiny
seed: 3
data:
  sources: [{kind: story, stories: 20}]
  validation_fraction: 0.2
tokenizer: {vocab_size: 300}
model: {d_model: 64, n_layers: 2, n_heads: 2, context_length: 32, mlp: swiglu}
train: {steps: 5, batch_tokens: 256, threads: 1, optimizer: {learning_rate: 0.001, betas: [0.9, 0.95]}}
evaluate: {prompts: [Once], sample_tokens: 5, baselines: [1, 2]}
"""
QUEUE = "experiments:\n- {name: a, config: story, overrides: [train.steps=5], status: todo}\n"
JSONL = "".join(json.dumps({"text": text, "n": 1}) + "\n" for text in TEXTS)
CSV = "text,n\n" + "".join(f'"{text}",1\n' for text in TEXTS)
TEMPLATE = {
    "name": "verbatim-string",
    "sizes": [["small", "large"]],
    "children": [{"name": "string", "age": "integer"}],
}
EXAMPLE = json.dumps({"text": "Ida Moss ran.", "template": {"name": "verbatim-string"}, "values": {"name": "Ida Moss"}})
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}, "required": ["name"]}
LLAMA = {"qk_norm": False}

READERS = (
    Reader("recipe", "recipe.yaml", "yaml", _text("recipe.yaml", RECIPE), _recipe),
    Reader("queue", "experiments.yaml", "yaml", _text("experiments.yaml", QUEUE), _queue),
    Reader("prompts", "prompts.yaml", "yaml", _text("prompts.yaml", "- Once\n- Twice\n"), _prompts),
    Reader("config.json", "config.json", "json", _folder, _model),
    Reader("generation_config.json", "generation_config.json", "json", _folder, _model),
    Reader("safetensors", "model.safetensors", "binary", _folder, _model),
    Reader("safetensors index", "model.safetensors.index.json", "json", _sharded, _model),
    Reader("tokenizer.json", "tokenizer.json", "json", _folder, _tokenizer),
    Reader("tokenizer_config.json", "tokenizer_config.json", "json", _folder, _model),
    Reader("chat template", "chat_template.jinja", "text", _folder, _template, "jinja2"),
    Reader("vocab.json", "vocab.json", "json", _pair, _tokenizer),
    Reader("merges.txt", "merges.txt", "text", _pair, lambda path: _tokenizer(path.with_name("vocab.json"))),
    Reader("SentencePiece", "tokenizer.model", "binary", _sentencepiece_model, _tokenizer),
    Reader("meta.pkl", "meta.pkl", "binary", _meta, _tokenizer),
    Reader("GGUF", "model.gguf", "binary", _written("gguf", "f16", "qwen2"), _import, "gguf"),
    Reader("GGUF llama", "model.gguf", "binary", _written("gguf", "q8_0", "sentencepiece", **LLAMA), _import, "gguf"),
    Reader("llama2.c fp32", "model.bin", "binary", _written("llama2c", "f32", "sentencepiece", **LLAMA), _import),
    Reader("llama2.c int8", "model.bin", "binary", _written("llama2c", "int8", "sentencepiece", **LLAMA), _import),
    Reader(
        "llama2.c tokenizer",
        "model-tokenizer.bin",
        "binary",
        _written("llama2c", "f32", "sentencepiece", **LLAMA),
        _tokenizer,
    ),
    Reader("llm.c", "model.bin", "binary", _llmc, _import),
    Reader("nanoGPT", "ckpt.pt", "binary", _nanogpt, _import),
    Reader("text", "data.txt", "text", _text("data.txt", "\n\n".join(TEXTS)), _data, endless=True),
    Reader(
        "gzip",
        "data.txt.gz",
        "binary",
        _text("data.txt.gz", gzip.compress("\n\n".join(TEXTS).encode())),
        _data,
        endless=True,
    ),
    Reader("zstd", "data.txt.zst", "binary", _zstd, _data, "zstandard", endless=True),
    Reader("JSON lines", "data.jsonl", "text", _text("data.jsonl", JSONL), _data, endless=True),
    Reader(
        "JSON list",
        "data.json",
        "json",
        _text("data.json", json.dumps([{"story": t} for t in TEXTS[:3]])),
        _data,
        endless=True,
    ),
    Reader("CSV", "data.csv", "text", _text("data.csv", CSV), _data, endless=True),
    Reader("Parquet", "data.parquet", "binary", _parquet, _data, "pyarrow", endless=True),
    Reader("token file", "data.bin", "binary", _tokens, _data, endless=True),
    Reader("benchmark", "items.json", "json", _text("items.json", json.dumps([{"question": "x"}])), _items),
    Reader("benchmark Parquet", "data.parquet", "binary", _parquet, _items, "pyarrow"),
    Reader("template", "template.json", "json", _text("template.json", json.dumps(TEMPLATE)), _extraction_template),
    Reader("examples of extraction", "examples.jsonl", "text", _text("examples.jsonl", EXAMPLE), _examples),
    Reader("JSON schema", "schema.json", "json", _text("schema.json", json.dumps(SCHEMA)), _schema, "llguidance"),
    Reader("metrics", "metrics.jsonl", "text", _run, _record),
    Reader("summary", "summary.json", "json", _run, _record),
    Reader("evaluation", "evaluation.json", "json", _run, _record),
    Reader("recipe of a run", "recipe.yaml", "yaml", _run, _record),
)
