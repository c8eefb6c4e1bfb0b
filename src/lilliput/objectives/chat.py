"""Chat: supervised fine-tuning on conversations, in which the assistant's messages are learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lilliput.base.errors import ConfigError, DataError, LilliputError
from lilliput.base.reading import read_text
from lilliput.data.chat_template import LARGEST, ChatTemplate, chatml
from lilliput.data.document import Document
from lilliput.data.examples import Example, Turns
from lilliput.data.rows import Encoded
from lilliput.data.special_tokens import COMMON
from lilliput.objectives.causal import NextToken, NextTokenConfig
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.turns import encode_messages, encode_reply, first_request, options_of, replies_to
from lilliput.objectives.workshop import Texts, Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

TURN = ("im_start", "im_end")
"""Roles of the special tokens around a turn."""


class Chat(NextToken):
    """Next-token prediction on the assistant's messages. Every row holds whole conversations that see only
    themselves."""

    def samples(self, prompts: Sequence[str], generate: Texts) -> list[str]:
        return replies_to(prompts, generate)


@OBJECTIVES.add("chat")
class ChatConfig(NextTokenConfig):
    """A model that replies to messages (see Chat). A completion of plain text is a user's message and its reply."""

    kind: Literal["chat"] = "chat"
    learn: Literal["replies", "all", "last"] = Field(
        default="replies",
        description="replies: every message of the assistant is learned, with the mark that ends it, and nothing else; "
        "last: the last one alone; all: every token",
    )
    template: str | None = Field(
        default=None,
        description="how messages become tokens: chatml, or a file with a Jinja template; null: the template of the "
        "model that the run begins with, else chatml",
    )
    texts: bool = Field(
        default=False,
        description="learn from plain texts, too, every token of them: texts of the kind that the model was raised on "
        "keep it from forgetting them",
    )
    examples: ClassVar[tuple[str, ...]] = ("messages", "completion")

    @property
    def learns_from(self) -> tuple[str, ...]:
        return (*self.examples, "text") if self.texts else self.examples

    def check_kinds(self, kinds: Mapping[str, int]) -> None:
        if not kinds.keys() & set(self.examples):
            raise DataError(
                f"the data holds no conversation, but {sum(kinds.values()):,} plain texts, which would teach no reply",
                "give rows with messages (lilliput data show chat --data FILE prints them as they are learned); to go "
                "on with plain texts: lilliput train story --from RUN --data FILE",
            )

    def equip(self, tokenizer: Tokenizer) -> Tokenizer:
        source = self._source(tokenizer)
        ChatTemplate.of(source).check()
        roles = [role for role in TURN if any(token in source for token in COMMON[role])]
        return tokenizer.with_specials(roles).with_template(source)

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        """One sequence a conversation, without tokens where there is no message to learn: it is left out then. A plain
        text is learned whole."""
        plain = [document for document in documents if document.kind not in self.examples]
        texts = iter(self.encode_texts(plain, tokenizer))
        return [
            self._encoded(document.example, tokenizer)
            if document.example is not None and document.kind in self.examples
            else next(texts)
            for document in documents
        ]

    def build(self, workshop: Workshop) -> Objective:
        return Chat(self, workshop)

    def opening(self, tokenizer: Tokenizer, ids: Sequence[int]) -> str:
        return first_request(tokenizer, ids)

    def _encoded(self, example: Example, tokenizer: Tokenizer) -> Encoded:
        row = example.row
        options = options_of(row)
        if example.kind == "messages":
            made = encode_messages(row["messages"], tokenizer, **options)
        else:
            prompt, reply = _spoken(row["prompt"], "user"), _spoken(row["completion"], "assistant")
            made = encode_reply(prompt, reply, tokenizer, **options)
        if not made.learn:
            return Encoded([], [])
        learn = {"replies": made.learn, "last": made.learn[-1:], "all": None}[self.learn]
        return Encoded(made.ids, learn)

    def _source(self, tokenizer: Tokenizer) -> str:
        """The Jinja text of the template."""
        if self.template is None and tokenizer.chat_template is not None:
            return tokenizer.chat_template
        if self.template in (None, "chatml"):
            return chatml(tokenizer.begins)
        try:
            return read_text(Path(str(self.template)).expanduser(), LARGEST)
        except (OSError, LilliputError) as error:
            why = error.message if isinstance(error, LilliputError) else error.strerror
            raise ConfigError(
                f"objective.template is {self.template}, which is neither chatml nor a file that can be read: {why}",
                "leave it out for chatml, or name a file with a Jinja template",
            ) from None


def _spoken(turns: Turns, role: str) -> Turns:
    """Plain text as a message."""
    return [{"role": role, "content": turns}] if isinstance(turns, str) else turns
