"""Stories of several models: completed from the same beginnings, marked by a judge or measured by proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.base.console import print_line, progress
from lilliput.base.endpoint import Judge
from lilliput.base.errors import ConfigError, DataError, FileError
from lilliput.base.reading import from_yaml, read_text
from lilliput.evaluation.judge.copied import longest_copies
from lilliput.evaluation.judge.proxies import proxies
from lilliput.evaluation.judge.story import JudgedStory, Marks, mark_stories, noise
from lilliput.evaluation.judge.table import judged_row, proxy_row
from lilliput.generation.loading import load
from lilliput.generation.text_generator import TextGenerator

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


def complete(
    paths: Sequence[str | Path],
    prompts: Sequence[str] = COMPLETIONS,
    *,
    device: str = "auto",
    notify: Callable[[str], None] = print_line,
    **sampling: Any,
) -> list[dict[str, Any]]:
    """The completion of each of `prompts` by each model at `paths`: [{"prompt", "completions": {model: text}}]."""
    completions = {str(path): complete_stories(load(path, device, notify), path, prompts, sampling) for path in paths}
    return [
        {"prompt": prompt, "completions": {name: stories[place].completion for name, stories in completions.items()}}
        for place, prompt in enumerate(prompts)
    ]


def complete_stories(
    generator: TextGenerator, path: str | Path, beginnings: Sequence[str], sampling: Mapping[str, Any]
) -> list[JudgedStory]:
    """A story from each beginning by the model at `path`. Raises ConfigError for a model that reads backwards, and for
    one that answers a source."""
    if generator.objective.reads_source:
        raise ConfigError(f"{path} answers a source: it cannot go on from a beginning", "leave it out")
    if not generator.objective.reads_forwards:
        raise ConfigError(f"{path} reads backwards: it cannot go on from a beginning", "leave it out")
    texts = generator.generate_batch(beginnings, window=True, **sampling)
    return [JudgedStory(prompt, text.removeprefix(prompt)) for prompt, text in zip(beginnings, texts, strict=True)]


def judged(judge: Judge, by_model: Mapping[str, Sequence[JudgedStory]], twice: float) -> dict[str, Any]:
    """Rows of `judge`'s marks of the stories of each model, a share of `twice` of them marked a second time."""
    rows, pairs = {}, []
    with progress(f"asking {judge.model}", sum(map(len, by_model.values())), "stories") as bar:
        for name, stories in by_model.items():
            marks: list[Marks] = []
            for story in stories:
                (mark,), again = mark_stories(judge, [story], twice)
                marks.append(mark)
                pairs += again
                bar.advance()
            rows[name] = judged_row(marks)
    return {"kind": f"marked by {judge.model}", "rows": rows, "noise": noise(pairs), "questions": judge.asked}


def proxied(
    by_model: Mapping[str, Sequence[JudgedStory]],
    referee: TextGenerator | None = None,
    training: Callable[[], Iterator[str]] | None = None,
) -> dict[str, Any]:
    """Rows of proxies of the stories of each model. `referee` is the model whose bits per byte are one of them;
    `training` gives the training text, in which copied passages are looked for."""
    judge = None if referee is None else (referee.model, referee.tokenizer)
    copied: dict[str, list[int]] = {}
    if training is not None:
        lengths = iter(longest_copies([s.completion for row in by_model.values() for s in row], training()))
        copied = {name: [next(lengths) for _ in stories] for name, stories in by_model.items()}
    rows = {
        name: proxy_row(proxies(stories, copied.get(name), judge), len(stories)) for name, stories in by_model.items()
    }
    return {"kind": "proxies, not a judgement of quality", "rows": rows, "noise": {}, "questions": 0}
