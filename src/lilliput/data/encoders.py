"""Encoders: further processes that turn texts into ids, for corpora that take longer than starting the processes.

Splitting a text and looking up its words holds Python's lock, so several threads are no faster than one. A process
reads frames from its standard input and writes frames to its standard output. A frame is an int64 length and then that
many bytes.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import IO, Any, cast

import numpy as np

from lilliput.base import machine
from lilliput.base.errors import ConfigError, DataError
from lilliput.data.tokenizer import Tokenizer

LENGTH = struct.Struct("<q")
VARIABLE = "LILLIPUT_ENCODERS"
MOST = 4
"""Most processes by default. Reading and curating in this process keep about three encoders busy."""


def encoder_count() -> int:
    """Return the number of encoding processes: one a core up to MOST, or the number in LILLIPUT_ENCODERS. Raises
    ConfigError where the variable is not a number."""
    asked = os.environ.get(VARIABLE)
    if asked is None:
        return min(MOST, machine.physical_cores())
    if not asked.isdecimal() or int(asked) < 1:
        raise ConfigError(f"{VARIABLE}={asked} is not a number of processes", f"{VARIABLE}=1 encodes without them")
    return int(asked)


@contextmanager
def shared(tokenizer: Tokenizer, count: int) -> Iterator[Tokenizer]:
    """Yield a copy of `tokenizer` whose `encode_arrays` works in `count` processes, for calls from `count` threads.

    The processes end with the block. `encode_arrays` raises DataError where a process was ended from outside."""
    with ExitStack() as stack:
        yield cast("Tokenizer", _Shared(tokenizer, [stack.enter_context(_Process(tokenizer)) for _ in range(count)]))


class _Shared:
    """A tokenizer whose texts are encoded in other processes. All other methods run in this process."""

    def __init__(self, tokenizer: Tokenizer, processes: Sequence[_Process]):
        self._tokenizer = tokenizer
        self._free: SimpleQueue[_Process] = SimpleQueue()
        for process in processes:
            self._free.put(process)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def encode_arrays(self, texts: Sequence[str], continuing: bool = False) -> list[np.ndarray]:
        process = self._free.get()
        try:
            return process.encode(texts, continuing)
        finally:
            self._free.put(process)


class _Process:
    """An encoding process, as a context manager. It starts at once, and gets its tokenizer with the first texts."""

    def __init__(self, tokenizer: Tokenizer):
        names = {role: tokenizer.token(number) for role, number in tokenizer.specials.items()}
        self._greeting = json.dumps({"content": tokenizer.content, "names": names}).encode()
        # There is a process for each core, so `tokenizers` gets one thread in each process.
        environment = os.environ | {"RAYON_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # the process holds no data that could be lost
        self._process.communicate()

    def encode(self, texts: Sequence[str], continuing: bool) -> list[np.ndarray]:
        """Return the ids of each text, (length,) uint32."""
        data = [text.encode() for text in texts]
        sizes = np.array([len(one) for one in data], dtype=np.int64)
        into, out = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        try:
            _send(into, *([self._greeting] if self._greeting else []))
            self._greeting = b""
            _send(into, bytes([continuing]), sizes.tobytes(), b"".join(data))
            counts, ids = np.frombuffer(_receive(out), np.int64), np.frombuffer(_receive(out), np.uint32)
        except (OSError, EOFError):
            code = self._process.wait()
            why = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            raise DataError(
                f"a process that encoded text was ended ({why})",
                f"repeat the command; where memory is short, encode without processes: {VARIABLE}=1",
            ) from None
        return np.split(ids, np.cumsum(counts)[:-1]) if len(counts) else []


def _send(file: IO[bytes], *frames: bytes) -> None:
    for frame in frames:
        file.write(LENGTH.pack(len(frame)))
        file.write(frame)
    file.flush()


def _receive(file: IO[bytes]) -> bytes:
    """Return the next frame. Raises EOFError where there is no frame, or only a part of a frame."""
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    size = LENGTH.unpack(head)[0]
    frame = file.read(size)
    if len(frame) < size:
        raise EOFError
    return frame


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Run in the encoding process: read a tokenizer, then encode texts until the input ends."""
    tokenizer = Tokenizer(**json.loads(_receive(requests)))
    while True:
        continuing, sizes, data = bool(_receive(requests)[0]), _receive(requests), _receive(requests)
        ends = np.cumsum(np.frombuffer(sizes, np.int64)).tolist()
        texts = [data[start:stop].decode() for start, stop in zip([0, *ends], ends, strict=False)]
        encoded = tokenizer.encode_arrays(texts, continuing)
        counts = np.array([len(ids) for ids in encoded], dtype=np.int64)
        _send(answers, counts.tobytes(), np.concatenate(encoded).tobytes() if encoded else b"")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group, and the parent decides
    try:
        _serve(sys.stdin.buffer, sys.stdout.buffer)
    except (EOFError, BrokenPipeError):
        sys.exit(0)
