"""Story parts: the change of a story's consistency, part by part, when components of the model are ablated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.ablation import How, Reference, ablated
from lilliput.lens.components import Component
from lilliput.lens.figures import mean_figure
from lilliput.storybook.consistency import consistency
from lilliput.storybook.openings import ENDINGS, OPENINGS

PARTS = ("name", "pronoun", "want", "ending", "overall")
"""The parts of a story that are compared, and the overall consistency."""
STORY_WORDS = 0.8
"""A model whose texts have a smaller share of words of the story world does not generate its stories."""
ROOM = 48
"""The fewest tokens that a story may have after its opening."""
Scored = list[dict[str, float | None]]


@dataclass(frozen=True)
class Asked:
    """How stories are generated, the same with and without ablation: `count` stories from the fixed openings (endings
    for a model that reads backwards), with the same random numbers for the same story."""

    count: int = 16
    max_tokens: int = 200
    temperature: float = 0.5
    seed: int = 0


def story_scores(generator: TextGenerator, asked: Asked) -> Scored:
    """Generate stories and return the scores of each, by part; None for a part that could not be judged. There are no
    stories where the context has no room for an opening and `ROOM` tokens."""
    lengths = {one: len(generator.tokenizer.encode(one)) + 2 for one in _prompts(generator)}
    fixed = [one for one, length in lengths.items() if length + ROOM <= generator.model.config.context_length]
    if not fixed:
        return []
    room = generator.model.config.context_length - max(lengths[one] for one in fixed)
    prompts = [fixed[place % len(fixed)] for place in range(asked.count)]
    texts = generator.generate_batch(
        prompts, max_tokens=min(asked.max_tokens, room), temperature=asked.temperature, seed=asked.seed
    )
    return [consistency(text).as_dict() for text in texts]


def _prompts(generator: TextGenerator) -> tuple[str, ...]:
    return OPENINGS if generator.objective.reads_forwards else ENDINGS


def tells_stories(scores: Scored) -> bool:
    """Return whether the texts are in the words of the built-in story world."""
    known = [one["words"] or 0.0 for one in scores]
    return sum(known) / max(1, len(known)) >= STORY_WORDS


def ablated_scores(
    generator: TextGenerator,
    components: Component | Sequence[Component],
    how: How,
    reference: Reference | None,
    asked: Asked,
) -> Scored:
    """Return `story_scores` with components ablated. PyTorch's operators generate, because native steps do not see an
    ablation."""
    plain = generator.with_model(generator.model)
    with ablated(generator.model, components, how, reference):
        return story_scores(plain, asked)


def story_change(before: Scored, after: Scored) -> dict[str, dict[str, Any]]:
    """Return the mean change of each part from `before` to `after`, paired by story, with its 95% bootstrap interval.

    `count` counts the stories whose part could be judged both times, `lost` the stories in which it could be judged
    before only. A part with no pair has no mean."""
    found: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        both = [(old[part], new[part]) for old, new in zip(before, after, strict=True)]
        changes = [new - old for old, new in both if old is not None and new is not None]
        lost = sum(old is not None and new is None for old, new in both)
        found[part] = {**mean_figure(changes), "lost": lost}
    return found


def means(scores: Scored) -> dict[str, float | None]:
    """Return the mean of each part over the stories in which it could be judged; None where it could be in none."""
    found = {part: [value for one in scores if (value := one[part]) is not None] for part in PARTS}
    return {part: float(np.mean(values)) if values else None for part, values in found.items()}
