"""Tokens to text to stop strings, on a model that always says the same ids."""

from itertools import pairwise
from typing import Any, cast

import pytest
import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.completion import complete, finished
from lilliput.decoding.engine import Engine, Request, Token
from lilliput.decoding.explain import as_plain, table
from lilliput.decoding.sampling import SamplingConfig
from lilliput.model.config import resolve
from lilliput.model.transformer import Model


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(["One day a cat met a dog. été"] * 9, TokenizerConfig(vocab_size=280))


class Parrot(Model):
    """Says `ids` one after the other, whatever it is asked."""

    def __init__(self, ids, vocab_size):
        super().__init__(resolve("story_1m", d_model=32, n_layers=1, vocab_size=vocab_size, context_length=64))
        self.ids = ids

    def forward(self, tokens, sight=None, cache=None, blocks=None, types=None, source=None):
        super().forward(tokens, sight, cache)
        at = (cast(Any, cache).lengths[0] if cache else 0) + tokens.shape[1] - 1
        hidden = torch.zeros(*tokens.shape, 1)
        hidden[:, -1] = self.ids[min(at, len(self.ids) - 1)]
        return hidden

    def logits(self, hidden):
        return torch.nn.functional.one_hot(hidden[..., 0].long(), self.config.vocab_size).float() * 20


def completion(tokenizer, printed, stop=(), max_tokens=50):
    """Every state of one text of the Parrot."""
    parrot = Parrot([*tokenizer.encode(printed), tokenizer.eos_id], tokenizer.vocab_size)
    sampling = SamplingConfig(temperature=0, max_tokens=max_tokens)
    request = Request((tokenizer.bos_id,), sampling, stop_ids=frozenset([tokenizer.eos_id]), alternatives=2)
    engine = Engine(parrot)
    shown = [text.text for (text,) in complete(engine, [request], tokenizer, stop, continuing=False)]
    assert engine.idle
    return shown, finished(complete(engine, [request], tokenizer, stop, continuing=False))[0]


def test_the_text_is_what_was_generated_and_grows(tokenizer):
    shown, text = completion(tokenizer, "a cat. été 🦊!")
    assert text.text == "a cat. été 🦊!"
    assert text.finish == "stop"
    assert text.ids == tokenizer.encode("a cat. été 🦊!")
    assert len(text.tokens) == len(text.ids) + 1
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
    assert not any("\ufffd" in state for state in shown)


def test_a_stop_string_cuts_inside_a_token_and_ends_the_job(tokenizer):
    shown, text = completion(tokenizer, "a cat met a dog.", stop=["t a"])
    assert (text.text, text.finish) == ("a cat me", "stop")
    assert "t a" not in "".join(shown)
    assert "".join(tokenizer.decode([token.id], True) for token in text.tokens).count("t a") == 1


def test_what_a_stop_string_held_back_is_shown_when_the_text_ends(tokenizer):
    assert completion(tokenizer, "a cat.", stop=[".\n"])[1].text == "a cat."
    _, cut = completion(tokenizer, "🦊", max_tokens=2)
    assert (cut.text, cut.finish) == ("\ufffd", "length")


def test_no_requests_give_no_texts(tokenizer):
    assert finished(complete(Engine(Parrot([1], 280)), [], tokenizer)) == []


def test_candidates_are_given_in_plain_values_and_in_a_table(tokenizer):
    tokens = [*completion(tokenizer, "a")[1].tokens, Token(None, 0.0, (), "stop")]
    plain = as_plain(tokens, tokenizer)
    assert [entry["text"] for entry in plain] == ["a", ""]
    assert plain[0]["alternatives"][0] == {key: plain[0][key] for key in ("id", "text", "log_probability")}
    made = table(tokens, tokenizer)
    assert made.row_count == 2
    printed = list(made.columns[1].cells)
    assert [str(cell) for cell in printed] == ["'a'", tokenizer.token(tokenizer.eos_id)]
