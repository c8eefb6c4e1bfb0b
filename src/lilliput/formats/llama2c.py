"""llama2.c's model files: version 0 (fp32, read by `run`) and version 2 (int8, read by `runq`), both ways."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lilliput.base.config import validate
from lilliput.base.errors import ExportError
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats import llama2c_tokenizer as vocabulary
from lilliput.formats.format import FORMATS, Content, Format
from lilliput.formats.rotary import Paired
from lilliput.formats.source import Source
from lilliput.formats.weights import expected, filled
from lilliput.model.config import ModelConfig
from lilliput.model.fields import known
from lilliput.model.places import Split, places, to_theirs
from lilliput.model.plain import refuses
from lilliput.model.transformer import Model

NAMES = places(
    {
        "embed.weight": "embedding",
        "blocks.#.ln1.weight": "attention_norm.#",
        "blocks.#.attn.qkv.weight": Paired("w{}.#", ("q", "k", "v")),
        "blocks.#.attn.out.weight": "wo.#",
        "blocks.#.ln2.weight": "mlp_norm.#",
        "blocks.#.mlp.gate_up.weight": Split("w{}.#", ("1", "3")),
        "blocks.#.mlp.down.weight": "w2.#",
        "ln_final.weight": "norm",
        "unembed.weight": "head",
    }
)
NORMS = ("attention_norm", "mlp_norm", "norm")
MATRICES = ("embedding", "wq", "wk", "wv", "wo", "w1", "w2", "w3")
IN_FP32 = ("embedding", "attention_norm", "wq", "wk", "wv", "wo", "mlp_norm", "w1", "w2", "w3", "norm")

SHAPE = ("d_model", "d_mlp", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "context_length")
PARTS: dict[str, Any] = {
    "norm": "rms",
    "norm_eps": 1e-5,
    "position": "rotary",
    "rope_theta": 10_000.0,
    "rotary_fraction": 1.0,
    "mlp": "swiglu",
    "qk_norm": False,
    "window": None,
    "residual": "sequential",
    "bias": False,
}
"""The config values that llama2.c's programs always compute. The file does not store them."""
FIELDS = {
    **known(" ".join((*SHAPE, "style d_head dropout tied_embeddings init"))),
    **{name: (value,) for name, value in PARTS.items()},
}
"""The config fields that llama2.c's programs compute. Of the fields in PARTS they compute one value each."""

SEVEN = struct.Struct("<7i")
QUANTISED = struct.Struct("<Ii7iBi")
MAGIC, VERSION, HEADER = 0x616B3432, 2, 256
GROUPS = (64, 32, 16, 8, 4)


