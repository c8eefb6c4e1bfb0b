"""The config fields that a backend names, with the values that it computes; every other field is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig

Fields = Mapping[str, "tuple[Any, ...] | None"]
"""Names of config fields, each with the values that a backend computes; None stands for every value."""


def known(anything: str, **values: tuple[Any, ...]) -> dict[str, tuple[Any, ...] | None]:
    """The fields of a backend: those named in `anything` with every value, the others with the `values` given.

    >>> known("d_model n_layers", norm=("rms",))
    {'d_model': None, 'n_layers': None, 'norm': ('rms',)}
    """
    return {**dict.fromkeys(anything.split()), **values}


def unknown_fields(config: ModelConfig, fields: Fields) -> list[str]:
    """The fields of `config` that `fields` does not cover: values that it does not list, and fields that it does not
    name away from their defaults. So a field that is added to ModelConfig later is refused until it is named."""
    found = []
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if name not in fields:
            if value != field.get_default(call_default_factory=True):
                found.append(f"{name}={value} (an unknown field)")
        elif (values := fields[name]) is not None and value not in values:
            found.append(f"{name}={value} (needs {' or '.join(map(str, values))})")
    return found
