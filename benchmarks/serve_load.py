"""The server under load: many streams at once for a minute, with nothing failing and nothing left behind.

    .venv/bin/python benchmarks/serve_load.py                   # 200 streams, 60 s, a fresh model of style story_2m
    .venv/bin/python benchmarks/serve_load.py --run runs/story --streams 50 --seconds 20 --json

The server is a process of its own, on the same machine as the clients. Every stream is asked for as soon as the one
before it has ended; every tenth is left half-way, as readers do. Then one stream at a time is measured on the same
server, before and after. Beside the streams a small request (8 tokens) is sent once a second, and at the end one behind
two requests of 128 texts each: what counts is the time to its first token. Connections that send nothing (--idle) are
held open meanwhile. A leak would show as memory that grows from the first third of the time to the last, or as
slots that are still taken at the end. Exits with 1 where anything failed or was left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean, median
from time import monotonic, sleep
from typing import Any, TypeVar

import httpx
import psutil
from rich.console import Console

T = TypeVar("T")
PROMPTS = ("Once upon a time", "One day, Tom", "Lily was sad because", "The old bear said")
GROWTH_LIMIT = 1.05
"""Mean memory of the last third over that of the first: more is called a leak."""


@dataclass
class Tally:
    """The counts of all answers."""

    tokens: int = 0
    streams: int = 0
    left: int = 0
    errors: list[str] = field(default_factory=list)
    first_seconds: list[float] = field(default_factory=list)
    small_first_seconds: list[float] = field(default_factory=list)


def write_model(folder: Path, style: str) -> None:
    """A model of random weights, with a tokenizer that learned from the story world."""
    from lilliput.data.config import TokenizerConfig
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.config import resolve
    from lilliput.model.huggingface import to_huggingface
    from lilliput.model.transformer import Model
    from lilliput.storybook import story

    config = resolve(style)
    texts = [story(0, number).text for number in range(2000)]
    tokenizer = Tokenizer.train(texts, TokenizerConfig(vocab_size=config.vocab_size))
    to_huggingface(
        Model(config, seed=0),
        folder,
        bos_token_id=tokenizer.bos_id,
        eos_token_id=tokenizer.eos_id,
        pad_token_id=tokenizer.pad_id,
    )
    tokenizer.save(folder)


@contextmanager
def server(path: Path, slots: int, queue: int) -> Iterator[tuple[str, psutil.Process]]:
    """The command on a free port: its address and its process."""
    words = ["-m", "lilliput", "serve", str(path), "--port", "0", "--slots", str(slots), "--queue", str(queue)]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().rpartition(" at ")[2].strip()
            if not url:
                raise SystemExit("the server did not start")
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


async def stream(client: httpx.AsyncClient, number: int, tokens: int, leave: bool, tally: Tally) -> None:
    """Ask for one stream and read it to its end, or half of it."""
    body = {"prompt": PROMPTS[number % len(PROMPTS)], "max_tokens": tokens, "seed": number, "temperature": 1.0}
    began, said = monotonic(), 0
    try:
        async with client.stream("POST", "/v1/completions", json={**body, "stream": True}) as response:
            if response.status_code != 200:
                tally.errors.append(f"{response.status_code}: {(await response.aread()).decode()[:200]}")
                return
            async for line in response.aiter_lines():
                if line.startswith('data: {"error"'):
                    tally.errors.append(line)
                elif line.startswith("data: {"):
                    said += 1
                    if said == 1:
                        tally.first_seconds.append(monotonic() - began)
                if leave and said > tokens // 2:
                    tally.left += 1
                    return
        tally.streams += 1
    except httpx.HTTPError as error:
        tally.errors.append(f"{type(error).__name__}: {error}")


async def load(url: str, streams: int, seconds: float, tokens: int, idle: int = 0) -> Tally:
    """`streams` readers at once for `seconds`; every tenth stream is left half-way where there are several. Beside
    several a small request is sent once a second, and `idle` connections that send nothing are held."""
    tally, deadline, numbers = Tally(), monotonic() + seconds, iter(range(10**9))
    limits = httpx.Limits(max_connections=streams, max_keepalive_connections=streams)

    async def reader(client: httpx.AsyncClient) -> None:
        while monotonic() < deadline:
            number = next(numbers)
            await stream(client, number, tokens, streams > 1 and number % 10 == 9, tally)

    async def small() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            while streams > 1 and (left := deadline - monotonic()) > 0:
                await small_stream(client, tally)
                await asyncio.sleep(min(1.0, left))

    silent = [await asyncio.open_connection(*url.removeprefix("http://").split(":")) for _ in range(idle)]
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await asyncio.gather(small(), *(reader(client) for _ in range(streams)))
    for _, writer in silent:
        writer.close()
    return tally


async def small_stream(client: httpx.AsyncClient, tally: Tally) -> None:
    """Read one stream of 8 tokens; its time to the first counts apart."""
    one = Tally()
    await stream(client, 0, 8, False, one)
    tally.small_first_seconds += one.first_seconds
    tally.errors += one.errors


async def behind(url: str, texts: int = 128) -> Tally:
    """A small request behind two of so many `texts`, which are left as soon as it is answered."""
    tally = Tally()
    large = {"prompt": PROMPTS[0], "max_tokens": 64, "n": texts, "stream": True}
    async with (
        httpx.AsyncClient(base_url=url, timeout=120) as client,
        client.stream("POST", "/v1/completions", json=large),
        client.stream("POST", "/v1/completions", json=large),
    ):
        await small_stream(client, tally)
    return tally


def figures(url: str) -> dict[str, float]:
    """The server's own figures."""
    lines = [line for line in httpx.get(f"{url}/metrics").text.splitlines() if not line.startswith("#")]
    found: dict[str, float] = {}
    for name, _, value in (line.rpartition(" ") for line in lines):
        for key in ('kind="completion"', 'state="running"', 'state="waiting"'):
            if key in name:
                found[key] = found.get(key, 0.0) + float(value)
    return found


