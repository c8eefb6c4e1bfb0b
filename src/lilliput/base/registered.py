"""OneOf: a config field that holds one class of a registry, chosen by its `kind`. Named: a field that holds the name of
one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from lilliput.base.config import Config, validate
from lilliput.base.errors import ConfigError
from lilliput.base.registry import Registry


class OneOf:
    """Annotation that makes a field accept any registered class, in YAML as `{kind: NAME, ...}` or just `NAME`:

        sources: tuple[Annotated[Source, OneOf(SOURCES)], ...]

    The values are checked by the class that `kind` names. A dump gives the same YAML back, and the JSON schema is the
    choice between all registered classes. An unknown kind or key is a ConfigError with the nearest known name.
    """

    def __init__(self, registry: Registry[Any]):
        self.registry = registry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.build, serialization=core_schema.plain_serializer_function_ser_schema(_dump, info_arg=True)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "anyOf": [
                self._described(handler(self.registry[n].__pydantic_core_schema__), n, handler) for n in self.registry
            ]
        }

    def _described(self, schema: dict[str, Any], name: str, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema of one class, whose `kind` is described here so that no class has to."""
        kind = handler.resolve_ref_schema(schema)["properties"].setdefault("kind", {})
        kind.setdefault("description", f"{name}: the name of this {self.registry.what}")
        return schema

    def build(self, value: Any) -> Config:
        """Return the instance for a mapping with `kind`, or for the bare name of a kind. Raises ValueError."""
        if isinstance(value, Config):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
            known = ", ".join(self.registry)
            raise ValueError(f"a {self.registry.what} is written '{{kind: NAME, ...}}' with NAME one of {known}")
        try:
            return validate(self.registry[value["kind"]], value, f"{self.registry.what} '{value['kind']}'")
        except ConfigError as error:
            # A ValueError, because pydantic then puts the place in the recipe before its message.
            raise ValueError("; ".join(filter(None, (error.message, error.hint)))) from None


def _dump(value: Config, info: core_schema.SerializationInfo) -> dict[str, Any]:
    values = value.model_dump(mode=info.mode, exclude_defaults=info.exclude_defaults)
    return {"kind": getattr(value, "kind", None), **values}


class Named:
    """Annotation that makes a text field accept the name of a registered class only:

        trackers: tuple[Annotated[str, Named(TRACKERS)], ...]

    An unknown name is a ConfigError with the nearest known one. The JSON schema lists all names.
    """

    def __init__(self, registry: Registry[Any]):
        self.registry = registry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.registry)}

    def check(self, name: str) -> str:
        """Return the name where a class is registered under it. Raises ValueError."""
        try:
            self.registry[name]
        except ConfigError as error:
            raise ValueError("; ".join(filter(None, (error.message, error.hint)))) from None
        return name
