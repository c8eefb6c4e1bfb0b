"""judge: stories of several models beside texts by people, marked by a judge or measured by proxies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from lilliput.assembly.overlaps import texts_of
from lilliput.assembly.recipe import recipe_or_none
from lilliput.base.console import print_line
from lilliput.base.endpoint import Judge
from lilliput.base.errors import ConfigError
from lilliput.data.infer import named_texts
from lilliput.evaluation.judge.stories import complete_stories, judged, proxied
from lilliput.evaluation.judge.story import JudgedStory
from lilliput.evaluation.judge.table import (
    HUMAN,
    SENTENCES,
    SHUFFLED,
    human_stories,
    normalise,
    shuffled,
    shuffled_sentences,
)
from lilliput.generation.loading import load
from lilliput.runs.finding import find


def judge(
    paths: Sequence[str | Path],
    judge: Judge | None = None,
    *,
    prompts: Sequence[str] = (),
    human: Sequence[str] = (),
    fit: Sequence[str] = (),
    stories: int = 20,
    twice: float = 0.1,
    referee: str | Path | None = None,
    device: str = "auto",
    notify: Callable[[str], None] = print_line,
    **sampling: Any,
) -> dict[str, Any]:
    """Return the table of the TinyStories paper for the models at `paths`. Each completes the same beginnings, and
    `judge` marks the completions; without a judge, the table holds proxies and is named so. There are rows for human
    text (the ceiling), for human text with its sentences shuffled, and with its words shuffled (the floor). Human text
    comes from the documents in `human`, else from the validation side of the first run. `fit` holds overrides of how
    these are read, such as `data.sources.0.column=body`.

    `prompts` are the beginnings; without them, the beginnings of `stories` human texts are taken. `referee` is the
    model whose bits per byte are a proxy. `twice` is the share that the judge marks a second time. Returns values:

        {"kind", "rows": {model: {"stories", "scores": {name: {"mean", "interval", "normalised"}}, "age_groups"}},
         "noise", "questions", "stories": {model: [{"beginning", "completion"}]}}

    Raises LilliputError."""
    if stories < 1 or not 0 <= twice <= 1:
        raise ConfigError(f"stories={stories} has to be at least 1, and twice={twice} a share from 0 to 1")
    people = _people(paths, human, fit, stories, notify)
    beginnings = list(prompts) or [story.beginning for story in people]
    if not beginnings:
        raise ConfigError(
            "there is no beginning to continue", "give beginnings (--prompts FILE) or texts (--human FILES)"
        )
    by_model: dict[str, list[JudgedStory]] = {}
    for path in paths:
        notify(f"{path} generates {len(beginnings)} stories")
        by_model[str(path)] = complete_stories(load(path, device, notify), path, beginnings, sampling)
    if people:
        by_model |= {HUMAN: people, SENTENCES: shuffled_sentences(people), SHUFFLED: shuffled(people)}
    result = judged(judge, by_model, twice) if judge else _proxied(paths, by_model, referee, device, notify)
    normalise(result["rows"])
    plain = {
        name: [{"beginning": s.beginning, "completion": s.completion} for s in found]
        for name, found in by_model.items()
    }
    return {**result, "stories": plain, "told": plain}


def _people(
    paths: Sequence[str | Path], human: Sequence[str], fit: Sequence[str], stories: int, notify: Callable[[str], None]
) -> list[JudgedStory]:
    recipe = recipe_or_none(paths[0])
    if human:
        documents = chain.from_iterable(named_texts(human, fit, str(find(paths[0]))).values())
        texts = (document.text for document in documents)
    elif recipe is not None:
        texts = texts_of(recipe, "validation")
    else:
        notify(f"{paths[0]} belongs to no run and --human names no text, so the table has no ceiling and no floor")
        texts = ()
    return human_stories(list(islice(texts, stories)))


def _proxied(
    paths: Sequence[str | Path],
    by_model: Mapping[str, Sequence[JudgedStory]],
    referee: str | Path | None,
    device: str,
    notify: Callable[[str], None],
) -> dict[str, Any]:
    recipe = recipe_or_none(paths[0])
    generator = None if referee is None else load(referee, device, notify)
    if recipe is None:
        return proxied(by_model, generator)
    notify("reading the training text again, to find copied passages")
    return proxied(by_model, generator, lambda: texts_of(recipe, "train"))
