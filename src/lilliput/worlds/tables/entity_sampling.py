"""EntitySampler: generates entities, each with its profile and its rows through time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import torch

from lilliput.base.seeds import generator
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.table import Group
from lilliput.decoding.cache import KVCache
from lilliput.decoding.inference import inference
from lilliput.worlds.tables.sampling import ROUNDS, Rows, TableSampler

BATCH = 128
"""Entities that are generated side by side."""
MOST_ROWS = 100_000
"""Most rows of an entity."""


@dataclass
class Entity:
    """An entity under way: its profile's and rows' ids and values, and the time of its last row."""

    head: list[int]
    profile: dict[str, str | None]
    at: datetime | None
    sums: dict[str, float]
    rows: list[list[int]] = field(default_factory=list)
    values: list[dict[str, str | None]] = field(default_factory=list)


class EntitySampler(TableSampler):
    """Generates entities with `model` and the layout of its table. Conditions are of columns of the profile."""

    @property
    def conditional(self) -> list[str]:
        return list(self.layout.codec.table.profile)

    def sample(self, count: int, seed: int = 0, batch: int = BATCH) -> Columns:
        """Return all rows of so many entities by column, in the order of the table, each entity's in the order of
        time. Entities are numbered from 1. Those that break a rule are generated anew. The same seed and count give the
        same rows. Raises ConfigError where too few entities meet the rules."""
        return self.families(count, seed, batch)[0]

    def families(self, count: int, seed: int = 0, batch: int = BATCH) -> tuple[Columns, Columns]:
        """Return the rows of `sample`, and the numbers and profiles of the entities without rows, which only a table
        with a parent table has."""
        table = self.layout.codec.table
        found: Columns = {name: [] for name in table.columns if name in (table.entity, *table.kept, *table.balance)}
        childless: Columns = {name: [] for name in (str(table.entity), *table.profile)}
        done = barren = round_ = 0
        while done < count:
            before = done
            for entity in self.entities(min(batch, count - done), generator(seed, "entities", round_)):
                if not entity.values:
                    done += 1
                    for name, value in {**entity.profile, str(table.entity): str(done)}.items():
                        childless[name].append(value)
                    continue
                rows = self._finished(entity, done + 1, list(found))
                if self.ruling.holds(rows).all():
                    done += 1
                    for name, values in rows.items():
                        found[name] += values
            barren, round_ = 0 if done > before else barren + 1, round_ + 1
            if barren >= ROUNDS:
                raise self.in_vain(count - done, count, "entities")
        return found, childless

    def entities(self, count: int, rng: np.random.Generator) -> list[Entity]:
        """Return `count` entities with their rows."""
        with inference(self.model):
            made = self._heads(count, rng)
            running = list(made)
            rows = self._read_again(running)
            running = self._going(rows, running, self._ends(rows, running, rng, first=True))
            while running:
                self._rows(rows, running, rng)
                if max(rows.cache.lengths) + 2 * self.layout.row_tokens + 2 > rows.cache.capacity:
                    rows = self._read_again(running)
                ended = self._ends(rows, running, rng, first=False)
                too_many = np.array([len(entity.rows) >= MOST_ROWS for entity in running])
                running = self._going(rows, running, ended | too_many)
        return made

    def _going(self, rows: Rows, running: list[Entity], ended: np.ndarray) -> list[Entity]:
        """Return the entities that have not ended, and keep theirs alone of the rows under way."""
        going = np.flatnonzero(~ended).tolist()
        if len(going) < len(running):
            rows.cache.select(going)
            rows.waiting = rows.waiting[going]
        return [running[row] for row in going]

    def _heads(self, count: int, rng: np.random.Generator) -> list[Entity]:
        """Generate the profiles, those with a condition first."""
        capacity = min(self.model.config.context_length, 1 + self.layout.head_tokens)
        cache = KVCache(self.model.config, count, capacity, self.device)
        start = torch.full((count, 1), self.layout.tokenizer.bos_id, device=self.device)
        rows, values = Rows(cache, start), Columns()
        for group in sorted(self.layout.head, key=lambda group: group.name not in self.conditions):
            values[group.name] = self.column(rows, group, values, rng)
        table, codec = self.layout.codec.table, self.layout.codec.time
        time, found = table.time, list[Entity]()
        for row in range(count):
            ids = [self.layout.tokenizer.bos_id, *(int(each) for part in rows.ids for each in part[row])]
            profile = {name: values[name][row] for name in table.profile}
            at = None
            if time is not None and codec is not None:
                at = codec.dates(self._codes(ids, self.layout.groups[time]))[0]
            sums = {total: float(values[opening][row] or 0) for opening, total in table.openings.items()}
            found.append(Entity(ids, profile, at, sums))
        return found

    def _codes(self, ids: list[int], group: Group) -> np.ndarray:
        """Return the codes (1, parts) of a group in the ids of a head."""
        place = ids.index(group.marker) + 1
        return np.array([[ids[place + part] - first for part, (first, _) in enumerate(group.parts)]])

    def _read_again(self, running: list[Entity]) -> Rows:
        """Return a cache with the profile of each entity and, behind the mark of a later part, as many of its last rows
        as fill half of the context. The last token of each waits."""
        capacity = self.model.config.context_length
        prompts = []
        for entity in running:
            ids, later = list(entity.head), list[int]()
            for row in reversed(entity.rows):
                if len(ids) + len(row) + len(later) + 1 > capacity // 2:
                    break
                later = row + later
            prompts.append([*ids, *([self.layout.continues, *later] if entity.rows else [])])
        lengths = [len(ids) - 1 for ids in prompts]
        width = max(max(lengths, default=0), 1)
        cache = KVCache(self.model.config, len(running), capacity, self.device)
        padded = [[*ids[:-1], *[0] * (width - len(ids) + 1)] for ids in prompts]
        if running:
            self.model(torch.tensor(padded, device=self.device), cache=cache)
            cache.advance(lengths)
        return Rows(cache, torch.tensor([[ids[-1]] for ids in prompts], device=self.device).view(len(running), -1))

    def _ends(self, rows: Rows, running: list[Entity], rng: np.random.Generator, first: bool) -> np.ndarray:
        """Draw whether each entity has another row, (B,) bool where it has none. The row's mark waits then. Only a row
        of a parent table may have no row at all: where rows have a time, one whose first row has none."""
        row, end = self.layout.row, self.layout.tokenizer.eos_id
        logits = self._read(rows)[:, [row, end]]
        allowed = np.array([True, not first])
        if first and self.layout.codec.table.parent is not None:
            without = np.array([entity.at is None for entity in running])
            timed = self.layout.gap is not None
            allowed = np.stack((~without, without), 1) if timed else np.array([True, True])
        drawn = self._draw(logits, allowed, rng)
        rows.waiting = torch.full((len(drawn), 1), row, device=self.device)
        return drawn == 1

    def _rows(self, rows: Rows, running: list[Entity], rng: np.random.Generator) -> None:
        """Generate one more row of each entity."""
        table = self.layout.codec.table
        rows.ids = []
        values: Columns = {name: [entity.profile[name] for entity in running] for name in table.profile}
        sums = {total: np.array([entity.sums[total] for entity in running]) for total in table.balance}
        for group in self.layout.body:
            if group is self.layout.gap:
                values[group.name] = self._times(rows, group, running, rng)
            else:
                values[group.name] = self.column(rows, group, values, rng, sums)
        for place, entity in enumerate(running):
            entity.rows.append([self.layout.row, *(int(each) for part in rows.ids for each in part[place])])
            row = {name: each[place] for name, each in values.items()}
            for total, part in table.balance.items():
                entity.sums[total] = round(entity.sums[total] + float(row[part] or 0), table.columns[total].decimals)
                row[total] = f"{entity.sums[total]:.{table.columns[total].decimals}f}"
            entity.values.append(row)

    def _times(self, rows: Rows, group: Group, running: list[Entity], rng: np.random.Generator) -> list[str | None]:
        """Generate the time of a row: days since the row before, the day of the week, which follows from them, and the
        time of day, which on the same day is no earlier than that of the row before. An entity's first row has the time
        of its head."""
        codec, count = self.layout.codec.time, len(running)
        assert codec is not None
        rows.waiting = torch.cat((rows.waiting, torch.full((count, 1), group.marker, device=self.device)), 1)
        codes = np.zeros((count, len(group.parts)), np.int64)
        (weekday,) = group.known
        begins = np.array([not entity.rows for entity in running])
        last = np.array([[*_clock(entity)][: codec.times] for entity in running]).reshape(count, codec.times)
        none = group.codec.encode(["0"])[0]
        days, same = list[int](), begins
        for part, (first, size) in enumerate(group.parts):
            logits = self._read(rows)[:, first : first + size]
            if part < weekday:
                allowed = np.arange(size) >= group.codec.first
                codes[:, part] = np.where(begins, none[part], self._draw(logits, allowed, rng))
            elif part == weekday:
                drawn = group.codec.decode(codes[:, :weekday], rng)
                days = [
                    0 if begin else max(0, int(float(value or 0))) for begin, value in zip(begins, drawn, strict=True)
                ]
                codes[:, part] = [
                    (_at(entity) + timedelta(days=day)).weekday() for entity, day in zip(running, days, strict=True)
                ]
                same = np.array([day == 0 for day in days])
            else:
                before = last[:, part - weekday - 1] + codec.first
                allowed = np.arange(size) >= np.where(same, before, codec.first)[:, None]
                codes[:, part] = np.where(begins, before, self._draw(logits, allowed, rng))
                same = same & (codes[:, part] == before)
            rows.waiting = torch.from_numpy(codes[:, part : part + 1] + first).to(self.device)
        rows.ids.append(group.ids(codes))
        clocks = codes[:, weekday + 1 :] - codec.first
        for entity, day, clock in zip(running, days, clocks.tolist(), strict=True):
            date = _at(entity) + timedelta(days=day)
            entity.at = datetime(date.year, date.month, date.day, *[*clock, 0, 0, 0][:3])
        return [_at(entity).strftime(codec.format) for entity in running]

    def _finished(self, entity: Entity, number: int, names: list[str]) -> Columns:
        """Return an entity's rows by column."""
        owner = self.layout.codec.table.entity
        columns: Columns = {name: [row.get(name) for row in entity.values] for name in names}
        return {**columns, str(owner): [str(number)] * len(entity.values)}


def _at(entity: Entity) -> datetime:
    assert entity.at is not None
    return entity.at


def _clock(entity: Entity) -> tuple[int, int, int]:
    at = _at(entity)
    return at.hour, at.minute, at.second
