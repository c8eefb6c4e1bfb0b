"""TextGenerator: a trained model with its tokenizer and its direction, ready to generate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lilliput.base.config import validate
from lilliput.base.deprecation import renamed
from lilliput.base.errors import ConfigError
from lilliput.data.chat_template import ChatTemplate
from lilliput.data.examples import Message, Turns
from lilliput.decoding.beams import Beam, beam_search
from lilliput.decoding.completion import Completion, complete, finished
from lilliput.decoding.decode import generate
from lilliput.decoding.ends import special_ids
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.sampling import SamplingConfig
from lilliput.decoding.speculative import Speculation, speculate
from lilliput.objectives.turns import turn_ends

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.decoding.constrained import Constraint
    from lilliput.model.transformer import Model
    from lilliput.objectives.objective import ObjectiveConfig

Faster = Callable[["Model"], "Model"]

ANSWERS_AT_ONCE = 16
"""The number of prompts that `answer` and `reply_each` complete side by side."""


class TextGenerator:
    """Generates texts with `model`; `objective` knows in which direction the model reads; `faster` makes a stand-in for
    the model that generates the same in less time; `ends` are the ids that end a text (None: the end mark).

    The methods share some options. `window` continues a text when the context is full. `stop` are strings that end a
    text and are left out of it. `constraint` limits the form of the new text. `stop` and `constraint` need a model that
    reads forwards. `sampling` are the fields of SamplingConfig. The methods raise ConfigError for a value out of range
    and for a prompt longer than the context.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        objective: ObjectiveConfig,
        faster: Faster | None = None,
        ends: frozenset[int] | None = None,
    ):
        self.model, self.tokenizer, self.objective, self._faster = model, tokenizer, objective, faster
        self.ends = tokenizer.ends if ends is None else ends

    @property
    def chat_template(self) -> ChatTemplate | None:
        """The tokenizer's template, which turns messages into a prompt; None for a model that was not trained to
        chat."""
        source = self.tokenizer.chat_template
        return None if source is None else ChatTemplate.of(source)

    @cached_property
    def decoder(self) -> Model:
        """The model that generates: `model` itself, or its faster stand-in."""
        return self.model if self._faster is None else self._faster(self.model)

    @cached_property
    def turn_ends(self) -> frozenset[int]:
        """Ids that end a reply: the ends of a text, and the end of a turn where the tokenizer has such a token."""
        return self.ends | turn_ends(self.tokenizer)

    def with_model(self, model: Model) -> TextGenerator:
        """The same tokenizer, objective and ends with another model, such as one of untrained weights."""
        return TextGenerator(model, self.tokenizer, self.objective, None, self.ends)

    def generate(
        self,
        opening: str | None = None,
        ending: str | None = None,
        *,
        prefix: str | None = None,
        suffix: str | None = None,
        **options: Any,
    ) -> list[str]:
        """Generate `n` whole texts that start with `opening` or end with `ending`, or whose middle is generated between
        `prefix` and `suffix` (see `sides`)."""
        opening, ending = self.sides(opening, ending, prefix, suffix)
        return [self.whole(text, opening, ending) for text in self.generate_detailed(opening, ending, **options)]

    def sides(
        self, opening: str | None, ending: str | None, prefix: str | None, suffix: str | None
    ) -> tuple[str | None, str | None]:
        """Return the opening and the ending to generate from. A model that fills in the middle takes its `prefix` as
        the opening and its `suffix` as the ending. Raises ConfigError for a prefix or a suffix where the model fills in
        no middle, for a prefix alone, and for both beside an opening or an ending."""
        if prefix is None and suffix is None:
            return opening, ending
        if opening is not None or ending is not None:
            raise ConfigError(
                "a prefix and a suffix cannot be used together with a prompt or an ending",
                'give the text before the middle as the prefix: --prefix "Once upon a time" --suffix "They smiled."',
            )
        if not self.objective.fills:
            raise ConfigError(
                f"this model was trained by the objective '{self.objective.kind}', which fills in no middle",
                "train one that does: lilliput train story objective.kind=fim",
            )
        if suffix is None:
            raise ConfigError(
                "a prefix needs a suffix, which is the text behind the middle",
                'add --suffix "They were happy.", or continue the text: lilliput generate RUN "Once upon a time"',
            )
        return prefix or "", suffix

    def generate_detailed(
        self, opening: str | None = None, ending: str | None = None, alternatives: int = 0, **options: Any
    ) -> list[Completion]:
        """Generate `n` texts and return their tokens, each token with `alternatives` further candidates. `text` is the
        part that follows the opening (in the order in which the model generates)."""
        return finished(self._generating(opening, ending, alternatives=alternatives, **options))

    def generate_batch(self, prompts: Sequence[Turns], window: bool = False, **sampling: Any) -> list[str]:
        """One text from each prompt, generated side by side in one batch: the whole text from an opening (to an ending,
        for a reversed model), the assistant's reply to messages. A prompt that is given again gets another text."""
        config = validate(SamplingConfig, {**sampling, "n": 1}, "sampling")
        nth = [prompts[:place].count(text) for place, text in enumerate(prompts)]
        requests = [
            replace(self._from(prompt, config, window=window), sample=sample)
            for prompt, sample in zip(prompts, nth, strict=True)
        ]
        texts = finished(complete(Engine(self.decoder, max(1, len(requests))), requests, self.tokenizer))
        return [
            text.text if not isinstance(prompt, str) else self._joined(prompt, text.ids)
            for prompt, text in zip(prompts, texts, strict=True)
        ]

    def stream(self, opening: str | None = None, ending: str | None = None, **options: Any) -> Iterator[str]:
        """Yield the part that follows the opening, piece by piece, as soon as the bytes are whole characters. Only for
        models that read forwards."""
        return _pieces(self._generating(opening, ending, **{**options, "n": 1}))

    def search(
        self, opening: str | None = None, ending: str | None = None, beams: int = 4, max_tokens: int = 512
    ) -> list[tuple[str, Beam]]:
        """Return the `beams` likeliest texts that beam search finds, best first."""
        prompt, stops = self.objective.prompt(self.tokenizer, opening, ending), set(self.ends)
        found = beam_search(self.decoder, prompt.ids, beams, max_tokens, stops, prompt.forbidden, prompt.source)
        ids = [[number for number in beam.ids if number not in stops] for beam in found]
        texts = [self.objective.text_of(self.tokenizer, opening, ending, each) for each in ids]
        return list(zip(texts, found, strict=True))

    def speculate(
        self, draft: TextGenerator, opening: str | None = None, ending: str | None = None, **sampling: Any
    ) -> list[tuple[str, Speculation]]:
        """Generate `n` texts with a draft, from the same distribution in fewer passes. Raises ConfigError for a draft
        with another tokenizer or direction."""
        if (draft.tokenizer.sha256, draft.objective) != (self.tokenizer.sha256, self.objective):
            raise ConfigError(
                "the draft has another tokenizer or objective than the model",
                "train the draft on the same data, with the same tokenizer and objective",
            )
        if self.objective.reads_source:
            raise ConfigError("a draft continues a text, and this model answers a source", "leave out --draft")
        config = validate(SamplingConfig, sampling, "sampling")
        prompt, stops = self.objective.prompt(self.tokenizer, opening, ending), set(self.ends)
        found = [
            speculate(self.decoder, draft.decoder, prompt.ids, config, stops, prompt.forbidden, sample)
            for sample in range(config.n)
        ]
        return [(self.objective.text_of(self.tokenizer, opening, ending, each.ids), each) for each in found]

    def answer(self, prompts: Sequence[str], stops: Sequence[str] = (), max_tokens: int = 512) -> tuple[list[str], int]:
        """Return the likeliest answer to each prompt, up to a stop string, and the number of prompts that were cut.

        Where a prompt and its answer do not fit into the context, the prompt loses its beginning, as in
        lm-evaluation-harness. The beginning mark stays."""
        if self.objective.reads_source:
            return self._answer_sources(prompts, stops, max_tokens)
        context = self.model.config.context_length
        room = max(1, context - min(max_tokens, context // 2) - 1)
        encoded = self.tokenizer.encode_batch(prompts)
        ids = [[*self.tokenizer.beginning, *found[-room:]] or [self.tokenizer.bos_id] for found in encoded]
        greedy = SamplingConfig(temperature=0, max_tokens=max_tokens)
        ends = self.ends | special_ids(stops, self.tokenizer)
        # The cache is only as long as the longest prompt with its answer, because a context may be much longer.
        capacity = max(map(len, ids), default=1) + max_tokens
        engine = Engine(self.decoder, ANSWERS_AT_ONCE, capacity)
        requests = [Request(tuple(each), greedy, stop_ids=ends) for each in ids]
        texts = finished(complete(engine, requests, self.tokenizer, stops))
        return [text.text for text in texts], sum(len(found) > room for found in encoded)

    def _answer_sources(self, prompts: Sequence[str], stops: Sequence[str], max_tokens: int) -> tuple[list[str], int]:
        """`answer` by a model whose encoder reads the prompts. A longer prompt loses its end."""
        context = self.model.config.context_length
        made = [self.objective.prompt(self.tokenizer, prompt, None) for prompt in prompts]
        greedy, ends = (
            SamplingConfig(temperature=0, max_tokens=max_tokens),
            self.ends | special_ids(stops, self.tokenizer),
        )
        requests = [
            Request(tuple(each.ids), greedy, stop_ids=ends, source=tuple(each.source[:context])) for each in made
        ]
        texts = finished(
            complete(Engine(self.decoder, ANSWERS_AT_ONCE), requests, self.tokenizer, stops, continuing=False)
        )
        return [text.text for text in texts], sum(len(each.source) > context for each in made)

    def chat(self, messages: Sequence[Message], **options: Any) -> str:
        """The assistant's reply to `messages`, each {"role": ..., "content": ...}. `tools` are descriptions of
        functions that it may call, as OpenAI's API has them; a call is a part of the reply (generation.tools reads and
        runs calls). Raises ConfigError for a model without a chat template or that reads backwards, and for messages
        that the template does not take."""
        return "".join(self.stream_chat(messages, **options))

    def stream_chat(self, messages: Sequence[Message], **options: Any) -> Iterator[str]:
        """`chat`, piece by piece, as soon as bytes make characters."""
        tools = options.pop("tools", ())
        ids = self._asked(messages, tools)
        return _pieces(self._run(ids, self.turn_ends, True, **{**options, "n": 1}))

    def reply_each(
        self, conversations: Sequence[Sequence[Message]], constraints: Sequence[Constraint | None], **sampling: Any
    ) -> list[Completion]:
        """The assistant's replies to several conversations with their tokens, generated side by side, each under its
        own constraint or None. Raises ConfigError as `chat` does."""
        config = validate(SamplingConfig, {**sampling, "n": 1}, "sampling")
        requests = [
            Request(tuple(self._asked(messages)), config, stop_ids=self.turn_ends, constraint=limit)
            for messages, limit in zip(conversations, constraints, strict=True)
        ]
        slots = max(1, min(len(requests), ANSWERS_AT_ONCE))
        return finished(complete(Engine(self.decoder, slots), requests, self.tokenizer))

    def prompt_length(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> int:
        """The tokens of the prompt for the next message of the assistant. Raises ConfigError as `chat` does."""
        return len(self._asked(messages, tools))

    def check_chats(self) -> None:
        """Raise ConfigError for a model that cannot chat, and DataError where its template is no Jinja."""
        if self.chat_template is None:
            raise ConfigError(
                "this model was not trained to chat: its folder holds no chat template",
                'let it continue a text instead: lilliput generate RUN "Once upon a time"',
            )
        if not self.objective.reads_forwards:
            raise ConfigError("this model reads backwards, so it cannot reply to a message")
        self.chat_template.check()

    def _asked(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """The ids of the prompt for the next message of the assistant."""
        self.check_chats()
        template = self.chat_template
        assert template is not None
        if not messages or not all(map(_is_message, messages)):
            raise ConfigError(
                'a conversation is a list of messages, each with a "role" and a "content" that are texts',
                'such as [{"role": "user", "content": "Who are you?"}]',
            )
        if tools and not template.takes_tools:
            raise ConfigError("this model's chat template has no place for tools", "leave the tools out")
        return template.ids(messages, self.tokenizer, **({"tools": list(tools)} if tools else {}))

    def sample_ids(self, rows: int = 8, tokens: int = 64) -> list[list[int]]:
        """Return `rows` rows of ids that the model generates from the beginning mark. The ids are the same every time,
        and a row continues past the end of a text. A row holds `tokens` ids, or as many as the context where that is
        shorter. These rows serve to compare two copies of a model on texts that the model itself generates."""
        length = min(tokens, self.model.config.context_length)
        bos = self.tokenizer.bos_id
        # An encoder reads the beginning mark alone.
        sources = [[bos]] if self.objective.reads_source else None
        found = generate(self.decoder, [[bos]], SamplingConfig(n=rows, max_tokens=length), sources=sources)
        return [[bos, *row][:length] for row in found]

    def whole(self, text: Completion, opening: str | None, ending: str | None) -> str:
        """The whole text, in reading order."""
        if self.objective.reads_forwards and not self.objective.reads_source:
            return (opening or "") + text.text + (ending or "")
        return self.objective.text_of(self.tokenizer, opening, ending, text.ids)

    tell = renamed("tell", "generate")
    tell_in_detail = renamed("tell_in_detail", "generate_detailed")
    tell_each = renamed("tell_each", "generate_batch")

    def _generating(
        self, opening: str | None, ending: str | None, stop: Sequence[str] = (), **options: Any
    ) -> Iterator[list[Completion]]:
        if not self.objective.reads_forwards and (stop or options.get("constraint")):
            raise ConfigError("stop strings and constraints need a model that reads forwards; this one reads backwards")
        prompt = self.objective.prompt(self.tokenizer, opening, ending)
        filling = self.objective.fills and ending is not None
        if filling and options.get("window"):
            raise ConfigError(
                "a window would drop the prefix and the suffix, which the middle has to fit",
                "leave --window out, or give a shorter prefix and suffix",
            )
        continuing = filling or (bool(opening) and not self.objective.reads_source)
        options["source"] = tuple(prompt.source)
        stop = (*stop, *self.objective.stops(ending)) if filling and ending is not None else stop
        return self._run(prompt.ids, self.ends, continuing, stop, tuple(prompt.forbidden), **options)

    def _run(
        self,
        ids: Sequence[int],
        ends: frozenset[int],
        continuing: bool,
        stop: Sequence[str] = (),
        forbidden: tuple[int, ...] = (),
        **options: Any,
    ) -> Iterator[list[Completion]]:
        """Return `n` completions of the prompt `ids`; `continuing` as in Tokenizer.decode."""
        names = ("source", "window", "constraint", "alternatives")
        own = {name: options.pop(name) for name in names if name in options}
        config = validate(SamplingConfig, options, "sampling")
        ends = ends | special_ids(stop, self.tokenizer)
        request = Request(tuple(ids), config, stop_ids=ends, forbidden_first=forbidden, **own)
        requests = [replace(request, sample=sample) for sample in range(config.n)]
        return complete(Engine(self.decoder, config.n), requests, self.tokenizer, stop, continuing)

    def _from(self, prompt: Turns, config: SamplingConfig, **options: Any) -> Request:
        """The request for a text from a prompt: plain text, or messages."""
        if not isinstance(prompt, str):
            return Request(tuple(self._asked(prompt)), config, stop_ids=self.turn_ends, **options)
        made = self.objective.prompt(self.tokenizer, *self._sides(prompt))
        forbidden, source = tuple(made.forbidden), tuple(made.source)
        return Request(tuple(made.ids), config, stop_ids=self.ends, forbidden_first=forbidden, source=source, **options)

    def _joined(self, prompt: str, ids: Sequence[int]) -> str:
        return self.objective.text_of(self.tokenizer, *self._sides(prompt), ids)

    def _sides(self, prompt: str) -> tuple[str | None, str | None]:
        """The prompt as an opening, or as the ending of a model that reads backwards."""
        return (prompt, None) if self.objective.reads_forwards else (None, prompt)


def _is_message(message: Any) -> bool:
    """Whether this is a message: its content may be missing beside tool calls alone."""
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        return False
    content = message.get("content")
    return isinstance(content, str) or (content is None and bool(message.get("tool_calls")))


def _pieces(steps: Iterator[list[Completion]]) -> Iterator[str]:
    """Yield the pieces by which one completion grows."""
    shown = 0
    for (text,) in steps:
        yield text.text[shown:]
        shown = len(text.text)
