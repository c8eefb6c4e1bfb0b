"""Files that outlive their process: sealed by a hash, and renamed where they are damaged, never deleted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.base.files import sha256, sync, write_json
from lilliput.base.reading import read_object

SEAL = "content_sha256"


def write_sealed(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object with the hash of its content under SEAL, whole or not at all."""
    write_json(path, {**values, SEAL: _hash(values)})


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the values of a file that `write_sealed` wrote. Raises OSError, and ValueError where the values
    changed."""
    return unsealed(read_object(path))


def unsealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sealed values without the seal. Raises ValueError where their hash differs from the seal."""
    content = {key: value for key, value in values.items() if key != SEAL}
    if values.get(SEAL) != _hash(content):
        raise ValueError("its content differs from the content that was written (SHA-256)")
    return content


def read_kept(path: Path) -> dict[str, Any]:
    """Return the values of a file that `write_sealed` or an earlier version without a seal wrote. Raises as
    `read_sealed` does."""
    values = read_object(path)
    return unsealed(values) if SEAL in values else values


def _hash(values: Mapping[str, Any]) -> str:
    """Return the hash of the content. It does not depend on the order of keys, or on spaces."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def set_aside(path: Path) -> Path:
    """Rename a damaged file or folder to NAME.damaged (or .damaged2 ...), where no reader finds it. Return
    the new path."""
    aside = _free(path)
    os.replace(path, aside)
    return aside


def keep_copy(path: Path) -> Path:
    """Copy a damaged file to NAME.damaged (or .damaged2 ...), and return the copy's path.

    The copy is on the disk before the file is changed. An existing copy of the same content is used again."""
    content = sha256(path)
    for kept in path.parent.glob(f"{path.name}.damaged*"):
        if kept.is_file() and sha256(kept) == content:
            return kept
    aside = _free(path)
    shutil.copyfile(path, aside)
    sync(aside)
    sync(aside.parent)
    return aside


def _free(path: Path) -> Path:
    number, aside = 1, path.with_name(path.name + ".damaged")
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.damaged{number}")
    return aside
