"""Making exercises: seeds are drafted and verified, kept rows and refusals are written as they come."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from lilliput.base.errors import DataError
from lilliput.base.seeds import derive
from lilliput.data.document import Document
from lilliput.worlds.exercises.drafting import Drafter
from lilliput.worlds.exercises.exercise import Exercise, Refused


@dataclass
class Made:
    """The number of seeds, of kept rows (those of earlier calls too), of refusals by reason, and the cost of a row."""

    seeds: int = 0
    kept: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    cost: dict[str, float] = field(default_factory=dict)


def make(
    exercise: Exercise,
    seeds: Iterable[Document],
    drafter: Drafter,
    checker: Drafter,
    out: Path,
    *,
    tries: int = 2,
    seed: int = 0,
    price_in: float = 0.0,
    price_out: float = 0.0,
    progress: Callable[[], None] = lambda: None,
) -> Made:
    """Make exercises of seed texts into the JSON lines file `out`, at most one of each text, and the refusals with
    their reasons into a file beside it. Each text is drafted at most `tries` times. Texts that an earlier call has done
    are left out. Prices are those of a million characters that are sent and that come back."""
    refusals = out.with_name(f"{out.stem}.refused.jsonl")
    made = Made()
    done: set[str] = set()
    for path in (out, refusals):
        for row in _rows(path):
            done.add(row["seed_id"])
            if path == out:
                made.kept += 1
            else:
                made.refused[row["reason"]] += 1
    made.seeds = len(done)
    waiting = (document for document in seeds if document.id not in done)
    out.parent.mkdir(parents=True, exist_ok=True)
    before = made.kept
    with (
        open(out, "a", encoding="utf-8") as kept,
        open(refusals, "a", encoding="utf-8") as refused,
        ThreadPoolExecutor(drafter.parallel) as pool,
    ):
        while batch := list(islice(waiting, drafter.parallel)):
            work = pool.map(lambda each: _one(exercise, each, drafter, checker, tries, seed), batch)
            for document, found in zip(batch, work, strict=True):
                made.seeds += 1
                if isinstance(found, str):
                    made.refused[found] += 1
                    _write(refused, {"seed_id": document.id, "reason": found})
                else:
                    made.kept += 1
                    _write(kept, {**found, "seed_id": document.id, "drafter": drafter.name})
                progress()
    costs = {id(one): one.cost for one in (drafter, checker)}.values()
    new = max(1, made.kept - before)
    money = sum(one.characters_in * price_in + one.characters_out * price_out for one in costs) / 1e6
    made.cost = {
        "questions_a_row": sum(one.questions for one in costs) / new,
        "characters_a_row": sum(one.characters_in + one.characters_out for one in costs) / new,
        "seconds_a_row": sum(one.seconds for one in costs) / new,
        "price_a_row": money / new,
    }
    return made


def _one(
    exercise: Exercise, document: Document, drafter: Drafter, checker: Drafter, tries: int, seed: int
) -> dict[str, Any] | str:
    """Return the row of a seed text, or the last reason why there is none."""
    reason = ""
    for attempt in range(tries):
        try:
            draft = exercise.draft(document.text, Random(derive(seed, document.id, attempt)))
            answer = drafter.answer(draft.question, attempt)
            return exercise.row(draft, answer, checker.answer)
        except Refused as refused:
            reason = str(refused)
    return reason


def _write(file: Any, row: dict[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    file.flush()


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of an earlier call. A last line that was cut is removed. Raises DataError for another file."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        path.write_bytes(whole)
    for number, line in enumerate(whole.decode("utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            _ = row["seed_id"]
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}:{number} is no row of exercises", "name another file: --out FILE") from None
        yield row
