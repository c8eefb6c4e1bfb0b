"""Session: one labeller's way through the items, the same for the terminal and the page."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lilliput.base.config import validate
from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError
from lilliput.lab.labelling.prompts import prompt_text
from lilliput.lab.labelling.record import Candidate, Event, Mode, Prompt, Record, order
from lilliput.lab.labelling.sampling import Ahead, Unusable
from lilliput.lab.labelling.store import Store, live, read

SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Task:
    """What is asked of a labeller.

    samples   replies of a prompt: side by side (rank), or one after the other (rate)
    model     the model's name, as in Candidate
    sampling  temperature, max_tokens
    """

    mode: Mode
    labeller: str
    samples: int
    model: str
    seed: int
    sampling: dict[str, float | int]

    def items(self, prompts: Sequence[Prompt]) -> list[Item]:
        """The items in the order of the prompts. A rated prompt is an item for each sample."""
        count = self.samples if self.mode == "rate" else 1
        return [Item(self._key(prompt, sample), prompt, sample) for prompt in prompts for sample in range(count)]

    def _key(self, prompt: Prompt, sample: int) -> str:
        """A name of the item that all labellers of the same command share. It holds neither the labeller nor the
        weights: while a run trains on, its answered prompts stay answered."""
        drawn = [sample, self.samples, self.model, self.seed, self.sampling] if self.mode != "demonstrate" else []
        text = json.dumps([self.mode, prompt, drawn], sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Item:
    """A prompt to label; `sample` is the number of the reply that is rated."""

    key: str
    prompt: Prompt
    sample: int


@dataclass(frozen=True)
class Shown:
    """An item as it is shown: `replies` are the candidates' texts in the order `shown`."""

    item: Item
    candidates: tuple[Candidate, ...]
    order_seed: int
    shown: tuple[int, ...]

    @property
    def replies(self) -> tuple[str, ...]:
        return tuple(self.candidates[number].text for number in self.shown)


class Waiting(Exception):
    """The replies to the present item are still being generated."""


class Stale(ConfigError):
    """An answer to an item that is not the present one."""


