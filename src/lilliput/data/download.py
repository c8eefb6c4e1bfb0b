"""Downloads: known sources as files of this machine, gone on with where they were interrupted."""

from __future__ import annotations

import errno
import gzip
import http.client
from collections.abc import Callable
from pathlib import Path
from urllib import error, parse, request

from lilliput.base.disk import free_bytes, no_room
from lilliput.base.errors import DataError

BLOCK = 2**20
Progress = Callable[[int, int | None], None]
"""Called with the bytes of a file that are here, and with all of its bytes where the server names them."""


def fetch(address: str, folder: Path, progress: Progress) -> Path:
    """Download a file into a folder, and return its path. A part that an earlier call left is kept, and the rest is
    asked for. Raises DataError where the server or the disk refuses."""
    parts = parse.urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise DataError(f"'{address}' is no address of a file", "give an address that begins with https://")
    path = folder / (Path(parts.path).name or "file")
    partial = path.with_name(f"{path.name}.part")
    if path.exists():
        progress(path.stat().st_size, path.stat().st_size)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    done = partial.stat().st_size if partial.exists() else 0
    total: int | None = None
    call = request.Request(address, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with request.urlopen(call, timeout=60) as reply:
            if done and reply.status != 206:
                done = 0  # the server sends the whole file
            left = reply.headers.get("Content-Length")
            total = done + int(left) if left is not None else None
            _check_room(folder, None if left is None else int(left))
            with open(partial, "ab" if done else "wb") as file:
                while block := reply.read(BLOCK):
                    file.write(block)
                    done += len(block)
                    progress(done, total)
    except error.HTTPError as refusal:
        if refusal.code == 416 and partial.exists():  # all of it is here
            partial.replace(path)
            return path
        raise DataError(f"{address}: the server answers {refusal.code} {refusal.reason}", "check the address") from None
    except (OSError, http.client.HTTPException) as failure:
        reason = getattr(failure, "reason", None) or failure
        raise DataError(f"{address} cannot be downloaded: {reason}", "type the command again: it goes on") from None
    if total is not None and done != total:
        raise DataError(f"{address}: {done:,} of {total:,} bytes came", "type the command again: it goes on")
    partial.replace(path)
    return path


def _check_room(folder: Path, needed: int | None) -> None:
    free = free_bytes(folder)
    if needed is not None and free is not None and needed > free:
        raise no_room(folder, needed, errno.ENOSPC)


def crawl_files(base: str, crawl: str, count: int, folder: Path, progress: Progress) -> list[str]:
    """Return the addresses of the first WARC files of a crawl of Common Crawl, which lists them in a file."""
    listed = fetch(f"{base}crawl-data/{crawl}/warc.paths.gz", folder, progress)
    with gzip.open(listed, "rt", encoding="utf-8") as file:
        paths = [line.strip() for _, line in zip(range(count), file, strict=False)]
    return [f"{base}{path}" for path in paths]
