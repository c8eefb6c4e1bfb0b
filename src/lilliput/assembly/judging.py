"""Stories of several models side by side: marked by a judge or by proxies, and the paper's three completions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from lilliput.assembly.evaluation import Say, recipe_or_none, texts_of
from lilliput.base.console import progress
from lilliput.base.console import say as print_line
from lilliput.base.errors import ConfigError, DataError, FileError
from lilliput.base.reading import from_yaml, read_text
from lilliput.data.infer import named_texts
from lilliput.evaluation.judge.copied import longest_copies
from lilliput.evaluation.judge.endpoint import Judge
from lilliput.evaluation.judge.proxies import proxies
from lilliput.evaluation.judge.story import Marks, Told, mark_stories, noise
from lilliput.evaluation.judge.table import (
    HUMAN,
    SENTENCES,
    SHUFFLED,
    human_stories,
    judged_row,
    normalise,
    proxy_row,
    shuffled,
    shuffled_sentences,
)
from lilliput.generation.storyteller import Storyteller, load
from lilliput.runs.finding import find

COMPLETIONS = (
    "Alice was so tired when she got back home so she went",
    "Lily likes cats and dogs. She asked her mom for a dog and her mom said no, so instead she asked",
    "Alice and Jack walked up the street and met a girl in a red dress. The girl said to them, "
    '"Hi, I\'m Jane. What are your names?"',
)
"""The beginnings whose completions by models of all sizes the TinyStories paper shows in one table."""


def read_prompts(path: str | Path) -> list[str]:
    """The beginnings in a YAML list, or one a line in any other file. Raises DataError."""
    file = Path(path)
    try:
        text = read_text(file)
        found = from_yaml(text) if file.suffix in (".yaml", ".yml") else text.splitlines()
    except (OSError, FileError) as error:
        raise DataError(f"cannot read prompts from {file}: {' '.join(str(error).split())[:200]}") from None
    prompts = [entry.rstrip("\n") for entry in found if isinstance(entry, str)] if isinstance(found, list) else []
    if not prompts or len(prompts) < len(found):
        raise DataError(f"{file} is no list of beginnings", "write a YAML list of texts, or a text a line")
    return [prompt for prompt in prompts if prompt.strip()]


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
    say: Say = print_line,
    **sampling: Any,
) -> dict[str, Any]:
    """The table of the TinyStories paper for the models at `paths`: each completes the same beginnings, and `judge`
    marks them (without one: proxies, which are called so). Rows for human text (the ceiling), the same with its
    sentences shuffled and with its words shuffled (the floor) come from the documents in `human`, else from the
    validation side of the first run; `fit` holds overrides of how these are read, such as `data.sources.0.column=body`.

    `prompts` are the beginnings; without them, those of `stories` human texts are taken. `referee` is the model whose
    bits per byte are a proxy; `twice` the share that the judge marks a second time. Returns plain values:

        {"kind", "rows": {model: {"stories", "scores": {name: {"mean", "interval", "normalised"}}, "age_groups"}},
         "noise", "questions", "told": {model: [{"beginning", "completion"}]}}

    Raises LilliputError."""
    if stories < 1 or not 0 <= twice <= 1:
        raise ConfigError(f"stories={stories} has to be at least 1, and twice={twice} a share from 0 to 1")
    people = _people(paths, human, fit, stories, say)
    beginnings = list(prompts) or [story.beginning for story in people]
    if not beginnings:
        raise ConfigError("there is nothing to go on from", "give beginnings (--prompts FILE) or texts (--human FILES)")
    told = {}
    for path in paths:
        say(f"{path} tells {len(beginnings)} stories")
        told[str(path)] = _complete(load(path, device, say), path, beginnings, sampling)
    if people:
        told |= {HUMAN: people, SENTENCES: shuffled_sentences(people), SHUFFLED: shuffled(people)}
    result = _judged(judge, told, twice) if judge else _proxied(paths, told, referee, device, say)
    normalise(result["rows"])
    plain = {name: [{"beginning": s.beginning, "completion": s.completion} for s in told[name]] for name in told}
    return {**result, "told": plain}


def _people(
    paths: Sequence[str | Path], human: Sequence[str], fit: Sequence[str], stories: int, say: Say
) -> list[Told]:
    recipe = recipe_or_none(paths[0])
    if human:
        documents = chain.from_iterable(named_texts(human, fit, str(find(paths[0]))).values())
        texts = (document.text for document in documents)
    elif recipe is not None:
        texts = texts_of(recipe, "validation")
    else:
        say(f"{paths[0]} belongs to no run and --human names no text: there is no ceiling and no floor")
        texts = ()
    return human_stories(list(islice(texts, stories)))


def _complete(
    teller: Storyteller, path: str | Path, beginnings: Sequence[str], sampling: Mapping[str, Any]
) -> list[Told]:
    if not teller.objective.reads_forwards:
        raise ConfigError(f"{path} reads backwards: it cannot go on from a beginning", "leave it out")
    texts = teller.tell_each(beginnings, window=True, **sampling)
    return [Told(prompt, text.removeprefix(prompt)) for prompt, text in zip(beginnings, texts, strict=True)]


def _judged(judge: Judge, told: Mapping[str, Sequence[Told]], twice: float) -> dict[str, Any]:
    rows, pairs = {}, []
    with progress(f"asking {judge.model}", sum(map(len, told.values())), "stories") as bar:
        for name, stories in told.items():
            marks: list[Marks] = []
            for story in stories:
                (mark,), again = mark_stories(judge, [story], twice)
                marks.append(mark)
                pairs += again
                bar.advance()
            rows[name] = judged_row(marks)
    return {"kind": f"marked by {judge.model}", "rows": rows, "noise": noise(pairs), "questions": judge.asked}


def _proxied(
    paths: Sequence[str | Path],
    told: Mapping[str, Sequence[Told]],
    referee: str | Path | None,
    device: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    recipe = recipe_or_none(paths[0])
    judge = None
    if referee is not None:
        teller = load(referee, device, say)
        judge = (teller.model, teller.tokenizer)
    copied: dict[str, list[int]] = {}
    if recipe is not None:
        say("reading the training text again, for what was copied from it")
        lengths = iter(longest_copies([s.completion for row in told.values() for s in row], texts_of(recipe, "train")))
        copied = {name: [next(lengths) for _ in stories] for name, stories in told.items()}
    rows = {name: proxy_row(proxies(stories, copied.get(name), judge), len(stories)) for name, stories in told.items()}
    return {"kind": "proxies, not a judgement of quality", "rows": rows, "noise": {}, "questions": 0}


def complete(
    paths: Sequence[str | Path],
    prompts: Sequence[str] = COMPLETIONS,
    *,
    device: str = "auto",
    say: Say = print_line,
    **sampling: Any,
) -> list[dict[str, Any]]:
    """What each model at `paths` goes on with after each of `prompts`: [{"prompt", "completions": {model: text}}]."""
    completions = {str(path): _complete(load(path, device, say), path, prompts, sampling) for path in paths}
    return [
        {"prompt": prompt, "completions": {name: told[place].completion for name, told in completions.items()}}
        for place, prompt in enumerate(prompts)
    ]