class Session:
    """Shows the items that the labeller has not answered, and stores each answer at once. Safe among threads.

    ahead   gives the replies; None for demonstrations
    notify  is called with a line for each prompt that is left out
    clock   seconds that only grow
    """

    def __init__(
        self,
        task: Task,
        items: Sequence[Item],
        store: Store,
        ahead: Ahead | None = None,
        notify: Callable[[str], None] = print_line,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.task, self.items, self.store = task, list(items), store
        self._ahead, self._notify, self._clock = ahead, notify, clock
        records = read(store.path, notify)
        self._known = {record.item: record.candidates for record in records if record.candidates}
        by_key = {item.key: item for item in items}
        answered = [record.item for record in live(records) if record.labeller == task.labeller]
        self._history = [by_key[key] for key in answered if key in by_key]
        self._queue = deque(item for item in items if item not in self._history)
        self._present: Shown | None = None
        self._began = 0.0
        self._lock = threading.RLock()
        self.answered, self.skipped, self.left_out = len(self._history), 0, 0

    @property
    def left(self) -> int:
        """The items that are still to come in this session, the present one included."""
        return len(self._queue)

    def present(self, timeout: float | None = None) -> Shown | None:
        """The item to answer; None when none is left. Its time begins with the first call. Raises Waiting where its
        replies are not there after `timeout` seconds."""
        with self._lock:
            while self._present is None and self._queue:
                item = self._queue[0]
                try:
                    candidates = self._candidates(item, timeout)
                except Unusable as reason:
                    self._leave_out(item, reason)
                    continue
                seed, shown = order(self.task.seed, item.key, self.task.labeller, len(candidates))
                self._present, self._began = Shown(item, candidates, seed, shown), self._clock()
            return self._present

    def answer(self, key: str, given: Any) -> None:
        """Store the answer to the present item. A ranking is given as groups of places, from 0, as they are shown; a
        rating as a bool; a demonstration as text. Raises Stale for another item and ConfigError for an answer that does
        not fit."""
        with self._lock:
            present = self._expect(key)
            if self.task.mode == "rank":
                given = _candidates_at(given, present.shown)
            if self.task.mode == "demonstrate" and isinstance(given, str):
                given = joined(present.item.prompt, given)
            self._store("answer", present, given)
            self.answered += 1
            self._history.append(present.item)
            self._next()

    def skip(self, key: str) -> None:
        """Go on without an answer. The item comes again in the next session."""
        with self._lock:
            present = self._expect(key)
            self._store("skip", present)
            self.skipped += 1
            self._history.append(present.item)
            self._next()

    def undo(self) -> bool:
        """Take the last answer or skip back, and show its item again. False where there is none."""
        with self._lock:
            if not self._history:
                return False
            item = self._history.pop()
            seconds = self._clock() - self._began if self._present else 0.0
            before = next(r for r in reversed(read(self.store.path, lambda text: None)) if self._is_mine(r, item))
            undone = {"event": "undo", "answer": None, "utc": _now(), "seconds": round(seconds, 2)}
            self.store.append(before.model_copy(update=undone))
            self.answered -= before.event == "answer"
            self.skipped -= before.event == "skip"
            self._queue.appendleft(item)
            self._present = None
            return True

    def _is_mine(self, record: Record, item: Item) -> bool:
        return record.item == item.key and record.labeller == self.task.labeller and record.event != "undo"

    def _candidates(self, item: Item, timeout: float | None) -> tuple[Candidate, ...]:
        if item.key in self._known:  # another labeller has seen these, or this one before an undo
            return self._known[item.key]
        if self._ahead is None:
            return ()
        found = self._ahead.get(item.prompt, timeout)
        if found is None:
            raise Waiting
        return found if self.task.mode == "rank" else (found[item.sample],)

    def _leave_out(self, item: Item, reason: Unusable) -> None:
        alike = [other for other in self._queue if other.prompt == item.prompt]
        for other in alike:
            self._queue.remove(other)
        self.left_out += len(alike)
        self._notify(f"left out: {reason} ({prompt_text(item.prompt)[:SHOWN_CHARACTERS]!r})")

    def _expect(self, key: str) -> Shown:
        if self._present is None or self._present.item.key != key:
            raise Stale("this is not the item that is shown now", "look at the present item again")
        return self._present

    def _store(self, event: Event, present: Shown, answer: Any = None) -> None:
        values = {
            "event": event,
            "mode": self.task.mode,
            "item": present.item.key,
            "labeller": self.task.labeller,
            "utc": _now(),
            "seconds": round(self._clock() - self._began, 2),
            "prompt": present.item.prompt,
            "candidates": present.candidates,
            "shown": present.shown,
            "order_seed": present.order_seed,
            "answer": answer,
        }
        self.store.append(validate(Record, values, "the answer"))
        if present.candidates:
            self._known[present.item.key] = present.candidates

    def _next(self) -> None:
        self._queue.popleft()
        self._present = None


def joined(prompt: Prompt, completion: str) -> str:
    """A completion as it follows its prompt: a space comes between two words, and none where the completion begins with
    a mark such as a comma. A reply to messages stays as it is."""
    text = completion.strip() if not isinstance(prompt, str) else completion.rstrip()
    if not isinstance(prompt, str) or not text or prompt[-1:].isspace() or text[0].isspace():
        return text
    return f" {text}" if text[0].isalnum() or text[0] in "\"“‘('[" else text


def _candidates_at(groups: Any, shown: tuple[int, ...]) -> list[list[int]]:
    """A ranking of places as a ranking of candidates, equal ones by their numbers.

    Example: places [[1], [0]] shown as (2, 0) give [[0], [2]]."""
    if not isinstance(groups, list | tuple) or not all(isinstance(group, list | tuple) for group in groups):
        raise ConfigError("a ranking is a list of lists of places, best first")
    places = [place for group in groups for place in group]
    if not all(type(place) is int and 0 <= place < len(shown) for place in places):
        raise ConfigError(f"a ranking names places from 0 to {len(shown) - 1}")
    return [sorted(shown[place] for place in group) for group in groups]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
