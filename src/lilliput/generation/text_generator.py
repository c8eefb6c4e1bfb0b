"""TextGenerator: a trained model with its tokenizer and its direction, ready to generate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lilliput.base.config import validate
from lilliput.base.deprecation import renamed
from lilliput.base.errors import ConfigError
from lilliput.decoding.beams import Beam, beam_search
from lilliput.decoding.completion import Completion, complete, finished
from lilliput.decoding.decode import generate
from lilliput.decoding.ends import special_ids
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.sampling import SamplingConfig
from lilliput.decoding.speculative import Speculation, speculate

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.generation.chat_template import ChatTemplate
    from lilliput.model.transformer import Model
    from lilliput.objectives.objective import ObjectiveConfig

Faster = Callable[["Model"], "Model"]

ANSWERS_AT_ONCE = 16
"""The number of prompts that `answer` completes side by side."""


class TextGenerator:
    """Generates texts with `model`. `objective` has the direction in which the model reads. `faster` makes a stand-in
    for the model, which generates the same texts in less time. `ends` are the ids that end a text (None: the end mark).
    `chat_template` turns messages into a prompt, for a model that was trained to chat.

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
        chat_template: ChatTemplate | None = None,
    ):
        self.model, self.tokenizer, self.objective, self._faster = model, tokenizer, objective, faster
        self.ends = tokenizer.ends if ends is None else ends
        self.chat_template = chat_template

    @cached_property
    def decoder(self) -> Model:
        """The model that generates: `model` itself, or its faster stand-in."""
        return self.model if self._faster is None else self._faster(self.model)

    @cached_property
    def turn_ends(self) -> frozenset[int]:
        """Ids that end a reply: the ends of a text, and the end of a turn where the tokenizer has such a token."""
        specials = self.tokenizer.specials
        return self.ends | ({specials["im_end"]} if "im_end" in specials else frozenset())

    def with_model(self, model: Model) -> TextGenerator:
        """The same tokenizer, objective and ends with another model, such as one of untrained weights."""
        return TextGenerator(model, self.tokenizer, self.objective, None, self.ends, self.chat_template)

    def generate(self, opening: str | None = None, ending: str | None = None, **options: Any) -> list[str]:
        """Generate `n` whole texts that start with `opening` or end with `ending`."""
        return [self.whole(text, opening, ending) for text in self.generate_detailed(opening, ending, **options)]

    def generate_detailed(
        self, opening: str | None = None, ending: str | None = None, alternatives: int = 0, **options: Any
    ) -> list[Completion]:
        """Generate `n` texts and return their tokens, each token with `alternatives` further candidates. `text` is the
        part that follows the opening (in the order in which the model generates)."""
        return finished(self._generating(opening, ending, alternatives=alternatives, **options))

    def generate_batch(self, prompts: Sequence[str], window: bool = False, **sampling: Any) -> list[str]:
        """Generate one text for each opening (for each ending, with a reversed model), side by side in one batch. A
        repeated prompt gets another text."""
        config = validate(SamplingConfig, {**sampling, "n": 1}, "sampling")
        sides = [(text, None) if self.objective.reads_forwards else (None, text) for text in prompts]
        nth = [prompts[:place].count(text) for place, text in enumerate(prompts)]
        requests = [
            replace(self._request(*side, config, window=window), sample=sample)
            for side, sample in zip(sides, nth, strict=True)
        ]
        texts = finished(complete(Engine(self.decoder, max(1, len(requests))), requests, self.tokenizer))
        return [
            self.objective.text_of(self.tokenizer, *side, text.ids) for side, text in zip(sides, texts, strict=True)
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
        found = beam_search(self.decoder, prompt.ids, beams, max_tokens, stops, prompt.forbidden)
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

    def chat(self, messages: Sequence[Mapping[str, str]], **options: Any) -> str:
        """Return the assistant's reply to `messages`, each {"role": ..., "content": ...}. Raises ConfigError for a
        model without a chat template or that reads backwards, and for messages that the template does not take."""
        return "".join(self.stream_chat(messages, **options))

    def stream_chat(self, messages: Sequence[Mapping[str, str]], **options: Any) -> Iterator[str]:
        """Yield the reply of `chat` piece by piece, as soon as the bytes are whole characters."""
        if self.chat_template is None:
            raise ConfigError(
                "this model was not trained to chat: its folder holds no chat template",
                'let it continue a text instead: lilliput generate RUN "Once upon a time"',
            )
        if not self.objective.reads_forwards:
            raise ConfigError("this model reads backwards, so it cannot reply to a message")
        if not messages or not all(
            isinstance(message, Mapping) and all(isinstance(message.get(key), str) for key in ("role", "content"))
            for message in messages
        ):
            raise ConfigError(
                'a conversation is a list of messages, each with a "role" and a "content" that are texts',
                'such as [{"role": "user", "content": "Who are you?"}]',
            )
        ids = self.chat_template.ids(messages, self.tokenizer)
        return _pieces(self._run(ids, self.turn_ends, True, **{**options, "n": 1}))

    def sample_ids(self, rows: int = 8, tokens: int = 64) -> list[list[int]]:
        """Return `rows` rows of ids that the model generates from the beginning mark. The ids are the same every time,
        and a row continues past the end of a text. A row holds `tokens` ids, or as many as the context where that is
        shorter. These rows serve to compare two copies of a model on texts that the model itself generates."""
        length = min(tokens, self.model.config.context_length)
        bos = self.tokenizer.bos_id
        found = generate(self.decoder, [[bos]], SamplingConfig(n=rows, max_tokens=length))
        return [[bos, *row][:length] for row in found]

    def whole(self, text: Completion, opening: str | None, ending: str | None) -> str:
        """The whole text, in reading order."""
        if self.objective.reads_forwards:
            return (opening or "") + text.text
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
        return self._run(prompt.ids, self.ends, bool(opening), stop, tuple(prompt.forbidden), **options)

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
        own = {name: options.pop(name) for name in ("window", "constraint", "alternatives") if name in options}
        config = validate(SamplingConfig, options, "sampling")
        ends = ends | special_ids(stop, self.tokenizer)
        request = Request(tuple(ids), config, stop_ids=ends, forbidden_first=forbidden, **own)
        requests = [replace(request, sample=sample) for sample in range(config.n)]
        return complete(Engine(self.decoder, config.n), requests, self.tokenizer, stop, continuing)

    def _request(self, opening: str | None, ending: str | None, config: SamplingConfig, **options: Any) -> Request:
        prompt = self.objective.prompt(self.tokenizer, opening, ending)
        forbidden = tuple(prompt.forbidden)
        return Request(tuple(prompt.ids), config, stop_ids=self.ends, forbidden_first=forbidden, **options)


def _pieces(steps: Iterator[list[Completion]]) -> Iterator[str]:
    """Yield the pieces by which one completion grows."""
    shown = 0
    for (text,) in steps:
        yield text.text[shown:]
        shown = len(text.text)
