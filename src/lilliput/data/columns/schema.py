"""TableSchema: what the columns of a table are, as inferred from a file or as a person edited it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, model_validator

from lilliput.base.config import Config, read_yaml, validate
from lilliput.base.errors import ConfigError, nearest
from lilliput.base.files import write_text
from lilliput.data.columns.rules import Rule, parse_rule

Kind = Literal["category", "number", "date", "text", "skip"]


class Column(Config):
    """One column of a table."""

    kind: Kind = Field(
        description="category: a value of a list; number; date: a date with or without a time; text: free text; skip: "
        "the column is left out"
    )
    codec: Literal["auto", "values", "quantiles", "digits"] = Field(
        default="auto",
        description="of a number. values: a token for each value; quantiles: a token for a range and a token for the "
        "place in it; digits: a token for the sign and for each digit; auto: values where they are few, else quantiles",
    )
    format: str | None = Field(default=None, description="of a date, as for strptime, such as %d/%m/%Y")
    decimals: int = Field(default=0, ge=0, le=9, description="of a number: digits after the point")
    missing: tuple[str, ...] = Field(default=("",), description="values that mean that there is none")


class Relation(Config):
    """The table above a table: each row of the child table names a row of the parent table."""

    name: str = Field(description="the name of the parent table, after which its file is called")
    child: str = Field(description="the name of the child table, after which its file is called")
    key: str = Field(description="the parent's column that the child's `entity` column refers to")
    columns: dict[str, str] = Field(
        min_length=1, description="the parent's columns but its key: the name beside the child's columns, and its own"
    )


class TableSchema(Config):
    """The columns of a table by name, in order, and how its rows belong together."""

    columns: dict[str, Column] = Field(min_length=1, description="the columns by name, in the order of the table")
    entity: str | None = Field(
        default=None, description="the column that names whose rows belong together, such as user_id"
    )
    time: str | None = Field(default=None, description="the date column by which the rows of an entity are ordered")
    profile: tuple[str, ...] = Field(
        default=(), description="columns that are the same in all rows of an entity, and are generated once"
    )
    parent: Relation | None = Field(
        default=None, description="the table whose rows are the entities; its columns are the profile"
    )
    balance: dict[str, str] = Field(
        default={},
        description="columns that are running sums: {balance: amount} says that each row's balance is the balance of "
        "the entity's row before it plus the row's amount",
    )
    rules: tuple[str, ...] = Field(
        default=(), description='conditions that every row meets, such as "end >= start" or "amount > 0"'
    )
    rare: int = Field(
        default=10,
        ge=1,
        description="a value of fewer rows than this is not kept: it could name a person. A number or a date beyond "
        "the values of this many rows at each end is not kept either",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> TableSchema:
        if not self.kept:
            raise ValueError("all columns are left out; give one of them another kind than skip")
        named = {"entity": self.entity, "time": self.time}
        for key, name in {**named, **{f"profile ({name})": name for name in self.profile}}.items():
            if name is not None and name not in self.columns:
                raise ValueError(f"{key} names '{name}'{nearest(name, self.columns)}, which is no column")
        if self.time is not None and (self.entity is None or self.columns[self.time].kind != "date"):
            raise ValueError(f"time: '{self.time}' orders the rows of an entity: give entity, and the kind date")
        if (self.profile or self.balance) and self.entity is None:
            raise ValueError("profile and balance are of the rows of an entity: give entity")
        for name in self.profile:
            if name in (self.entity, self.time):
                raise ValueError(f"profile: '{name}' is the entity or the time itself")
        if self.parent is not None:
            self._check_parent(self.parent)
        for total, part in self.balance.items():
            for name in (total, part):
                if name not in self.columns or self.columns[name].kind != "number" or name in self.profile:
                    raise ValueError(f"balance: '{name}' is no number column of the rows")
        for text in self.rules:
            self._check(parse_rule(text))
        return self

    def _check_parent(self, parent: Relation) -> None:
        if self.entity is None or self.balance:
            raise ValueError("parent goes with entity, the column of the key, and not with balance")
        kept = {name for name in parent.columns if name in self.columns and self.columns[name].kind != "skip"}
        if not kept or set(self.profile) != kept:
            raise ValueError(f"profile has to be the parent's kept columns, which are: {', '.join(sorted(kept))}")

    def _check(self, rule: Rule) -> None:
        for name in rule.names:
            if name not in self.columns:
                raise ValueError(f"rule '{rule.text}': there is no column '{name}'{nearest(name, self.columns)}")
            if self.columns[name].kind not in ("number", "date", "category"):
                raise ValueError(f"rule '{rule.text}': '{name}' is of the kind {self.columns[name].kind}")
        if len({self.columns[name].kind for name in rule.names}) > 1:
            raise ValueError(f"rule '{rule.text}' compares columns of different kinds")
        if set(rule.names) & {*self.balance} and not isinstance(rule.value, float):
            raise ValueError(f"rule '{rule.text}': a running sum is compared with a number alone")

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that a model learns: all but those left out, the entity and running sums."""
        left_out = {self.entity, *self.balance}
        return tuple(name for name, one in self.columns.items() if one.kind != "skip" and name not in left_out)

    @property
    def openings(self) -> dict[str, str]:
        """Names for what each running sum was before the first row of an entity, and the sum."""
        return {f"{total} before": total for total in self.balance}

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read from a table."""
        entity = () if self.entity is None else (self.entity,)
        return (*self.kept, *entity, *self.balance)

    @property
    def of_rows(self) -> tuple[str, ...]:
        """The columns of each row of an entity: all kept ones that are no profile."""
        return tuple(name for name in self.kept if name not in self.profile)

    @property
    def parsed_rules(self) -> tuple[Rule, ...]:
        return tuple(map(parse_rule, self.rules))


def read_schema(path: str | Path) -> TableSchema:
    """Read a schema from a YAML file. Raises ConfigError that names the key."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"there is no schema {path}", f"write one: lilliput tables schema FILE --out {path}")
    return validate(TableSchema, read_yaml(path), str(path))


def write_schema(schema: TableSchema, path: str | Path) -> None:
    """Write a schema as YAML, a column a line."""
    columns = {name: one.differences() for name, one in schema.columns.items()}
    lines = ["columns:"]
    for name, values in columns.items():
        key = yaml.safe_dump(name, allow_unicode=True, width=2**20).strip().removesuffix("\n...").strip()
        lines.append(
            f"  {key}: {yaml.safe_dump(values, default_flow_style=True, allow_unicode=True, width=2**20).strip()}"
        )
    rest = {key: value for key, value in schema.differences().items() if key != "columns"}
    text = yaml.safe_dump(rest, allow_unicode=True, sort_keys=False) if rest else ""
    write_text(Path(path), "\n".join(lines) + "\n" + text)
