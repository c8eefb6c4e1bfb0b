"""Example rows: each format that is known, as the canonical parts of its kind."""

import pytest

from lilliput.data.example_rows import FORMS, PLURAL, form_of
from lilliput.data.messages import Unusable

USER = {"role": "user", "content": "Hi"}
REPLY = {"role": "assistant", "content": "Hello"}
OTHER = {"role": "assistant", "content": "Go away"}
SYSTEM = {"role": "system", "content": "Be kind"}


def read(row, wanted="auto"):
    form = form_of(row, wanted)
    assert form is not None
    example = form.example(row)
    return example.kind, dict(example.row), dict(example.columns)


CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
CASES = {
    "TRL's prompt and completion": (
        {"prompt": "2 + 2 =", "completion": " 4", "source": "x"},
        ("completion", {"prompt": "2 + 2 =", "completion": " 4"}, {"source": "x"}),
    ),
    "TRL's prompt and completion as messages": (
        {"prompt": [USER], "completion": [REPLY]},
        ("completion", {"prompt": [USER], "completion": [REPLY]}, {}),
    ),
    "a completion as text beside messages": (
        {"prompt": [USER], "completion": "Hello"},
        ("completion", {"prompt": [USER], "completion": [REPLY]}, {}),
    ),
    "llm-foundry": (
        {"prompt": "Hi", "response": "Hello"},
        ("completion", {"prompt": "Hi", "completion": "Hello"}, {}),
    ),
    "TRL's messages": ({"messages": [SYSTEM, USER, REPLY]}, ("messages", {"messages": [SYSTEM, USER, REPLY]}, {})),
    "messages as JSON text": (
        {"messages": '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]'},
        ("messages", {"messages": [USER, REPLY]}, {}),
    ),
    "messages by column, as older versions of datasets give them": (
        {"messages": {"role": ["user", "assistant"], "content": ["Hi", "Hello"]}},
        ("messages", {"messages": [USER, REPLY]}, {}),
    ),
    "parts of content": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, REPLY]},
        ("messages", {"messages": [USER, REPLY]}, {}),
    ),
    "Alpaca": (
        {"instruction": "Hi", "input": "", "output": "Hello"},
        ("messages", {"messages": [USER, REPLY]}, {}),
    ),
    "Alpaca with all of its columns": (
        {"instruction": "And", "input": "you?", "output": "Hello", "system": "Be kind", "history": [["Hi", "Go away"]]},
        (
            "messages",
            {"messages": [SYSTEM, USER, OTHER, {"role": "user", "content": "And\nyou?"}, REPLY]},
            {},
        ),
    ),
    "Alpaca with null columns and a history of JSON text": (
        {"instruction": "Hi", "input": None, "output": "Hello", "system": None, "history": '[["Hi", "Go away"]]'},
        ("messages", {"messages": [USER, OTHER, USER, REPLY]}, {}),
    ),
    "Dolly": (
        {"instruction": "Read", "context": "a book", "response": "Hello", "category": "qa"},
        ("messages", {"messages": [{"role": "user", "content": "Read\na book"}, REPLY]}, {"category": "qa"}),
    ),
    "Alpaca with a pair": (
        {"instruction": "Hi", "input": "", "chosen": "Hello", "rejected": "Go away"},
        ("preference", {"prompt": [USER], "chosen": [REPLY], "rejected": [OTHER]}, {}),
    ),
    "Alpaca with a rating": (
        {"instruction": "Hi", "input": "", "output": "Hello", "kto_tag": False},
        ("rating", {"prompt": [USER], "completion": [REPLY], "label": False}, {}),
    ),
    "ShareGPT": (
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}], "system": "Be kind"},
        ("messages", {"messages": [SYSTEM, USER, REPLY]}, {}),
    ),
    "ShareGPT with a function": (
        {
            "conversations": [
                {"from": "human", "value": "Hi"},
                {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'},
                {"from": "observation", "value": "2"},
                {"from": "gpt", "value": "Hello"},
            ],
            "tools": '[{"name": "add", "parameters": {}}]',
        },
        (
            "messages",
            {
                "messages": [
                    USER,
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "content": "2"},
                    REPLY,
                ],
                "tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}],
            },
            {},
        ),
    ),
    "OpenAI's calls, with arguments as text and nulls beside": (
        {
            "messages": [
                {"role": "user", "content": "Hi", "tool_calls": None},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"function": {"name": "add", "arguments": '{"a": 1}'}}],
                },
            ],
            "tools": None,
        },
        ("messages", {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}]}, {}),
    ),
    "LLaMA-Factory's preferences": (
        {
            "conversations": [{"from": "human", "value": "Hi"}],
            "chosen": {"from": "gpt", "value": "Hello"},
            "rejected": {"from": "gpt", "value": "Go away"},
        },
        ("preference", {"prompt": [USER], "chosen": [REPLY], "rejected": [OTHER]}, {}),
    ),
    "LLaMA-Factory's ratings": (
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}], "kto_tag": True},
        ("rating", {"prompt": [USER], "completion": [REPLY], "label": True}, {}),
    ),
    "TRL's preferences": (
        {"prompt": "Hi", "chosen": " Hello", "rejected": " Go away", "margin": 2.0},
        ("preference", {"prompt": "Hi", "chosen": " Hello", "rejected": " Go away"}, {"margin": 2.0}),
    ),
    "TRL's preferences without a prompt": (
        {"chosen": [USER, REPLY], "rejected": [USER, OTHER]},
        ("preference", {"prompt": [USER], "chosen": [REPLY], "rejected": [OTHER]}, {}),
    ),
    "a prompt that is repeated before each reply": (
        {"prompt": "Hi", "chosen": [USER, REPLY], "rejected": [USER, OTHER], "messages": [USER, REPLY]},
        (
            "preference",
            {"prompt": [USER], "chosen": [REPLY], "rejected": [OTHER]},
            {"messages": [USER, REPLY]},
        ),
    ),
    "Anthropic's dialogues": (
        {"chosen": "\n\nHuman: Hi\n\nAssistant: I am here", "rejected": "\n\nHuman: Hi\n\nAssistant: I go"},
        (
            "preference",
            {"prompt": "\n\nHuman: Hi\n\nAssistant:", "chosen": " I am here", "rejected": " I go"},
            {},
        ),
    ),
    "texts that share their beginning are cut where a word begins": (
        {"chosen": "The sky is blue", "rejected": "The sky is black"},
        ("preference", {"prompt": "The sky is", "chosen": " blue", "rejected": " black"}, {}),
    ),
    "TRL's ratings": (
        {"prompt": "Hi", "completion": " Hello", "label": 1},
        ("rating", {"prompt": "Hi", "completion": " Hello", "label": True}, {}),
    ),
    "ratings of CSV": (
        {"prompt": "Hi", "completion": " Hello", "label": "False"},
        ("rating", {"prompt": "Hi", "completion": " Hello", "label": False}, {}),
    ),
    "rated messages": (
        {"messages": [USER, REPLY], "label": True},
        ("rating", {"prompt": [USER], "completion": [REPLY], "label": True}, {}),
    ),
    "prompts for rewards": (
        {"prompt": [USER], "words": ["a", "b"], "length": float("nan")},
        ("prompt", {"prompt": [USER]}, {"words": ["a", "b"], "length": None}),
    ),
    "SST-2": (
        {"sentence": "fine", "label": 1, "idx": 0},
        ("labelled", {"text": "fine", "pair": None, "label": 1}, {"idx": 0}),
    ),
    "MRPC": (
        {"sentence1": "a", "sentence2": "b", "label": 0},
        ("labelled", {"text": "a", "pair": "b", "label": 0}, {}),
    ),
    "CB": (
        {"premise": "a", "hypothesis": "b", "label": "neutral"},
        ("labelled", {"text": "a", "pair": "b", "label": "neutral"}, {}),
    ),
    "BoolQ": (
        {"question": "is it", "passage": "it is", "answer": True},
        ("labelled", {"text": "is it", "pair": "it is", "label": 1}, {}),
    ),
    "similarity": (
        {"sentence1": "a", "sentence2": "b", "score": 2.5},
        ("labelled", {"text": "a", "pair": "b", "label": 2.5}, {}),
    ),
}


