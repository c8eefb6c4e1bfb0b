"""Files that outlive their process: sealed by a hash, and set aside where they are damaged, never deleted."""

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
    """The values of a file that `write_sealed` wrote. Raises OSError, and ValueError where they are other ones."""
    return unsealed(read_object(path))


def unsealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was sealed. Raises ValueError where its hash is another one."""
    content = {key: value for key, value in values.items() if key != SEAL}
    if values.get(SEAL) != _hash(content):
        raise ValueError("its content is not what was written (SHA-256)")
    return content


def read_kept(path: Path) -> dict[str, Any]:
    """The values of a file that `write_sealed` wrote, or an earlier version without a seal. Raises as `read_sealed`."""
    values = read_object(path)
    return unsealed(values) if SEAL in values else values


def _hash(values: Mapping[str, Any]) -> str:
    """Of the content, whatever the order of its keys and the spaces between them."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def set_aside(path: Path) -> Path:
    """Rename a damaged file or folder to NAME.damaged (or .damaged2 ...), where nothing reads it; returns where."""
    aside = _free(path)
    os.replace(path, aside)
    return aside


def keep_copy(path: Path) -> Path:
    """A copy of a damaged file as NAME.damaged (or .damaged2 ...), on the disk before anything else is done with the
    file; a copy of the same content that is there already serves."""
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
