"""People and their days by a trained model: side by side in one engine, each text of a form that can be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lilliput.base.errors import ConfigError, DataError
from lilliput.base.seeds import derive
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.completion import complete, finished
from lilliput.decoding.constrained import Constraint
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.sampling import SamplingConfig
from lilliput.generation.loading import load
from lilliput.model.transformer import Model
from lilliput.runs.finding import inside
from lilliput.worlds.population.days import TEXT, Day, Heading, day
from lilliput.worlds.population.marginals import Marginals, read_marginals
from lilliput.worlds.population.people import Person
from lilliput.worlds.population.telling import pattern, read, tell

SLOTS = 256
"""Texts that are generated side by side."""
PERSON_TOKENS, DAY_TOKENS = 700, 160
"""The most tokens of a person's text, which always ends within them, and of a day's. A sentence of a day has 122
characters at most, so that one sentence at least ends within them."""
TABLES = "population"
"""The folder, in a run's folder, of the tables of its people."""


class ModelWriter:
    """Writes people and days by a model of `lilliput personas train`.

    cut  days that had no end within DAY_TOKENS, and end with their last whole sentence
    """

    def __init__(self, model: Model, tokenizer: Tokenizer, marginals: Marginals, temperature: float = 1.0):
        self.model, self.tokenizer, self.temperature = model, tokenizer, temperature
        self.cut = 0
        form = pattern(marginals)
        self._form = re.compile(form)
        self._persona = Constraint.regex(_plain(form) + "\n", tokenizer)
        self._day = Constraint.regex(_plain(TEXT) + "\n", tokenizer)

    def __call__(self, people: Sequence[Person], headings: Sequence[Heading], seeds: Sequence[int]) -> list[Day]:
        """Write the day of each person under a heading. A day depends on the person, the heading and the seed."""
        prompts = [f"{tell(person)}\n{heading}" for person, heading in zip(people, headings, strict=True)]
        texts = self._texts(prompts, self._day, seeds, DAY_TOKENS)
        return [day(head, self._whole(text)) for head, text in zip(headings, texts, strict=True)]

    def people(self, count: int, seed: int = 0) -> list[Person]:
        """Write people, as the model has learned them. A person depends on (seed, number)."""
        seeds = [derive(seed, "person", number) for number in range(count)]
        texts = self._texts([""] * count, self._persona, seeds, PERSON_TOKENS)
        found = [read(text, self._form) for text in texts]
        if None in found:
            raise DataError(f"this is no text of a person: {texts[found.index(None)][:80]!r}")
        return [person for person in found if person is not None]

    def _whole(self, text: str) -> str:
        """Return the text of a day without the line's end, or up to its last whole sentence."""
        if text.endswith("\n"):
            return text.removesuffix("\n")
        self.cut += 1
        found = re.match(TEXT, text)
        return found[0] if found else text

    def _texts(self, prompts: Sequence[str], form: Constraint, seeds: Sequence[int], most: int) -> list[str]:
        """Return the text that follows each prompt. Raises ConfigError for prompts that leave no room for it."""
        requests = [self._request(*each, form, most) for each in zip(prompts, seeds, strict=True)]
        longest, context = max(len(each.prompt) for each in requests) + most, self.model.config.context_length
        if longest > context:
            raise ConfigError(
                f"a person with a day has up to {longest} tokens, and the model's context holds {context}",
                f"train one with a longer context: lilliput personas train model.context_length={longest}",
            )
        engine = Engine(self.model, SLOTS, longest)
        return [each.text for each in finished(complete(engine, requests, self.tokenizer))]

    def _request(self, prompt: str, seed: int, form: Constraint, most: int) -> Request:
        ids = (*self.tokenizer.beginning, *self.tokenizer.encode(prompt))
        sampling = SamplingConfig(temperature=self.temperature, max_tokens=most, seed=seed % 2**31)
        return Request(ids, sampling, constraint=form)


def tables_folder(run: str | Path) -> Path:
    """Return the folder of the tables that a run's people were drawn from. Raises LilliputError for another run."""
    if found := inside(run, TABLES):
        return found
    raise ConfigError(f"{run} was not trained on people", "train a model of people: lilliput personas train")


def writer_of(run: str | Path, temperature: float = 1.0) -> ModelWriter:
    """Return the writer of a run of `lilliput personas train`. Raises LilliputError."""
    marginals = read_marginals(tables_folder(run))
    loaded = load(run, "cpu", lambda text: None)
    return ModelWriter(loaded.decoder, loaded.tokenizer, marginals, temperature)


def _plain(pattern: str) -> str:
    """Return a regular expression without names of groups, which llguidance does not take."""
    return re.sub(r"\?P<[a-z]+>", "?:", pattern)