@pytest.mark.parametrize(("row", "example"), CASES.values(), ids=list(CASES))
def test_every_format(row, example):
    assert read(row) == example


def test_every_form_is_found_by_its_own_columns():
    """No form hides another: rows with exactly the columns of a form have this form."""
    for form in FORMS:
        assert form_of(form.columns) is form
        assert form.kind in PLURAL


def test_a_kind_that_is_asked_for():
    rated = {"prompt": "Hi", "completion": " Hello", "label": True}
    assert read(rated, "completion")[0] == "completion"
    assert read(rated, "prompt") == ("prompt", {"prompt": "Hi"}, {"completion": " Hello", "label": True})
    assert form_of(rated, "preference") is None


@pytest.mark.parametrize(
    "columns", [("prompt", "chosen"), ("messages", "rejected"), ("instruction", "input"), ("completion",), ("title",)]
)
def test_columns_of_half_an_example_are_no_form(columns):
    assert form_of(columns) is None


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"messages": []}, "'messages' holds"),
        ({"messages": "Hi"}, "not JSON"),
        ({"messages": [USER]}, "no message of the conversation is the assistant's"),
        ({"messages": [{"role": "narrator", "content": "Hi"}]}, "has the role 'narrator'"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, "has no content"),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "image"}]}]}, "not text"),
        ({"conversations": [{"from": "function_call", "value": "add(1)"}]}, "not JSON"),
        ({"conversations": [{"from": "function_call", "value": '{"call": 1}'}]}, "not an object with a name"),
        ({"messages": [USER, REPLY], "tools": "3"}, "'tools' holds 3"),
        ({"instruction": "Hi", "output": None}, "'output' holds NoneType, not text"),
        ({"instruction": "Hi", "output": "x", "history": [["a"]]}, "not pairs"),
        ({"prompt": "Hi", "completion": 3}, "'completion' holds int, not text"),
        ({"prompt": "Hi", "completion": "x", "label": "good"}, "'label' holds 'good'"),
        ({"prompt": "Hi", "completion": "x", "label": None}, "'label' holds None"),
        ({"messages": [REPLY], "label": True}, "single message"),
        ({"messages": [REPLY, USER], "label": True}, "begins with a message of the user"),
        ({"prompt": [USER], "chosen": [USER], "rejected": [OTHER]}, "begins nowhere"),
        ({"chosen": "A", "rejected": "B"}, "begin differently"),
        ({"chosen": [USER, REPLY], "rejected": "B"}, "both text or both messages"),
        ({"chosen": [USER, REPLY], "rejected": [USER]}, "begins nowhere"),
        ({"sentence": "fine", "label": None}, "'label' holds None"),
        ({"sentence": "fine", "label": float("nan")}, "'label' holds nan"),
    ],
)
def test_values_that_do_not_have_the_form(row, problem):
    with pytest.raises(Unusable, match=problem):
        read(row)


def test_a_text_that_looks_like_a_list_stays_a_text():
    for text in ("[1, 2]", "[{not JSON", '[{"a": 1}]', "[]"):
        assert read({"prompt": text, "completion": "x"})[1]["prompt"] == text
