"""Stories of the built-in world with what their plans know of them, for classification."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.source import SOURCES, Errors, Source, hash_of


@SOURCES.add("story_labels")
class StoryLabels(Source):
    """Stories of the built-in world, each labelled by a field of its plan. Ids are `story_labels:seed:number`."""

    kind: Literal["story_labels"] = "story_labels"
    stories: int = Field(default=4_000, gt=0, description="number of stories")
    seed: int = Field(default=0, description="the same seed makes the same stories")
    field: Literal["plot", "ending"] = Field(
        default="plot", description="the label: plot (one of 18) or ending (happy, neutral, sad)"
    )

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        from lilliput.storybook import story

        for number in range(self.stories):
            made = story(self.seed, number)
            label = getattr(made.plan, self.field)
            example = Example("labelled", {"text": made.text, "pair": None, "label": label})
            yield Document(made.text, f"story_labels:{self.seed}:{number}", example=example)

    def fingerprint(self) -> str:
        from lilliput.storybook import VERSION

        return hash_of("story_labels", VERSION, self.stories, self.seed, self.field)

    def describe(self) -> str:
        print_of = self.fingerprint()[:12]
        return f"story_labels: {self.stories:,} stories by their {self.field}, seed {self.seed} · {print_of}"
