"""Turns as tokens: prompts, replies and conversations as an objective learns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import DataError
from lilliput.data.chat_template import ChatTemplate
from lilliput.data.examples import Message, Turns
from lilliput.data.rows import Encoded

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.objectives.workshop import Texts


def options_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The names that an example's row gives to a template: its `tools`, where it has some."""
    return {"tools": row["tools"]} if row.get("tools") else {}


def encode_prompt(prompt: Turns, tokenizer: Tokenizer, **options: Any) -> list[int]:
    """The ids that a reply follows: of plain text its ids behind the beginning mark, of messages the template's prompt
    for the assistant's next message. `options` are names for the template, such as `tools`. Raises DataError for
    messages and a tokenizer without a chat template."""
    if isinstance(prompt, str):
        return [*tokenizer.beginning, *tokenizer.encode(prompt)]
    return template_of(tokenizer).ids(prompt, tokenizer, **options)


def encode_reply(prompt: Turns, reply: Turns, tokenizer: Tokenizer, **options: Any) -> Encoded:
    """A prompt with a reply behind it. Learned are the ids of the reply, its end mark included: the ids that the model
    would generate. The ids before them are those of `encode_prompt`."""
    if isinstance(prompt, str) and isinstance(reply, str):
        before = encode_prompt(prompt, tokenizer)
        ids = [*before, *tokenizer.encode(reply, continuing=bool(before)), *sorted(tokenizer.ends)]
        return Encoded(ids, [(len(before), len(ids))])
    if isinstance(prompt, str) or isinstance(reply, str):
        raise DataError("a prompt and its reply are both text or both messages")
    before = len(encode_prompt(prompt, tokenizer, **options))
    ids, spans = _conversation([*prompt, *reply], tokenizer, options)
    return Encoded(ids, [span for span in spans if span[0] >= before])


def encode_messages(messages: Sequence[Message], tokenizer: Tokenizer, **options: Any) -> Encoded:
    """A conversation. Learned is the text that the assistant generates, its end marks included. Raises DataError for a
    template that does not show which text that is."""
    return Encoded(*_conversation(messages, tokenizer, options))


def template_of(tokenizer: Tokenizer) -> ChatTemplate:
    """The tokenizer's chat template. Raises DataError where it has none."""
    if tokenizer.chat_template is None:
        raise DataError(
            "the examples are conversations, and the tokenizer has no chat template",
            "begin with a model that was taught to chat: --from CHAT (lilliput train chat --from MODEL teaches one)",
        )
    return ChatTemplate.of(tokenizer.chat_template)


def turn_ends(tokenizer: Tokenizer) -> frozenset[int]:
    """The ids that end a reply: the ends of a text, and the end of a turn where the tokenizer has such a token."""
    specials = tokenizer.specials
    return tokenizer.ends | ({specials["im_end"]} if "im_end" in specials else frozenset())


def first_request(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The first message of the user in the ids of a conversation, where the template names the role in a line of its
    own; "" where it does not."""
    special, parts = set(tokenizer.specials.values()), [[]]
    for number in ids:
        if number in special:
            parts.append([])
        else:
            parts[-1].append(number)
    texts = (tokenizer.decode(part, continuing=True).strip() for part in parts)
    asked = (text.removeprefix("user\n") for text in texts if text.startswith("user\n"))
    return next(asked, "").strip()


def replies_to(prompts: Sequence[str], generate: Texts) -> list[str]:
    """Each prompt with the reply to it as a user's message."""
    replies = generate([[{"role": "user", "content": prompt}] for prompt in prompts])
    return [f"{prompt}\n\n{reply}" for prompt, reply in zip(prompts, replies, strict=True)]


def _conversation(
    messages: Sequence[Message], tokenizer: Tokenizer, options: dict[str, Any]
) -> tuple[list[int], list[tuple[int, int]]]:
    """The ids of a conversation and the spans of the assistant's text, as the template marks them. Of a template
    without marks, a span begins where the prompt for the message ends."""
    template = template_of(tokenizer)
    ids, spans = template.encode(messages, tokenizer, **options)
    if template.marks_replies:
        return ids, spans
    ends = turn_ends(tokenizer)
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            prompt = template.ids(messages[:place], tokenizer, **options)
            upto, _ = template.encode(messages[: place + 1], tokenizer, **options)
            if ids[: len(upto)] != upto or upto[: len(prompt)] != prompt:
                raise DataError(
                    "the chat template does not show which tokens of a conversation the assistant generates: it has no "
                    "{% generation %} marks, and a prompt is not the beginning of the conversation with its reply",
                    "put the marks into a copy of it: objective.template=FILE; or take ours: objective.template=chatml",
                )
            last = max((at for at in range(len(prompt), len(upto)) if upto[at] in ends), default=len(upto) - 1)
            spans.append((len(prompt), last + 1))  # white space behind the end mark is not generated
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    return ids, spans
