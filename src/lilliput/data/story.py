"""The built-in story world as a source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.source import SOURCES, Errors, Source, hash_of


@SOURCES.add("story")
class Stories(Source):
    """Stories of the built-in world, each with its plan as meta. Ids are `story:seed:number`."""

    kind: Literal["story"] = "story"
    stories: int = Field(default=20_000, gt=0, description="number of stories")
    seed: int = Field(default=0, description="the same seed makes the same stories")

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        from lilliput.storybook import story

        for number in range(self.stories):
            made = story(self.seed, number)
            yield Document(made.text, f"story:{self.seed}:{number}", made.plan.as_dict())

    def fingerprint(self) -> str:
        from lilliput.storybook import VERSION

        return hash_of("story", VERSION, self.stories, self.seed)

    def describe(self) -> str:
        return f"story: {self.stories:,} stories of the built-in world, seed {self.seed} · {self.fingerprint()[:12]}"
