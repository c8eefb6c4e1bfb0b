"""Tasks of the story world as sources: instructions, questions, belongings, refusals, arithmetic, preferences, ..."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.source import SOURCES, Errors, Source, hash_of
from lilliput.storybook.belongings import MOST_DISTANCE, MOST_PAIRS

if TYPE_CHECKING:
    from lilliput.storybook.tasks import Task

ROWS = {
    "messages": "messages",
    "preference": "preferences: prompt, chosen, rejected",
    "rating": "ratings: prompt, completion, label",
    "prompt": "prompts with columns for rewards",
    "completion": "pairs: prompt, completion",
    "text": "texts",
}
"""How `describe` names each kind of row."""


class StoryTasks(Source):
    """Tasks that are made as they are read. Task `number` depends on the seed and the number alone. Ids are
    `kind:seed:number`."""

    rows: ClassVar[str] = "messages"
    count: int = Field(default=20_000, gt=0, description="number of examples")
    seed: int = Field(default=0, description="the same seed makes the same examples")

    def task(self, number: int) -> Task:
        """Return task `number`."""
        raise NotImplementedError

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        for number in range(self.count):
            yield _document(self.task(number), f"{self.kind}:{self.seed}:{number}")

    def fingerprint(self) -> str:
        from lilliput.storybook import VERSION as STORIES
        from lilliput.storybook.tasks import VERSION

        return hash_of("story tasks", STORIES, VERSION, self.model_dump(mode="json", exclude={"weight", "profile"}))

    def describe(self) -> str:
        rows = ROWS[self.rows]
        print_of = self.fingerprint()[:12]
        return f"{self.kind}: {self.count:,} examples of the story world ({rows}), seed {self.seed} · {print_of}"


class PhrasedTasks(StoryTasks):
    """Tasks whose requests have phrasings for training and phrasings that are held out."""

    phrasings: Literal["train", "held_out", "all"] = Field(
        default="train",
        description="train: requests in the phrasings for training; held_out: in other phrasings, to measure with; "
        "all: one request in ten in a held-out phrasing. The column held_out marks them",
    )


@SOURCES.add("instructions")
class Instructions(PhrasedTasks):
    """Conversations: a request for a story, and a story that satisfies it by its plan; some with a second request."""

    kind: Literal["instructions"] = "instructions"
    turns: float = Field(default=0.3, ge=0, le=1, description="share of conversations with two requests")
    length: Literal["short", "full"] = Field(
        default="short",
        description="short: stories of at most 84 words; full: stories as the source `story` has them, for requests "
        "that stand alone (a second request has a short story)",
    )

    def task(self, number: int) -> Task:
        from lilliput.storybook.instructions import instruction

        return instruction(self.seed, number, self.phrasings, self.turns, full=self.length == "full")


@SOURCES.add("questions")
class Questions(PhrasedTasks):
    """Conversations: a short story with a question, and the answer from the story's plan."""

    kind: Literal["questions"] = "questions"
    unanswerable: float = Field(
        default=0.15, ge=0, le=1, description='share of questions with the answer "The story does not say that."'
    )

    def task(self, number: int) -> Task:
        from lilliput.storybook.questions import question

        return question(self.seed, number, self.phrasings, self.unanswerable)


@SOURCES.add("rewrites")
class Rewrites(StoryTasks):
    """Pairs of a source and its target: a short story and its summary, a story with a question and the answer, a
    sentence and its words in reverse order."""

    kind: Literal["rewrites"] = "rewrites"
    rows: ClassVar[str] = "completion"
    shares: dict[Literal["summary", "answer", "reverse"], float] = Field(
        default={"summary": 1.0, "answer": 1.0, "reverse": 1.0}, description="relative number of rewrites of each sort"
    )

    @field_validator("shares")
    @classmethod
    def _has_a_share(cls, value: dict[str, float]) -> dict[str, float]:
        return with_a_share(value, "{summary: 1, reverse: 1}")

    def task(self, number: int) -> Task:
        from lilliput.storybook.rewrites import rewrite

        return rewrite(self.seed, number, self.shares)


@SOURCES.add("belongings")
class Belongings(StoryTasks):
    """Texts: several people who each have a thing, and questions about who has what. They teach recall."""

    kind: Literal["belongings"] = "belongings"
    rows: ClassVar[str] = "text"
    pairs: int = Field(default=0, ge=0, le=MOST_PAIRS, description="people who each have a thing; 0: 2 to 8, a mixture")
    distance: int | None = Field(
        default=None,
        ge=0,
        le=MOST_DISTANCE,
        description="sentences between what they have and the first question; null: 0 to 6, a mixture",
    )
    rounds: int = Field(default=1, ge=1, le=8, description="times that each person is asked about")
    plain: bool = Field(default=False, description="tell all that people have by the word has, as the answers do")

    def task(self, number: int) -> Task:
        from lilliput.storybook.belongings import belongings_text

        return belongings_text(self.seed, number, self.pairs, self.distance, self.rounds, self.plain)


