"""Randomness as a function of (seed, place of use): the same on any machine, in any order, after any resume."""

from __future__ import annotations

import hashlib

import numpy as np


def derive(*keys: int | str) -> int:
    """Return a 64-bit integer that depends only on the keys and their order."""
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def generator(*keys: int | str) -> np.random.Generator:
    """Return a NumPy generator for a place of use: `generator(seed, "shuffle", epoch)`."""
    return np.random.Generator(np.random.Philox(key=derive(*keys)))
