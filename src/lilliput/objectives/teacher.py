"""TopK: the likeliest tokens of a teacher at each position of a row, computed once and kept on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from lilliput.base.cache import private_folder
from lilliput.base.errors import DataError
from lilliput.data.source import hash_of
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model

KIND = "teachers"
"""The cache's folder for answers of teachers."""
KEY, CHECK = 16, 8
"""Bytes of a row's key and of its check."""


def digest_of(model: Model) -> str:
    """The hex hash of a model's config and weights."""
    found = hashlib.blake2b(model.config.model_dump_json().encode(), digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return found.hexdigest()


class TopK:
    """The `k` likeliest next tokens at each of the T positions of a row, with log-probabilities of softmax(logits /
    temperature) over the whole vocabulary.

    Each row is computed by itself, so that its numbers do not depend on the batch. The numbers are kept in the file
    `folder`/rows.bin, one record after the other: key, T x k ids (int32), T x k log-probabilities (float32), and a hash
    of both. A record that a kill cut short, or whose hash is wrong, is not used.
    """

    def __init__(self, model: Model, length: int, k: int, temperature: float):
        self.model, self.length, self.k, self.temperature = model, length, k, temperature
        precision = "bf16" if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda") else "fp32"
        self.folder = private_folder(KIND) / hash_of(digest_of(model), length, k, temperature, precision)[:32]
        self._numbers = length * k
        self._size = KEY + 8 * self._numbers + CHECK
        self._places: dict[bytes, int] = {}
        self._kept: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self.computed = 0
        self._read_keys()

    @property
    def file(self) -> Path:
        return self.folder / "rows.bin"

    def of(self, tokens: torch.Tensor, segments: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """tokens, segments (R, T) int64 -> ids (R, T, k) int64, log-probabilities (R, T, k) float32."""
        ids, scores = [], []
        for row in range(len(tokens)):
            own = None if segments is None else segments[row : row + 1]
            one, two = self._row(tokens[row : row + 1], own)
            ids.append(one)
            scores.append(two)
        shape = (len(tokens), self.length, self.k)
        found = torch.from_numpy(np.stack(ids).astype(np.int64)), torch.from_numpy(np.stack(scores))
        return found[0].view(shape).to(tokens.device), found[1].view(shape).to(tokens.device)

    def _row(self, tokens: torch.Tensor, segments: torch.Tensor | None) -> tuple[np.ndarray, np.ndarray]:
        content = tokens.cpu().numpy().tobytes() + (b"" if segments is None else segments.cpu().numpy().tobytes())
        key = hashlib.blake2b(content, digest_size=KEY).digest()
        place = self._places.get(key)
        stored = None if place is None else self._read(key, place)
        if stored is not None:
            return stored
        if key in self._kept:  # the cache cannot be written
            return self._kept[key]
        with torch.no_grad():
            logits = self.model.logits(self.model(tokens, Sight(segments=segments)))[0] / self.temperature
            scores, ids = logits.log_softmax(-1).topk(self.k)
        self.computed += 1
        found = ids.cpu().numpy().astype(np.int32).ravel(), scores.float().cpu().numpy().ravel()
        self._write(key, *found)
        return found

    # ------------------------------------------------------------------ the file

    def _read_keys(self) -> None:
        """Find the whole records of the file. A part of a record at its end is cut off when the next one is written."""
        if not self.file.is_file():
            return
        count = self.file.stat().st_size // self._size
        keys = np.memmap(self.file, np.uint8, "r", shape=(count, self._size))[:, :KEY] if count else []
        self._places = {bytes(key): number for number, key in enumerate(keys)}

    def _read(self, key: bytes, place: int) -> tuple[np.ndarray, np.ndarray] | None:
        with self.file.open("rb") as file:
            file.seek(place * self._size)
            record = file.read(self._size)
        if len(record) != self._size or record[:KEY] != key or _check(record[:-CHECK]) != record[-CHECK:]:
            return None
        middle = KEY + 4 * self._numbers
        ids = np.frombuffer(record[KEY:middle], dtype="<i4")
        return ids, np.frombuffer(record[middle:-CHECK], dtype="<f4").copy()

    def _write(self, key: bytes, ids: np.ndarray, scores: np.ndarray) -> None:
        from filelock import FileLock

        record = key + ids.astype("<i4").tobytes() + scores.astype("<f4").tobytes()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self.folder / "rows.lock"):
                size = self.file.stat().st_size if self.file.exists() else 0
                place = size // self._size
                with self.file.open("r+b" if self.file.exists() else "w+b") as file:
                    file.truncate(place * self._size)
                    file.seek(place * self._size)
                    file.write(record + _check(record))
            self._places[key] = place
        except OSError:
            self._kept[key] = ids, scores


def check_fits(teacher: Model, vocab_size: int, length: int, k: int) -> None:
    """Raise DataError for a teacher that cannot read the rows, or has fewer tokens than are asked for."""
    most = teacher.config.context_length
    if length > most:
        raise DataError(
            f"the teacher reads {most:,} tokens at most, and the rows have {length:,}",
            f"give a shorter context: model.context_length={most}",
        )
    if k > min(vocab_size, teacher.config.vocab_size):
        raise DataError(
            f"objective.top_k is {k:,}, and the vocabulary has {vocab_size:,} tokens",
            f"give at most that: objective.top_k={min(vocab_size, teacher.config.vocab_size)}",
        )


def _check(record: bytes) -> bytes:
    return hashlib.blake2b(record, digest_size=CHECK).digest()
