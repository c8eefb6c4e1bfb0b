"""One greedy text everywhere: transformers by its default call, ours, llama.cpp; and added tokens of every kind."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput import api
from lilliput.base.errors import ExportError
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.decode import generate
from lilliput.decoding.sampling import SamplingConfig
from lilliput.formats.source import Source
from lilliput.formats.transfer import Content, keep, read, write
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from tests.formats.conftest import PROMPTS, SIZE
from tests.formats.test_gguf import LlamaCpp, running

transformers = pytest.importorskip("transformers")
Grown = Callable[[str], Source]
TOKENS = 12


@pytest.fixture(params=["qwen3", "llama", "neox"])
def source(request: pytest.FixtureRequest, grown: Grown) -> Source:
    return grown(request.param)


@pytest.fixture
def folder(source: Source, tmp_path: Path) -> Path:
    keep(Content(source.model, source.tokenizer), tmp_path / "m")
    return tmp_path / "m"


def snippet(folder: Path, prompt: str) -> str:
    """What the README's and the cards' snippet does, and then the default call of generate."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = model.generate(**tokenizer(prompt, return_tensors="pt"), do_sample=False, max_new_tokens=TOKENS)
    return tokenizer.decode(found[0], skip_special_tokens=True)


def test_transformers_writes_our_greedy_text(folder: Path) -> None:
    generator = api.load(folder, notify=lambda text: None)
    for prompt in PROMPTS[:6]:
        (ours,) = generator.generate(prompt, temperature=0.0, max_tokens=TOKENS)
        assert snippet(folder, prompt) == ours


def test_llama_cpp_writes_our_greedy_text_of_the_prompts_text(source: Source, tmp_path: Path) -> None:
    with running(source, "f32", tmp_path) as program:
        for prompt in PROMPTS[:6]:
            ids = program.tokens(prompt)
            assert ids == [source.tokenizer.bos_id, *source.tokenizer.encode(prompt)]


