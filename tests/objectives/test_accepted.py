"""Accepted: an objective refuses documents of a kind that it does not learn from, and names those that do."""

# pyright: reportOptionalMemberAccess=false, reportOperatorIssue=false, reportAttributeAccessIssue=false

from typing import ClassVar, Literal

import pytest

from lilliput.base.errors import DataError
from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.tokenizer import Tokenizer
from lilliput.objectives.accepted import accepts, check_accepted, encode_to_score
from lilliput.objectives.causal import Causal, NextTokenConfig
from lilliput.objectives.masked import Masked
from lilliput.objectives.objective import OBJECTIVES
from lilliput.objectives.reversed import Reversed
from lilliput.objectives.turns import encode_reply


class Replies(NextTokenConfig):
    """Completions alone are learned."""

    kind: Literal["toy_replies"] = "toy_replies"
    examples: ClassVar[tuple[str, ...]] = ("completion",)

    def encode(self, documents, tokenizer):
        rows = (document.example.row for document in documents)
        return [encode_reply(row["prompt"], row["completion"], tokenizer) for row in rows]


@pytest.fixture
def registered(monkeypatch):
    assert "toy" not in OBJECTIVES  # the registry searches its package first
    monkeypatch.setitem(OBJECTIVES._entries, "toy_replies", Replies)


def completion():
    example = Example("completion", {"prompt": "Hi", "completion": " Hello"})
    return Document(example.text, "a.jsonl:3", example=example)


LABELLED = Document("fine", "b:1", example=Example("labelled", {"text": "fine", "pair": None, "label": 1}))


def test_texts_are_learned_with_or_without_a_label():
    for objective in (Causal(), Reversed(), Masked()):
        check_accepted(objective, Document("fine", "a:1"))
        check_accepted(objective, LABELLED)
        assert not accepts(objective, "completion")


def test_the_error_names_file_kind_and_the_objective_to_type(registered):
    with pytest.raises(DataError) as caught:
        check_accepted(Causal(), completion())
    assert caught.value.message == (
        "a.jsonl:3: the rows of this source are prompts with completions, and the objective 'causal' learns from texts"
    )
    assert "toy_replies" in caught.value.hint
    assert "objective.kind=" in caught.value.hint
    check_accepted(Replies(), completion())
    with pytest.raises(DataError, match=r"rows of this source are texts, .*'toy_replies' .*\n.*causal, .*masked"):
        check_accepted(Replies(), Document("fine", "a:1"))


def test_a_kind_that_no_objective_takes(monkeypatch):
    for name in OBJECTIVES:
        monkeypatch.setattr(OBJECTIVES[name], "examples", ("text",))
    with pytest.raises(DataError, match="give data of another kind; or name the column of a text"):
        check_accepted(Causal(), completion())


def test_a_model_that_generates_is_scored_on_text_whatever_it_learned_from():
    tokenizer = Tokenizer.train(["Hi there, hello you"] * 50, TokenizerConfig(vocab_size=280))
    (row,) = encode_to_score(Replies(), [Document("Hello", "a:1")], tokenizer)
    assert tokenizer.decode(list(row.ids)) == "Hello"
    assert row.learn is None
    (reply,) = encode_to_score(Replies(), [completion()], tokenizer)
    assert reply.learn is not None
    with pytest.raises(DataError, match="learns from texts"):
        encode_to_score(Causal(), [completion()], tokenizer)
