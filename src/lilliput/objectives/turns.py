"""Turns as tokens: prompts, replies and conversations as an objective learns them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import DataError
from lilliput.data.chat_template import ChatTemplate
from lilliput.data.examples import Message, Turns
from lilliput.data.rows import Encoded

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


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
    ids, spans = template_of(tokenizer).encode([*prompt, *reply], tokenizer, **options)
    return Encoded(ids, [span for span in spans if span[0] >= before])


def encode_messages(messages: Sequence[Message], tokenizer: Tokenizer, **options: Any) -> Encoded:
    """A conversation. Learned is the text that the assistant generates, its end marks included."""
    return Encoded(*template_of(tokenizer).encode(messages, tokenizer, **options))


def template_of(tokenizer: Tokenizer) -> ChatTemplate:
    """The tokenizer's chat template. Raises DataError where it has none."""
    if tokenizer.chat_template is None:
        raise DataError(
            "the examples are conversations, and the tokenizer has no chat template",
            "begin with a model that was taught to chat: lilliput train chat --from MODEL",
        )
    return ChatTemplate.of(tokenizer.chat_template)