def test_a_long_prompt_is_cut_by_their_pipeline(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == SIZE["context_length"]
    cut = tokenizer("One day Tom saw a ball. " * 40, truncation=True)["input_ids"]
    assert len(cut) == SIZE["context_length"]


def test_their_pipeline_goes_on_from_a_prompt_longer_than_learned_positions(grown: Grown, tmp_path: Path) -> None:
    source = grown("gpt2")
    keep(Content(source.model, source.tokenizer), tmp_path / "m")
    texts = transformers.pipeline("text-generation", model=str(tmp_path / "m"), handle_long_generation="hole")
    prompt = "One day Tom saw a ball. " * 40
    (found,) = texts(prompt, do_sample=False, max_new_tokens=6)
    room = SIZE["context_length"] - 6
    (ours,) = source.tokenizer.encode_batch([prompt])
    (expected,) = generate(source.model, [ours[-room:]], SamplingConfig(temperature=0, max_tokens=6))
    assert found["generated_text"] == prompt + source.tokenizer.decode(expected, continuing=True)


# ---------------------------------------------------------------------------- no beginning mark, and added tokens


def foreign(tokenizer: Tokenizer, folder: Path, add: Callable[[Any], None], **settings: Any) -> Path:
    """A folder as others write it: a tokenizer without a rule for the beginning, after `add` has seen it."""
    from tokenizers import Tokenizer as Backend

    backend = Backend.from_str(tokenizer.content)
    add(backend)
    config = transformers.Qwen3Config(
        vocab_size=backend.get_vocab_size(), hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, head_dim=16, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.Qwen3ForCausalLM(config).save_pretrained(folder)
    backend.save(str(folder / "tokenizer.json"))
    written = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end_of_text|>", **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(written))
    return folder


@contextmanager
def as_gguf(folder: Path, place: Path) -> Iterator[tuple[LlamaCpp, Tokenizer]]:
    source = Source.load(folder, "m")
    with running(replace(source, name="m"), "f32", place) as program:
        again = read(place / "m.gguf").tokenizer
        assert again is not None
        yield program, again


def test_without_a_beginning_mark_there_is_none(tokenizers: dict[str, Tokenizer], tmp_path: Path) -> None:
    folder = foreign(tokenizers["qwen2"], tmp_path / "m", lambda backend: None)
    generator = api.load(folder, notify=lambda text: None)
    prompt = "One day Tom"
    ids = transformers.AutoTokenizer.from_pretrained(folder)(prompt)["input_ids"]
    assert (
        generator.objective.prompt(generator.tokenizer, prompt, None).ids == ids == generator.tokenizer.encode(prompt)
    )
    assert snippet(folder, prompt) == generator.generate(prompt, temperature=0.0, max_tokens=TOKENS)[0]
    with as_gguf(folder, tmp_path) as (program, again):
        assert program.tokens(prompt) == ids
        assert not again.begins
    keep(Content(generator.model, generator.tokenizer), tmp_path / "again")
    assert not Tokenizer.load(tmp_path / "again").begins
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "again")(prompt)["input_ids"] == ids


ADDED = ["<think>", "</think>", "hello world", "  ", "<tool_call>"]
TEXTS = ["<think>One day</think> Tom", "a hello world b", "two  spaces", "One<tool_call>day", "plain", "a <think>", ""]


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("kind", ["qwen2", "sentencepiece"])
def test_added_tokens_keep_their_ids_everywhere(
    kind: str, normalized: bool, tokenizers: dict[str, Tokenizer], tmp_path: Path
) -> None:
    from tokenizers import AddedToken

    def add(backend: Any) -> None:
        backend.add_tokens([AddedToken(text, special=False, normalized=normalized) for text in ADDED])

    end = tokenizers[kind].token(tokenizers[kind].eos_id)
    folder = foreign(tokenizers[kind], tmp_path / "m", add, eos_token=end)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer.load(folder)
    for text in TEXTS:
        ids = theirs(text)["input_ids"]
        assert ours.encode(text) == ids
        assert ours.decode(ids) == (text if kind == "qwen2" else theirs.decode(ids))
        stream = ours.stream()
        assert "".join(map(stream.push, ids)) + stream.flush() == ours.decode(ids)
    ours.save(tmp_path / "saved")
    assert Tokenizer.load(tmp_path / "saved").encode_batch(TEXTS) == ours.encode_batch(TEXTS)
    if kind == "sentencepiece" and normalized:
        with pytest.raises(ExportError, match="'<think>' with normalized"):
            write(Source.load(folder, "m"), "gguf", tmp_path / "x.gguf")
        return
    with as_gguf(folder, tmp_path) as (program, again):
        for text in TEXTS:
            assert program.tokens(text) == ours.encode(text), text
            assert again.encode(text) == ours.encode(text), text
            assert again.decode(again.encode(text)) == ours.decode(ours.encode(text))


def test_what_follows_keeps_its_space_whatever_the_tokenizer(tokenizers: dict[str, Tokenizer]) -> None:
    from tokenizers import AddedToken
    from tokenizers import Tokenizer as Backend

    backend = Backend.from_str(tokenizers["sentencepiece"].content)
    backend.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    tokenizer = Tokenizer(backend.to_str())
    ids = tokenizer.encode("One day")
    assert (tokenizer.kind, tokenizer.decode(ids)) == ("other", "One day")
    assert tokenizer.decode(ids, continuing=True) == " One day"
    stream = tokenizer.stream(continuing=True)
    assert "".join(map(stream.push, ids)) == " One day"


@pytest.mark.parametrize(("normaliser", "refused"), [("NFC", False), ("Lowercase", True)])
def test_normalisers_that_llama_cpp_lacks_are_named(
    normaliser: str, refused: bool, tokenizers: dict[str, Tokenizer], tmp_path: Path
) -> None:
    from tokenizers import normalizers

    def add(backend: Any) -> None:
        backend.normalizer = getattr(normalizers, normaliser)()

    source = Source.load(foreign(tokenizers["qwen2"], tmp_path / "m", add), "m")
    if refused:
        with pytest.raises(ExportError, match="a tokenizer with the normaliser Lowercase"):
            write(source, "gguf", tmp_path / "x.gguf")
    else:
        (note,) = write(source, "gguf", tmp_path / "x.gguf").notes
        assert note.startswith("llama.cpp does not apply the tokenizer's normaliser NFC")


@pytest.mark.parametrize("way", ["lstrip", "rstrip", "single_word"])
def test_an_added_token_that_strips_is_kept_in_the_folder_and_refused_by_gguf(
    tokenizers: dict[str, Tokenizer], tmp_path: Path, way: str
) -> None:
    from tokenizers import AddedToken

    def add(backend: Any) -> None:
        backend.add_tokens([AddedToken("<mark>", special=False, normalized=False, **{way: True})])

    folder = foreign(tokenizers["qwen2"], tmp_path / "m", add)
    ours, theirs = Tokenizer.load(folder), transformers.AutoTokenizer.from_pretrained(folder)
    for text in ("a <mark> b", "a<mark>b", "<mark>"):
        assert ours.encode(text) == theirs(text)["input_ids"]
    with pytest.raises(ExportError, match=f"'<mark>' with {way}"):
        write(Source(Model(ModelConfig(**SIZE, vocab_size=ours.vocab_size)), ours, "m"), "gguf", tmp_path / "x.gguf")
