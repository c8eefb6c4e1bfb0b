"""Processes that encode give the ids that the tokenizer itself gives, and say so when they are ended."""

import os
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lilliput.base.errors import ConfigError, DataError
from lilliput.data import dataset as module
from lilliput.data.config import DataConfig, TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.encoders import encoder_count, shared
from lilliput.data.rows import Encoded
from lilliput.data.story import Stories
from lilliput.data.tokenizer import Tokenizer
from lilliput.storybook import story

TEXTS = [story(0, number).text for number in range(60)]


@pytest.fixture(scope="module", params=["bpe", "sentencepiece"])
def tokenizer(request) -> Tokenizer:
    return Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=400, kind=request.param))


def test_the_ids_are_the_tokenizers_own_from_many_threads(tokenizer: Tokenizer) -> None:
    batches = [TEXTS[at : at + 7] for at in range(0, 60, 7)] + [[], [""], ["naïve \u2581 猫 \U0001f431", "", "a  b"]]
    with shared(tokenizer, 2) as elsewhere, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(elsewhere.encode_arrays, batches))
        continued = elsewhere.encode_arrays(["on"], continuing=True)
        assert (elsewhere.vocab_size, elsewhere.bos_id) == (tokenizer.vocab_size, tokenizer.bos_id)
    expected = [tokenizer.encode_batch(batch) for batch in batches]
    assert [[ids.tolist() for ids in batch] for batch in found] == expected
    assert continued[0].tolist() == tokenizer.encode("on", continuing=True)


def test_names_of_roles_that_only_a_config_knows_reach_the_processes(tokenizer: Tokenizer) -> None:
    content = tokenizer.content
    for number in {tokenizer.bos_id, tokenizer.eos_id}:
        content = content.replace(f'"{tokenizer.token(number)}"', f'"<own {number}>"')
    with pytest.raises(DataError, match="no special token for the beginning"):
        Tokenizer(content)
    named = Tokenizer(content, {"eos": f"<own {tokenizer.eos_id}>"})
    with shared(named, 1) as elsewhere:
        assert elsewhere.encode_arrays(["tiny"])[0].tolist() == named.encode("tiny")


def test_a_process_that_was_killed_is_named(tokenizer: Tokenizer) -> None:
    with shared(tokenizer, 1) as elsewhere:
        elsewhere.encode_arrays(["once"])
        os.kill(_pid(elsewhere), signal.SIGKILL)
        with pytest.raises(DataError, match=r"a process that encoded text was ended \(SIGKILL\)"):
            elsewhere.encode_arrays(["upon"])


def _pid(elsewhere) -> int:
    process = elsewhere._free.get()
    elsewhere._free.put(process)
    return process._process.pid


def encode(documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
    bounds = [np.array([number], np.uint32) for number in (tokenizer.bos_id, tokenizer.eos_id)]
    texts = tokenizer.encode_arrays([document.text for document in documents])
    return [Encoded(np.concatenate((bounds[0], ids, bounds[1]))) for ids in texts]


def prepared() -> module.Dataset:
    config = DataConfig(sources=(Stories(stories=300),))
    options = TokenizerConfig(vocab_size=400, sample_bytes=50_000)
    return module.prepare(config, options, encode, str, "test", seed=0, progress=lambda *_: None)


def test_a_corpus_prepared_by_many_is_the_same_to_the_byte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "BATCH_BYTES", 20_000)
    manifests = []
    for count in ("1", "3"):
        monkeypatch.setenv("LILLIPUT_ENCODERS", count)
        monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / count))
        monkeypatch.setattr(module, "ENCODERS_FROM", 60_000)
        manifests.append(prepared().manifest)
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize("asked", ["0", "many", "-1"])
def test_a_number_of_processes_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("LILLIPUT_ENCODERS", asked)
    with pytest.raises(ConfigError, match=f"LILLIPUT_ENCODERS={asked} is not a number"):
        encoder_count()


def test_an_interrupt_is_left_to_the_one_that_asks(tokenizer: Tokenizer) -> None:
    with shared(tokenizer, 1) as elsewhere:
        elsewhere.encode_arrays(["once"])
        os.kill(_pid(elsewhere), signal.SIGINT)
        assert elsewhere.encode_arrays(["upon"])[0].tolist() == tokenizer.encode("upon")
