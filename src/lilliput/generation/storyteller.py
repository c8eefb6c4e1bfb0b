"""Storyteller: a trained model with its tokenizer and its direction, ready to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lilliput.base.config import validate
from lilliput.base.errors import ConfigError, ModelError
from lilliput.base.machine import can_compile, choose_device
from lilliput.base.reading import inner, read_object
from lilliput.base.registered import OneOf
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.beams import Beam, beam_search
from lilliput.decoding.compiled import compiled
from lilliput.decoding.ends import ends_of, not_taken, special_ids
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.int8 import quantised
from lilliput.decoding.native import native, why_not
from lilliput.decoding.sampling import SamplingConfig
from lilliput.decoding.speculative import Speculation, speculate
from lilliput.decoding.telling import Telling, finished, tell
from lilliput.model.huggingface import from_huggingface
from lilliput.objectives.objective import OBJECTIVES, ObjectiveConfig
from lilliput.runs.finding import model_folder

if TYPE_CHECKING:
    from lilliput.model.transformer import Model

Faster = Callable[["Model"], "Model"]


class Storyteller:
    """Generates texts with `model`; `objective` knows in which direction the model reads; `faster` makes a stand-in for
    the model that generates the same in less time; `ends` are the ids that end a text (None: the end mark).

    Options that its methods share: `window` goes on when the context is full; `stop` are strings that end a text and
    are left out of it, `constraint` what its new part must be (both for models that read forwards); `sampling` as in
    SamplingConfig. ConfigError is raised on a value out of range and on a prompt longer than the context.
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

    @cached_property
    def decoder(self) -> Model:
        """What its texts are told with: the model, or the stand-in for it."""
        return self.model if self._faster is None else self._faster(self.model)

    def tell(self, opening: str | None = None, ending: str | None = None, **options: Any) -> list[str]:
        """`n` whole texts that start with `opening` or end with `ending`."""
        return [self.whole(told, opening, ending) for told in self.tell_in_detail(opening, ending, **options)]

    def tell_in_detail(
        self, opening: str | None = None, ending: str | None = None, alternatives: int = 0, **options: Any
    ) -> list[Telling]:
        """`n` texts token by token, each token with as many `alternatives`; `text` is what follows the opening (in the
        order in which the model tells)."""
        return finished(self._telling(opening, ending, alternatives=alternatives, **options))

    def tell_each(self, prompts: Sequence[str], window: bool = False, **sampling: Any) -> list[str]:
        """One text from each opening (to each ending, for a reversed model), generated side by side in one batch. A
        prompt that is given again gets another text."""
        config = validate(SamplingConfig, {**sampling, "n": 1}, "sampling")
        sides = [(text, None) if self.objective.reads_forwards else (None, text) for text in prompts]
        nth = [prompts[:place].count(text) for place, text in enumerate(prompts)]
        requests = [
            replace(self._request(*side, config, window=window), sample=sample)
            for side, sample in zip(sides, nth, strict=True)
        ]
        told = finished(tell(Engine(self.decoder, max(1, len(requests))), requests, self.tokenizer))
        return [self.objective.told(self.tokenizer, *side, text.ids) for side, text in zip(sides, told, strict=True)]

    def stream(self, opening: str | None = None, ending: str | None = None, **options: Any) -> Iterator[str]:
        """What follows the opening, piece by piece, as soon as bytes make characters (models that read forwards)."""
        steps = self._telling(opening, ending, **{**options, "n": 1})
        return self._pieces(steps)

    def search(
        self, opening: str | None = None, ending: str | None = None, beams: int = 4, max_tokens: int = 512
    ) -> list[tuple[str, Beam]]:
        """The `beams` likeliest texts that beam search finds, best first."""
        prompt, stops = self.objective.prompt(self.tokenizer, opening, ending), set(self.ends)
        found = beam_search(self.decoder, prompt.ids, beams, max_tokens, stops, prompt.forbidden)
        ids = [[number for number in beam.ids if number not in stops] for beam in found]
        texts = [self.objective.told(self.tokenizer, opening, ending, each) for each in ids]
        return list(zip(texts, found, strict=True))

    def speculate(
        self, draft: Storyteller, opening: str | None = None, ending: str | None = None, **sampling: Any
    ) -> list[tuple[str, Speculation]]:
        """`n` texts told with a draft: the same distribution in fewer passes. Raises ConfigError for a draft with
        another tokenizer or direction."""
        if (draft.tokenizer.sha256, draft.objective) != (self.tokenizer.sha256, self.objective):
            raise ConfigError(
                "the draft has another tokenizer or objective than the model",
                "train the draft on the same data, with the same tokenizer and objective",
            )
        config = validate(SamplingConfig, sampling, "sampling")
        prompt, stops = self.objective.prompt(self.tokenizer, opening, ending), set(self.ends)
        told = [
            speculate(self.decoder, draft.decoder, prompt.ids, config, stops, prompt.forbidden, sample)
            for sample in range(config.n)
        ]
        return [(self.objective.told(self.tokenizer, opening, ending, each.ids), each) for each in told]

    def whole(self, told: Telling, opening: str | None, ending: str | None) -> str:
        """The whole text, in reading order."""
        if self.objective.reads_forwards:
            return (opening or "") + told.text
        return self.objective.told(self.tokenizer, opening, ending, told.ids)

    def _telling(
        self, opening: str | None, ending: str | None, stop: Sequence[str] = (), **options: Any
    ) -> Iterator[list[Telling]]:
        own = {name: options.pop(name) for name in ("window", "constraint", "alternatives") if name in options}
        config = validate(SamplingConfig, options, "sampling")
        if not self.objective.reads_forwards and (stop or own.get("constraint")):
            raise ConfigError("stop strings and constraints need a model that reads forwards; this one reads backwards")
        request = self._request(opening, ending, config, **own)
        request = replace(request, stop_ids=request.stop_ids | special_ids(stop, self.tokenizer))
        requests = [replace(request, sample=sample) for sample in range(config.n)]
        return tell(Engine(self.decoder, config.n), requests, self.tokenizer, stop, continuing=bool(opening))

    def _request(self, opening: str | None, ending: str | None, config: SamplingConfig, **options: Any) -> Request:
        prompt = self.objective.prompt(self.tokenizer, opening, ending)
        forbidden = tuple(prompt.forbidden)
        return Request(tuple(prompt.ids), config, stop_ids=self.ends, forbidden_first=forbidden, **options)

    def _pieces(self, steps: Iterator[list[Telling]]) -> Iterator[str]:
        shown = 0
        for (told,) in steps:
            yield told.text[shown:]
            shown = len(told.text)


