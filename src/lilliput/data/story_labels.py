"""Stories of the built-in world with what their plans know of them, for classification."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.source import SOURCES, Errors, Source, hash_of

RIGHT, WRONG = "right", "wrong"
"""The labels of answers."""


@SOURCES.add("story_labels")
class StoryLabels(Source):
    """Stories of the built-in world, each labelled by a field of its plan. With the fields `answer` and `owner`, a text
    has a pair, and its label is whether the pair is right. Ids are `story_labels:seed:number`."""

    kind: Literal["story_labels"] = "story_labels"
    stories: int = Field(default=4_000, gt=0, description="number of stories")
    seed: int = Field(default=0, description="the same seed makes the same stories")
    field: Literal["plot", "ending", "answer", "owner"] = Field(
        default="plot",
        description="the label: plot (one of 18), ending (happy, neutral, sad), answer (an answer about a short story "
        "is right or wrong), or owner (of a thing, right or wrong)",
    )

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        for number in range(self.stories):
            text, pair, label = self._labelled(number)
            example = Example("labelled", {"text": text, "pair": pair, "label": label})
            yield Document(text, f"story_labels:{self.seed}:{number}", example=example)

    def _labelled(self, number: int) -> tuple[str, str | None, str]:
        from lilliput.storybook import story
        from lilliput.storybook.belongings import judged_owner
        from lilliput.storybook.questions import judged_answer

        if self.field in ("answer", "owner"):
            judged = judged_answer if self.field == "answer" else judged_owner
            text, pair, right = judged(self.seed, number)
            return text, pair, RIGHT if right else WRONG
        made = story(self.seed, number)
        return made.text, None, getattr(made.plan, self.field)

    def fingerprint(self) -> str:
        from lilliput.storybook import VERSION

        return hash_of("story_labels", VERSION, self.stories, self.seed, self.field)

    def describe(self) -> str:
        print_of = self.fingerprint()[:12]
        return f"story_labels: {self.stories:,} stories by their {self.field}, seed {self.seed} · {print_of}"