@SOURCES.add("refusals")
class Refusals(PhrasedTasks):
    """Conversations: harmful requests that are refused, and harmless requests with similar words that are answered. The
    column `harmful` is true or false."""

    kind: Literal["refusals"] = "refusals"
    harmful: float = Field(default=0.5, ge=0, le=1, description="share of harmful requests")

    def task(self, number: int) -> Task:
        from lilliput.storybook.refusals import refusal_or_answer

        return refusal_or_answer(self.seed, number, self.phrasings, self.harmful)


@SOURCES.add("arithmetic")
class Arithmetic(StoryTasks):
    """Word problems with small numbers. The same seed gives the same problems in both orders."""

    kind: Literal["arithmetic"] = "arithmetic"
    order: Literal["answer", "reason"] = Field(
        default="reason", description="what a reply begins with: the answer, or the steps that lead to it"
    )
    form: Literal["dialogue", "exposition", "worked", "practice"] = Field(
        default="dialogue",
        description="dialogue: messages; or plain texts: exposition explains an operation, worked is a problem with "
        "its steps and answer, practice is a problem with its answer alone",
    )
    operations: int = Field(default=0, ge=0, le=3, description="steps of a problem, 1 to 3; 0: a mixture of them")

    def task(self, number: int) -> Task:
        from lilliput.storybook.arithmetic import arithmetic, arithmetic_text

        if self.form == "dialogue":
            return arithmetic(self.seed, number, self.order, self.operations)
        return arithmetic_text(self.seed, number, self.form, self.order, self.operations)

    def describe(self) -> str:
        rows = ROWS["messages" if self.form == "dialogue" else "text"]
        return super().describe().replace(f"({ROWS['messages']})", f"({rows}, {self.form}, {self.order} first)")


@SOURCES.add("preferences")
class Preferences(PhrasedTasks):
    """Pairs: a request for a story, a reply that satisfies it, and a reply that a rule scores lower."""

    kind: Literal["preferences"] = "preferences"
    rows: ClassVar[str] = "preference"

    def task(self, number: int) -> Task:
        from lilliput.storybook.preferences import preference

        return preference(self.seed, number, self.phrasings)


@SOURCES.add("ratings")
class Ratings(PhrasedTasks):
    """Requests for a story, each with one completion and a label: whether the completion satisfies the request."""

    kind: Literal["ratings"] = "ratings"
    rows: ClassVar[str] = "rating"
    good: float = Field(default=0.5, ge=0, le=1, description="share of completions that satisfy their request")

    def task(self, number: int) -> Task:
        from lilliput.storybook.preferences import rating

        return rating(self.seed, number, self.phrasings, self.good)


@SOURCES.add("story_prompts")
class StoryPrompts(PhrasedTasks):
    """Prompts without completions. Their columns are what the rules of `storybook.rules` read."""

    kind: Literal["story_prompts"] = "story_prompts"
    rows: ClassVar[str] = "prompt"
    shares: dict[Literal["story", "arithmetic", "refusal"], float] = Field(
        default={"story": 1.0},
        description="relative number of prompts that ask for a story, a number, or a refusal or an answer",
    )

    @field_validator("shares")
    @classmethod
    def _has_a_share(cls, value: dict[str, float]) -> dict[str, float]:
        return with_a_share(value, "{story: 0.7, arithmetic: 0.3}")

    def task(self, number: int) -> Task:
        from lilliput.storybook.preferences import story_prompt

        return story_prompt(self.seed, number, self.phrasings, self.shares)


def with_a_share(shares: dict[Any, float], example: str) -> dict[Any, float]:
    """Return shares of which at least one is above 0. Raises ValueError for others."""
    if any(share < 0 for share in shares.values()) or not sum(shares.values()):
        raise ValueError(f"shares are numbers from 0, and at least one is above 0, such as {example}")
    return shares


def _document(task: Task, name: str) -> Document:
    """Return a task as a document: a plain text where the task is one, otherwise an example."""
    columns: dict[str, Any] = dict(task.columns)
    if task.kind == "text":
        return Document(task.row["text"], name, columns)
    example = Example(task.kind, task.row, columns)  # pyright: ignore[reportArgumentType]
    return Document(example.text, name, example=example)