@FORMATS.add("llama2c")
class Llama2c(Format):
    """The model files of llama2.c. Version 0 holds seven int32, then fp32 tensors stacked over the layers. Two tables
    of rotary angles, which no program reads, lie before the head. Version 2 holds a header of 256 bytes, fp32 norms,
    then each matrix as int8 in groups with one scale a group.
    """

    what = "llama2.c: .bin for run (f32) and runq (int8), with its tokenizer.bin"
    suffix = ".bin"
    types = ("f32", "int8")
    train = "lilliput train story model.qk_norm=false tokenizer.kind=sentencepiece --name NEW"

    def recognises(self, file: Path) -> bool:
        with open(file, "rb") as opened:
            head = opened.read(HEADER)
        if head[:4] == struct.pack("<I", MAGIC):
            return True
        if len(head) < SEVEN.size:
            return False
        numbers = SEVEN.unpack_from(head)
        plausible = all(0 < number < 2**24 for number in (*numbers[:5], abs(numbers[5]), numbers[6]))
        return plausible and _fp32_size(numbers) == file.stat().st_size

    def read(self, file: Path) -> Content:
        with open(file, "rb") as opened:
            head = opened.read(HEADER).ljust(HEADER, b"\0")
        if head[:4] != struct.pack("<I", MAGIC):
            numbers = SEVEN.unpack_from(head)
            config = _config((*numbers[:5], abs(numbers[5]), numbers[6]), numbers[5] > 0, file)
            return _content(config, _read_fp32(file, config), file)
        _, version, *numbers, tied, group = QUANTISED.unpack_from(head)
        if version != VERSION:
            raise ExportError(
                f"{file} is llama2.c's version {version}; versions 0 and 2 can be read",
                f"write it again in llama2.c: python export.py {file.name} --version 2",
            )
        config = _config(tuple(numbers), bool(tied), file)
        return _content(config, _read_int8(file, config, group), file)

    def adopted(self, tokenizer: Tokenizer) -> Tokenizer:
        # The models of llama2.c are trained on texts with the beginning mark between them. At a text's end they
        # generate that mark.
        return Tokenizer(tokenizer.content, {"eos": tokenizer.token(tokenizer.bos_id)}, tokenizer.begins)

    def refuses(self, model: Model) -> list[str]:
        config, found = model.config, refuses(model, FIELDS)
        if config.n_heads * config.d_head != config.d_model:
            found.append(f"n_heads x d_head = {config.n_heads * config.d_head} (needs d_model={config.d_model})")
        return found

    def misfits(self, source: Source, kind: str) -> list[str]:
        config, found = source.model.config, self.refuses(source.model)
        if kind == "int8" and not _group(config):
            found.append(f"d_model={config.d_model} and d_mlp={config.d_mlp} (int8 needs multiples of {GROUPS[-1]})")
        return found + vocabulary.misfits(source.tokenizer)

    def write(self, source: Source, file: Path, kind: str) -> list[Path]:
        config, order = source.model.config, self.order(source)
        tensors = to_theirs(source.model.state_dict(), NAMES, config)
        for name in {"embedding", "head"} & tensors.keys():
            tensors[name] = tensors[name][order.to(tensors[name].device)]
        with open(file, "wb") as out:
            (_write_fp32 if kind == "f32" else _write_int8)(out, config, tensors)
        beside = _tokenizer_beside(file)
        vocabulary.write(source.tokenizer, order.tolist(), beside)
        return [file, beside]

    def order(self, source: Source) -> torch.Tensor:
        return torch.tensor(vocabulary.order(source.tokenizer, source.model.config.vocab_size))

    def notes(self, source: Source) -> list[str]:
        tokenizer = source.tokenizer
        begin, end = tokenizer.token(tokenizer.bos_id), tokenizer.token(tokenizer.eos_id)
        notes = [f"its programs stop at {begin} only: after {end} they go on"] if begin != end else []
        if tokenizer.kind != "sentencepiece":
            notes += [
                "prompts are not tokenised there as here: no pre-split, and a space before them "
                "(tokenizer.kind=sentencepiece has neither difference)",
                "token ids are renumbered: its programs count on 1 for the beginning and 3 to 258 for bytes",
            ]
        return notes

    def use(self, files: list[Path], kind: str) -> str:
        program = "run" if kind == "f32" else "runq"
        return f'./{program} {files[0]} -z {files[1]} -i "Once upon a time"'


def _config(numbers: tuple[int, ...], tied: bool, file: Path) -> ModelConfig:
    if numbers[3] > 0 and numbers[0] > 0 and numbers[0] % numbers[3]:
        raise ExportError(f"{file}: a width of {numbers[0]} cannot be divided into {numbers[3]} heads")
    if min(numbers) < 1:
        raise ExportError(f"{file}: its header has a size of {min(numbers)}")
    values = {**PARTS, **dict(zip(SHAPE, numbers, strict=True)), "tied_embeddings": tied, "init": "normal"}
    return validate(ModelConfig, values, str(file))


def _content(config: ModelConfig, tensors: dict[str, torch.Tensor], file: Path) -> Content:
    beside = _tokenizer_beside(file)
    # A vocabulary that was renumbered cannot be read, because its merges are not SentencePiece's.
    readable = beside.is_file() and vocabulary.readable(beside)
    return Content(filled(config, NAMES, tensors, file), Tokenizer.load(beside) if readable else None)


def _tokenizer_beside(file: Path) -> Path:
    return file.with_name(f"{file.name.removesuffix('.bin')}-tokenizer.bin")


def _stacked(shapes: dict[str, tuple[int, ...]], kinds: tuple[str, ...]) -> Iterator[str]:
    """Yield the names of the tensors, kind by kind, each kind through all layers."""
    for kind in kinds:
        yield from (name for name in shapes if name.partition(".")[0] == kind)


