"""Prompts: the texts that a run continues at each evaluation, for people to read."""

from __future__ import annotations

from lilliput.assembly.recipe import Recipe
from lilliput.data.split import Split
from lilliput.data.story import Stories
from lilliput.data.tokenizer import Tokenizer
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.storybook.openings import ENDINGS, OPENINGS

PROMPTS = 4
"""Prompts that are continued at each evaluation where a recipe names no prompts."""
PASSED_OVER = 8
"""Sequences that are looked at for one prompt."""
MARKS = 2
"""Marks around a source."""


def knows_stories(recipe: Recipe) -> bool:
    """Whether the model continues texts of the story world. Heroes can be looked for only then. A chat model may read
    such texts beside its conversations, and replies to requests."""
    objective = recipe.objective
    continues = objective.generates and "text" in objective.examples and not objective.reads_source
    return continues and any(isinstance(source, Stories) for source in recipe.data.sources)


def prompts_for(recipe: Recipe, split: Split, tokenizer: Tokenizer, context_length: int) -> list[str]:
    """Return the recipe's prompts. Without them, return the story world's own openings or endings, or for other text
    the openings or endings of documents of `split`. These leave half a context for the model's text. What an encoder
    reads may fill its context; the shortest comes first then, because a command shows it."""
    forwards, whole = recipe.objective.reads_forwards, recipe.objective.reads_source
    if recipe.evaluate.prompts:
        return list(recipe.evaluate.prompts)
    if knows_stories(recipe):
        found = list((OPENINGS if forwards else ENDINGS)[:PROMPTS])
    else:
        found = prompts_of(split, tokenizer, recipe.objective, PROMPTS)
        found = sorted(found, key=len) if whole else found
    room = max(1, context_length - MARKS if whole else context_length // 2)
    return list(dict.fromkeys(fitting(prompt, tokenizer, forwards, room) for prompt in found))


def prompts_of(split: Split, tokenizer: Tokenizer, objective: ObjectiveConfig, count: int) -> list[str]:
    """Return prompts for a model of this text, from `count` documents that are spread over `split`. A sequence that
    gives no prompt, such as the target of a source, is passed over."""
    found = []
    for place in sorted({place * split.documents // count for place in range(count)}):
        near = range(place, min(place + PASSED_OVER, split.documents))
        prompts = (objective.opening(tokenizer, split.document(number).tolist()) for number in near)
        found.append(next(filter(None, prompts), ""))
    return list(dict.fromkeys(filter(None, found))) or [""]


def fitting(prompt: str, tokenizer: Tokenizer, forwards: bool, room: int) -> str:
    """Return the most words of `prompt` that are `room` tokens at most: its first words, or the last words of an
    ending."""
    words = prompt.split(" ")
    while len(words) > 1 and len(tokenizer.encode(" ".join(words))) > room:
        words = words[:-1] if forwards else words[1:]
    return " ".join(words)
