"""The section `init`: the weights that a run begins with, and the values of a recipe that come with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lilliput.base.config import Config
from lilliput.base.console import print_line
from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.model.config import NEWER, ModelConfig
from lilliput.model.huggingface import read_config
from lilliput.model.parts import POSITIONS
from lilliput.runs.finding import model_folder

CHANGEABLE = ("context_length", "dropout")
"""The fields of the section `model` that a person may change of a model that was trained already."""


class InitConfig(Config):
    """`init`: where the first weights come from. `from` is stored as the model folder itself, so that a recipe repeats
    its run after its source was trained further."""

    from_: str | None = Field(
        default=None,
        alias="from",
        description="begin with the weights of this run, checkpoint or Hugging Face folder; null: begin with new ones",
    )

    @model_serializer(mode="wrap")
    def _by_alias(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return dict(zip(["from"], handler(self).values(), strict=False))  # empty where a default is left out


def begins_from(values: Mapping[str, Any]) -> str | None:
    """Return `init.from` of a recipe's values; None where they give none."""
    init = values.get("init")
    found = init.get("from") if isinstance(init, Mapping) else None
    return found if isinstance(found, str) and found else None


def with_origin(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a recipe's values with the model and the tokenizer of the folder that `init.from` leads to, and that
    folder as `init.from`. Without `init.from` the values are returned as they are.

    Raises CheckpointError where there is no such folder, unless the values name the whole model and its tokenizer, as
    recipe.yaml does; and ConfigError for a value of the section `model` that differs from the folder's, other than
    `context_length` and `dropout`."""
    source = begins_from(values)
    if source is None:
        return dict(values)
    model, tokenizer = values.get("model") or {}, values.get("tokenizer") or {}
    if not isinstance(model, Mapping) or not isinstance(tokenizer, Mapping):
        return dict(values)
    try:
        folder = model_folder(source, print_line)
    except CheckpointError:
        if tokenizer.get("path") and {*ModelConfig.model_fields} - {*NEWER} <= model.keys():
            return dict(values)
        raise
    config, _ = read_config(folder)
    return {
        **values,
        "init": {**values["init"], "from": str(folder)},
        "model": _model(config, model, source, where),
        "tokenizer": {**tokenizer, "path": tokenizer.get("path") or str(folder)},
    }


def _model(config: ModelConfig, given: Mapping[str, Any], source: str, where: str) -> dict[str, Any]:
    """Return the section `model`: the source's, with the changes that are allowed."""
    known = config.model_dump(mode="json")
    defaults = ModelConfig.model_fields
    for key, value in given.items():
        if key in CHANGEABLE or key not in defaults:
            continue  # an unknown key is refused by name when the recipe is validated
        there = known[key] if key in known else defaults[key].default
        if value != there:
            raise ConfigError(
                f"{where}: model.{key} is {value}, and the model at {source} has {there}",
                "a trained model keeps its shape: leave model.* out; context_length and dropout alone may change",
            )
    length = given.get("context_length")
    if length not in (None, config.context_length) and not POSITIONS[config.position].relative:
        raise ConfigError(
            f"{where}: model.context_length is {length}, and the model at {source} learned {config.context_length} "
            "positions",
            "leave model.context_length out",
        )
    return {**known, **{key: value for key, value in given.items() if key in CHANGEABLE or key not in defaults}}
