"""Work side by side: pieces of work in processes of their own, each as soon as the pieces that it needs have ended."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from lilliput.base import machine
from lilliput.base.console import duration, print_line, progress
from lilliput.base.errors import LilliputError


@dataclass(frozen=True)
class Piece:
    """A piece of work: `call`, which another process can read, and the names of the pieces that end before it begins.
    What it prints goes to the file `log`."""

    name: str
    call: Callable[[], Any]
    log: Path
    needs: tuple[str, ...] = ()


def processes() -> int:
    """Processes that work at once: one for each core of the processor, and a single one where there is a GPU."""
    return machine.physical_cores() if machine.devices()[0] == "cpu" else 1


def do_all(pieces: Sequence[Piece], at_once: int) -> dict[str, Any]:
    """Do every piece, `at_once` of them at a time, with the cores shared out. Returns the results by name, in the order
    of the pieces. A single process at a time is this one, which prints as it goes.

    Raises what a piece raised first, when the pieces beside it have ended; and LilliputError for needs that no piece
    meets."""
    if at_once == 1:
        results = {piece.name: piece.call() for piece in ordered(pieces)}
        return {piece.name: results[piece.name] for piece in pieces}
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(max(1, machine.physical_cores() // at_once))
    try:
        with ProcessPoolExecutor(at_once, get_context("spawn")) as pool, progress("stages", len(pieces)) as bar:
            results = _spread(ordered(pieces), at_once, pool, bar)
            return {piece.name: results[piece.name] for piece in pieces}
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def ordered(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces, each behind all that it needs. Raises LilliputError where that is impossible."""
    found: dict[str, Piece] = {}
    left = list(pieces)
    while left:
        ready = next((piece for piece in left if all(name in found for name in piece.needs)), None)
        if ready is None:
            raise LilliputError(f"needs that nothing meets: {', '.join(piece.name for piece in left)}")
        found[ready.name] = ready
        left.remove(ready)
    return list(found.values())


def _spread(pieces: Sequence[Piece], at_once: int, pool: ProcessPoolExecutor, bar: Any) -> dict[str, Any]:
    results: dict[str, Any] = {}
    running: dict[Future[Any], tuple[Piece, float]] = {}
    left = list(pieces)
    while left or running:
        for piece in [one for one in left if all(name in results for name in one.needs)]:
            if len(running) < at_once:
                left.remove(piece)
                running[pool.submit(_logged, piece)] = (piece, time.monotonic())
                print_line(f"{piece.name}: begun, {piece.log}")
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            piece, began = running.pop(future)
            results[piece.name] = future.result()
            print_line(f"{piece.name}: done in {duration(time.monotonic() - began)}")
            bar.advance()
    return results


def _logged(piece: Piece) -> Any:
    """Do a piece with all that it prints, and all that its own processes print, in its file."""
    piece.log.parent.mkdir(parents=True, exist_ok=True)
    kept = [os.dup(number) for number in (1, 2)]
    with piece.log.open("ab") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
        try:
            return piece.call()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, old in zip((1, 2), kept, strict=True):
                os.dup2(old, number)
                os.close(old)
