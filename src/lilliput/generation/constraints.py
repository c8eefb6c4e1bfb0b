"""Constraints from the options of a command, and comparisons with texts generated without a constraint or a draft."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import ConfigError, FileError
from lilliput.base.reading import from_json, read_json
from lilliput.decoding.constrained import Constraint

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.generation.text_generator import TextGenerator


def constraint(
    tokenizer: Tokenizer, json_schema: str | None = None, regex: str | None = None, choice: Sequence[str] = ()
) -> Constraint | None:
    """Return the given constraint, or None without one. `json_schema` is a file, or the schema itself where it begins
    with a brace. Raises ConfigError for two constraints, and for a constraint that cannot be used."""
    given = [name for name, value in (("json_schema", json_schema), ("regex", regex), ("choice", choice)) if value]
    if len(given) > 1:
        raise ConfigError(
            f"{' and '.join(given)} cannot be used together", "give one of --json-schema, --regex, --choice"
        )
    if json_schema:
        return Constraint.json_schema(_schema(json_schema), tokenizer)
    if regex:
        return Constraint.regex(regex, tokenizer)
    return Constraint.choice(choice, tokenizer) if choice else None


def _schema(given: str) -> dict[str, Any]:
    where = "the JSON schema" if given.lstrip().startswith("{") else given
    try:
        schema = from_json(given) if where != given else read_json(given)
    except FileError as error:
        raise ConfigError(error.message if where == given else f"{where} {error.message}") from None
    if not isinstance(schema, dict):
        raise ConfigError(f"{where} holds a {type(schema).__name__}; a JSON schema is an object")
    return schema


def without_constraint(
    generator: TextGenerator, made: Constraint, opening: str | None, ending: str | None, **options: Any
) -> dict[str, Any]:
    """Count the texts that satisfy the constraint although the same options generate them without it."""
    found = generator.generate_detailed(opening, ending, **options)
    valid = sum(text.finish == "stop" and made.matches(text.text) for text in found)
    return {"texts": len(found), "valid": valid, "share": valid / len(found)}


def with_draft(
    generator: TextGenerator,
    draft: TextGenerator,
    opening: str | None,
    ending: str | None,
    compare: bool,
    **sampling: Any,
) -> tuple[list[str], dict[str, Any]]:
    """Return texts generated with a draft, and the draft's figures. With `compare`, these include the time beside the
    time of the model alone for the same number of tokens."""
    began = perf_counter()
    found = generator.speculate(draft, opening, ending, **sampling)
    seconds = perf_counter() - began
    each = [speculation for _, speculation in found]
    tokens, passes = sum(len(one.ids) for one in each), sum(one.passes for one in each)
    drafted, accepted = sum(one.drafted for one in each), sum(one.accepted for one in each)
    report: dict[str, Any] = {
        "drafted": drafted,
        "accepted": accepted,
        "acceptance": accepted / max(1, drafted),
        "tokens": tokens,
        "passes": passes,
        "tokens_per_second": tokens / seconds,
    }
    if compare:
        # The texts are generated one after another, as with the draft. Side by side they would share their passes.
        seeds = [{**sampling, "n": 1, "seed": sampling.get("seed", 0) + sample} for sample in range(len(each))]
        began = perf_counter()
        alone = sum(len(text.ids) for one in seeds for text in generator.generate_detailed(opening, ending, **one))
        report["tokens_per_second_alone"] = alone / (perf_counter() - began)
        report["speed_up"] = report["tokens_per_second"] / report["tokens_per_second_alone"]
    return [text for text, _ in found], report
