"""TableSampler: generates rows of a table in batches. Masks by position make every row one of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from lilliput.base.errors import ConfigError, nearest
from lilliput.base.seeds import generator
from lilliput.data.columns.categories import Categories
from lilliput.data.columns.codec import Codec
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.table import Group, Layout
from lilliput.data.columns.texts import Texts
from lilliput.decoding.cache import KVCache
from lilliput.decoding.inference import inference
from lilliput.model.transformer import Model
from lilliput.worlds.tables.ruling import Ruling

BATCH = 1024
"""Rows that are generated side by side."""
ROUNDS = 50
"""Generation is given up after so many rounds in a row of which no row meets the rules and conditions."""
LEAST = 64
"""Least rows of a round, where rows that broke a rule are generated anew."""


@dataclass
class Rows:
    """Rows under way: the cache of what the model has read, the tokens (B, n) that it reads next, and the ids of the
    columns so far, an array (B, n) or a list for each row."""

    cache: KVCache
    waiting: torch.Tensor
    ids: list[np.ndarray | list[list[int]]] = field(default_factory=list)


class TableSampler:
    """Generates rows that stand alone, with `model` and the layout of its table.

    conditions   a condition by column (see Codec.allowed): only rows that meet all of them are generated
    temperature  1 generates by the model's own probabilities
    """

    def __init__(
        self, model: Model, layout: Layout, conditions: Mapping[str, str] | None = None, temperature: float = 1.0
    ):
        if temperature <= 0:
            raise ConfigError(f"a temperature of {temperature} generates nothing", "give one above 0, such as 1")
        self.model, self.layout, self.temperature = model, layout, temperature
        self.conditions = dict(conditions or {})
        self.masks = {
            name: masks_of(layout.groups[self._known(name)].codec, name, text) for name, text in self.conditions.items()
        }
        self.ruling = Ruling(layout, self.conditions)
        self.device = next(model.parameters()).device

    @property
    def conditional(self) -> list[str]:
        """The columns that may have a condition."""
        return [group.name for group in self.layout.body]

    def _known(self, name: str) -> str:
        if name not in self.conditional:
            raise ConfigError(
                f"a condition names '{name}'{nearest(name, self.conditional)}, which can have none",
                f"columns that can: {', '.join(self.conditional) or 'none'}",
            )
        return name

    @property
    def order(self) -> list[Group]:
        """The columns in the order in which they are generated: those with a condition first, so that all others are
        generated given them."""
        return sorted(self.layout.body, key=lambda group: group.name not in self.conditions)

    def sample(self, count: int, seed: int = 0, batch: int = BATCH) -> Columns:
        """Return so many rows by column. The same seed and count give the same rows. Raises ConfigError where too few
        rows meet the rules and conditions."""
        found: Columns = {group.name: [] for group in self.layout.body}
        left, barren, round_ = count, 0, 0
        while left > 0:
            made = self.generate(min(batch, max(left, LEAST)), generator(seed, "rows", round_))
            good = np.flatnonzero(self.ruling.holds(made))[:left]
            for name, values in made.items():
                found[name] += [values[row] for row in good.tolist()]
            left, barren, round_ = left - len(good), 0 if len(good) else barren + 1, round_ + 1
            if barren >= ROUNDS:
                raise self.in_vain(left, count, "rows")
        return found

    def in_vain(self, left: int, count: int, what: str) -> ConfigError:
        """The error for rules and conditions that hardly anything meets."""
        asked = ", ".join([*self.layout.codec.table.rules, *(f"{k}={v}" for k, v in self.conditions.items())])
        return ConfigError(
            f"{left:,} of {count:,} {what} could not be made to meet: {asked}", f"ask for what {what} of the table meet"
        )

    def generate(self, count: int, rng: np.random.Generator) -> Columns:
        """Return `count` rows, whether or not they meet every rule."""
        tokenizer = self.layout.tokenizer
        with inference(self.model):
            capacity = min(self.model.config.context_length, 1 + self.layout.row_tokens)
            cache = KVCache(self.model.config, count, capacity, self.device)
            rows = Rows(cache, torch.full((count, 1), tokenizer.bos_id, device=self.device))
            values: Columns = {}
            for group in self.order:
                values[group.name] = self.column(rows, group, values, rng)
        return {group.name: values[group.name] for group in self.layout.body}

    def column(
        self,
        rows: Rows,
        group: Group,
        values: Columns,
        rng: np.random.Generator,
        sums: Mapping[str, np.ndarray] | None = None,
    ) -> list[str | None]:
        """Generate one column of all rows, given the columns before it and the running sums of each row. Returns its
        values."""
        wanted = self.ruling.wanted(group, values, sums or {})
        marker = torch.full((len(rows.waiting), 1), group.marker, device=self.device)
        rows.waiting = torch.cat((rows.waiting, marker), 1)
        if isinstance(group.codec, Texts):
            return self._texts(rows, group, group.codec, rng)
        codes = np.zeros((len(marker), len(group.parts)), np.int64)
        for part, (first, size) in enumerate(group.parts):
            allowed = self._allowed(group, part, codes)
            if part == 0:
                allowed = self.ruling.allowed(group, wanted, allowed)
            codes[:, part] = self._draw(self._read(rows)[:, first : first + size], allowed, rng)
            rows.waiting = torch.from_numpy(codes[:, part : part + 1] + first).to(self.device)
        rows.ids.append(group.ids(codes))
        return self.ruling.settled(group, wanted, group.codec.decode(codes, rng))

    def _allowed(self, group: Group, part: int, codes: np.ndarray) -> np.ndarray:
        """Return which codes of a part may follow, (size,) or (rows, size) bool."""
        codec, size = group.codec, group.parts[part][1]
        allowed = self.masks.get(group.name, [np.ones(size, bool)] * (part + 1))[part]
        if isinstance(codec, Categories):
            allowed = allowed & (np.arange(size) != size - 1)  # rare values have no name
        if part > 0 and codec.missing:
            # A value is missing in all of its parts or in none.
            gone = codes[:, 0] == 0
            return np.where(gone[:, None], np.arange(size) == 0, allowed & (np.arange(size) > 0))
        return allowed

    def _read(self, rows: Rows, counts: Sequence[int] | None = None) -> torch.Tensor:
        """Read the waiting tokens. Returns the logits (B, V) behind them."""
        hidden = self.model(rows.waiting, cache=rows.cache)
        rows.cache.advance(rows.waiting.shape[1] if counts is None else counts)
        return self.model.logits(hidden[:, -1:])[:, 0].float()

    def _draw(self, logits: torch.Tensor, allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a code (B,) for each row of logits (B, size) among those that are allowed."""
        scores = (logits / self.temperature).masked_fill(~torch.from_numpy(allowed).to(logits.device), -torch.inf)
        ends = scores.softmax(-1).double().cumsum(-1)
        places = torch.from_numpy(rng.random(len(scores))).to(logits.device)[:, None] * ends[:, -1:]
        return torch.searchsorted(ends, places, right=True)[:, 0].clamp(max=ends.shape[1] - 1).cpu().numpy()

    def _texts(self, rows: Rows, group: Group, codec: Texts, rng: np.random.Generator) -> list[str | None]:
        """Generate a text for every row, up to its end mark."""
        count, end = len(rows.waiting), self.layout.text_ends
        allowed = np.zeros(self.layout.size, bool)
        allowed[: self.layout.row] = True
        allowed[list(self.layout.tokenizer.specials.values())] = False
        allowed[end] = True
        ids: list[list[int]] = [[] for _ in range(count)]
        running = np.ones(count, bool)
        counts: Sequence[int] | None = None
        for _ in range(codec.longest):
            drawn = self._draw(self._read(rows, counts), allowed, rng)
            drawn[~running] = end
            running &= drawn != end
            for row in np.flatnonzero(running).tolist():
                ids[row].append(int(drawn[row]))
            rows.waiting = torch.from_numpy(drawn[:, None]).to(self.device)
            if not running.any():
                break
            counts = running.astype(int).tolist()  # a text that has ended waits with its end mark unread
        else:
            self._read(rows, running.astype(int).tolist())
            rows.waiting = torch.full((count, 1), end, device=self.device)
        rows.ids.append([[group.marker, *each, end] for each in ids])
        texts = [self.layout.tokenizer.decode(each) for each in ids]
        return [text if text or not codec.missing else None for text in texts]


def masks_of(codec: Codec, name: str, condition: str) -> list[np.ndarray]:
    """Return which codes of each part a condition leaves. Raises ConfigError that names the column."""
    try:
        return codec.allowed(condition)
    except ConfigError as error:
        raise ConfigError(f"the column '{name}': {error.message}", error.hint) from None