def measured(url: str, streams: int, seconds: float, tokens: int, idle: int = 0) -> tuple[Tally, float]:
    """The answers, and the tokens a second that the server reported meanwhile."""
    said, began = figures(url)['kind="completion"'], monotonic()
    tally = asyncio.run(load(url, streams, seconds, tokens, idle))
    return tally, (figures(url)['kind="completion"'] - said) / (monotonic() - began)


async def watched(process: psutil.Process, work: Callable[[], T]) -> tuple[T, list[float]]:
    """The result of `work`, run in a thread, and the process's memory in MB every half second meanwhile."""
    task, sizes = asyncio.create_task(asyncio.to_thread(work)), []
    while not task.done():
        sizes.append(process.memory_info().rss / 1e6)
        await asyncio.wait({task}, timeout=0.5)
    return task.result(), sizes


def median_of(seconds: Sequence[float]) -> float | None:
    """To a millisecond."""
    return round(median(seconds), 3) if seconds else None


def run(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one server."""
    with server(path, options.slots, max(options.streams, 256)) as (url, process):
        warm, alone = max(2.0, options.seconds / 10), max(2.0, options.seconds / 6)
        measured(url, options.streams, warm, options.tokens)
        _, before = measured(url, 1, alone, options.tokens)
        together = partial(measured, url, options.streams, options.seconds, options.tokens, options.idle)
        (tally, rate), sizes = asyncio.run(watched(process, together))
        _, after = measured(url, 1, alone, options.tokens)
        last_one = asyncio.run(behind(url))
        sleep(0.5)
        left = figures(url)
    third = max(1, len(sizes) // 3)
    first, last = mean(sizes[:third]), mean(sizes[-third:])
    one = (before + after) / 2
    return {
        "streams_at_once": options.streams,
        "seconds": options.seconds,
        "streams": tally.streams,
        "left_half_way": tally.left,
        "errors": len(tally.errors),
        "first_error": tally.errors[0] if tally.errors else None,
        "tokens_per_second": round(rate, 1),
        "tokens_per_second_one_at_a_time": round(one, 1),
        "ratio": round(rate / one, 2),
        "median_seconds_to_first_token": median_of(tally.first_seconds),
        "small_requests": len(tally.small_first_seconds),
        "median_seconds_to_first_token_of_a_small_one": median_of(tally.small_first_seconds),
        "slowest_seconds_to_first_token_of_a_small_one": round(max(tally.small_first_seconds, default=0), 3),
        "seconds_to_first_token_behind_two_of_128": median_of(last_one.small_first_seconds),
        "megabytes_first_third": round(first, 1),
        "megabytes_last_third": round(last, 1),
        "texts_left_behind": int(left['state="running"'] + left['state="waiting"']),
        "passed": not tally.errors
        and not last_one.errors
        and last < GROWTH_LIMIT * first
        and not left['state="running"'],
    }


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run or model folder; without it a fresh model of --style")
    parser.add_argument("--style", default="story_2m", help="the fresh model's shape")
    parser.add_argument("--streams", type=int, default=200, help="streams at once")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each stream")
    parser.add_argument("--slots", type=int, default=32, help="of the server")
    parser.add_argument("--idle", type=int, default=0, help="connections held open that send nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Parse the command line, run, print; 1 where something failed."""
    options = parse(words)
    with tempfile.TemporaryDirectory() as folder:
        path = options.run or Path(folder) / options.style
        if options.run is None:
            write_model(path, options.style)
        result = run(path, options)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            Console().print(f"{name.replace('_', ' '):34} {value}", markup=False, highlight=False)
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