def load(
    path: str | Path,
    device: str = "auto",
    say: Callable[[str], None] = print,
    int8: bool = False,
    compile: bool | None = None,
) -> Storyteller:
    """A Storyteller from a run's name or folder, a checkpoint, or a Hugging Face folder of a supported class.

    `int8` makes its matrices int8 (CPU only; a text may differ). `compile` is about how it tells: True compiles its
    steps, in C++ on a CPU and by torch.compile elsewhere, where the first text then takes a minute; False leaves them
    to PyTorch; None takes C++ where that can be. A damaged checkpoint is reported through `say` and the one before it
    is used. Raises CheckpointError, ModelError, or ConfigError where it cannot compile."""
    folder = model_folder(path, say)
    model = from_huggingface(folder, say).to(choose_device(device)).eval()
    kept = inner(read_object(folder / "config.json"), "lilliput")
    try:
        objective = cast(ObjectiveConfig, OneOf(OBJECTIVES).build(kept.get("objective", "causal")))
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'}: its objective cannot be used: {error}") from None
    model = quantised(model) if int8 else model
    if asked := not_taken(folder):
        say(f"generation_config.json asks for {', '.join(asked)}; give these as options to have them")
    tokenizer = Tokenizer.load(folder)
    return Storyteller(model, tokenizer, objective, faster(model, say, compile), ends_of(folder, tokenizer))


def faster(model: Model, say: Callable[[str], None], compile: bool | None = None) -> Faster | None:
    """How `compile` is done for this model on its device. Raises ConfigError where it cannot be."""
    reason = why_not(model)
    if compile and reason and not can_compile(next(model.parameters()).device):
        raise ConfigError(f"this machine cannot compile: {reason}", "install g++, or leave --compile out")
    if compile is False or (reason and not compile):
        return None
    if reason:
        return compiled
    return native if compile else partial(_native_or_not, say)


def _native_or_not(say: Callable[[str], None], model: Model) -> Model:
    try:
        return native(model)
    except ConfigError as error:
        say(f"{error.message}; PyTorch's steps are used")
        return model


def generate(
    path: str | Path,
    opening: str | None = None,
    ending: str | None = None,
    device: str = "auto",
    **options: Any,
) -> list[str]:
    """Texts told by the model at `path`; a short form of `load(path).tell(...)`."""
    return load(path, device).tell(opening, ending, **options)
