"""What ends a text: the end mark, a folder's further end tokens, stop strings that are tokens."""

import json
from pathlib import Path

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.ends import ends_of, not_taken, special_ids
from lilliput.generation.loading import load
from lilliput.model.config import resolve
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model

TURN = "<|im_end|>"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the cat sat on the mat and saw the dog"] * 20, TokenizerConfig(vocab_size=280))


@pytest.fixture
def folder(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """A model that always writes the mark for the end of a turn, in a folder that ends texts by their end alone."""
    model = Model(resolve("story_1m", vocab_size=tokenizer.vocab_size, d_model=32, n_layers=1, tied_embeddings=False))
    with torch.no_grad():
        model.output_matrix.zero_()
    to_huggingface(model, tmp_path, bos_token_id=tokenizer.bos_id, eos_token_id=tokenizer.eos_id)
    tokenizer.save(tmp_path)
    return tmp_path


def settings(folder: Path, **values: object) -> None:
    (folder / "generation_config.json").write_text(json.dumps(values))


def test_every_end_token_of_the_folder_ends_a_text(folder: Path, tokenizer: Tokenizer) -> None:
    turn = tokenizer.special_id(TURN)
    assert ends_of(folder, tokenizer) == {tokenizer.eos_id}
    settings(folder, eos_token_id=[tokenizer.eos_id, turn])
    assert ends_of(folder, tokenizer) == {tokenizer.eos_id, turn}
    settings(folder, eos_token_id=turn)
    assert load(folder, notify=lambda text: None).ends == {tokenizer.eos_id, turn}


def test_a_model_that_writes_the_second_end_token_stops_at_it(folder: Path, tokenizer: Tokenizer) -> None:
    """With all logits equal greedy takes id 0; that is made the second end token."""
    greedy = {"temperature": 0.0, "max_tokens": 9}
    (endless,) = load(folder, notify=lambda text: None).generate_detailed("the cat", **greedy)
    assert len(endless.tokens) == 9
    settings(folder, eos_token_id=[tokenizer.eos_id, 0])
    (ended,) = load(folder, notify=lambda text: None).generate_detailed("the cat", **greedy)
    assert (len(ended.tokens), ended.finish, ended.text) == (1, "stop", "")


def test_a_stop_string_that_spells_a_special_token_is_that_token(folder: Path, tokenizer: Tokenizer) -> None:
    assert special_ids([TURN, "the"], tokenizer) == {tokenizer.special_id(TURN)}
    (ended,) = load(folder, notify=lambda text: None).generate_detailed(
        "the cat", temperature=0.0, max_tokens=9, stop=[tokenizer.token(0)]
    )
    assert (len(ended.tokens), ended.finish) == (1, "stop")


def test_other_defaults_are_reported(folder: Path) -> None:
    printed: list[str] = []
    settings(folder, temperature=0.6, top_p=0.9, do_sample=True, repetition_penalty=1.0)
    load(folder, notify=printed.append)
    assert not_taken(folder) == ["temperature=0.6", "top_p=0.9"]
    assert any("generation_config.json asks for temperature=0.6, top_p=0.9" in line for line in printed)


def test_what_is_no_id_is_refused(folder: Path, tokenizer: Tokenizer) -> None:
    settings(folder, eos_token_id="end")
    with pytest.raises(ModelError, match="eos_token_id is 'end'"):
        ends_of(folder, tokenizer)