def _fp32_size(numbers: tuple[int, ...]) -> int:
    """Return the bytes of a version 0 file with these seven numbers."""
    dim, hidden, layers, heads, shared, ids, context = numbers
    head = dim // heads
    each = 2 * dim + 2 * dim * dim + 2 * dim * shared * head + 3 * dim * hidden
    tables = 2 * context * (head // 2)
    return SEVEN.size + 4 * (abs(ids) * dim * (1 if ids > 0 else 2) + layers * each + dim + tables)


def _read_fp32(file: Path, config: ModelConfig) -> dict[str, torch.Tensor]:
    numbers = tuple(getattr(config, name) for name in SHAPE)
    sign = 1 if config.tied_embeddings else -1
    wanted = _fp32_size((*numbers[:5], sign * config.vocab_size, config.context_length))
    if file.stat().st_size != wanted:
        raise ExportError(f"{file} has {file.stat().st_size:,} bytes, but its header asks for {wanted:,}")
    data, at = np.fromfile(file, "<f4", offset=SEVEN.size), 0
    shapes, tensors = expected(config, NAMES, file), {}
    for name in (*_stacked(shapes, IN_FP32), *({"head"} & shapes.keys())):
        if name == "head":
            at = len(data) - math.prod(shapes[name])
        tensors[name] = torch.from_numpy(data[at : at + math.prod(shapes[name])]).view(shapes[name])
        at += math.prod(shapes[name])
    return tensors


def _write_fp32(out: Any, config: ModelConfig, tensors: dict[str, torch.Tensor]) -> None:
    numbers = {name: getattr(config, name) for name in SHAPE}
    numbers["vocab_size"] *= 1 if config.tied_embeddings else -1
    out.write(SEVEN.pack(*numbers.values()))
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in _stacked(shapes, IN_FP32):
        out.write(_bytes(tensors[name]))
    rates = 1 / config.rope_theta ** (torch.arange(0, config.d_head, 2).float() / config.d_head)
    angles = torch.arange(config.context_length)[:, None] * rates
    out.write(_bytes(angles.cos()) + _bytes(angles.sin()))
    if "head" in tensors:
        out.write(_bytes(tensors["head"]))


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes()


def _group(config: ModelConfig) -> int:
    """Return the largest power of two, up to 64, that divides both inner widths. Every row then consists of whole
    groups."""
    return next((g for g in GROUPS if config.d_model % g == 0 and config.d_mlp % g == 0), 0)


def _write_int8(out: Any, config: ModelConfig, tensors: dict[str, torch.Tensor]) -> None:
    numbers = [getattr(config, name) for name in SHAPE]
    group = _group(config)
    head = QUANTISED.pack(MAGIC, VERSION, *numbers, config.tied_embeddings, group)
    out.write(head.ljust(HEADER, b"\0"))
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in _stacked(shapes, NORMS):
        out.write(_bytes(tensors[name]))
    for name in _stacked(shapes, (*MATRICES, "head")):
        values = tensors[name].detach().float().cpu().reshape(-1, group)
        # Any scale gives zeros for a group of zeros.
        scales = values.abs().amax(1).div(127)
        whole = (values / scales.where(scales > 0, 1)[:, None]).round()
        out.write(whole.to(torch.int8).numpy().tobytes() + _bytes(scales))


def _read_int8(file: Path, config: ModelConfig, group: int) -> dict[str, torch.Tensor]:
    shapes = expected(config, NAMES, file)
    norms = [*_stacked(shapes, NORMS)]
    matrices = [*_stacked(shapes, (*MATRICES, "head"))]
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    if group < 1 or any(sizes[name] % group for name in matrices):
        raise ExportError(f"{file}: groups of {group} do not divide its matrices")
    wanted = HEADER + 4 * sum(sizes[n] for n in norms) + sum(sizes[n] + 4 * (sizes[n] // group) for n in matrices)
    if file.stat().st_size != wanted:
        raise ExportError(f"{file} has {file.stat().st_size:,} bytes, but its header asks for {wanted:,}")
    data, at, tensors = file.read_bytes(), HEADER, {}
    for name in norms:
        tensors[name] = torch.from_numpy(np.frombuffer(data, "<f4", sizes[name], at).copy()).view(shapes[name])
        at += 4 * sizes[name]
    for name in matrices:
        values = np.frombuffer(data, "i1", sizes[name], at).reshape(-1, group)
        scales = np.frombuffer(data, "<f4", sizes[name] // group, at + sizes[name])
        tensors[name] = torch.from_numpy(values * scales[:, None]).view(shapes[name])
        at += sizes[name] + 4 * (sizes[name] // group)
    return tensors
