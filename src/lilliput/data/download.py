"""Downloads: known sources as files of this machine, gone on with where they were interrupted."""

from __future__ import annotations

import errno
import gzip
import http.client
import re
from collections.abc import Callable
from pathlib import Path
from urllib import error, parse, request

from lilliput.base.disk import free_bytes, no_room
from lilliput.base.errors import DataError, DiskError

BLOCK = 2**20
Progress = Callable[[int, int | None], None]
"""Called with the bytes of a file that are here, and with all of its bytes where the server names them."""


def fetch(address: str, folder: Path, progress: Progress) -> Path:
    """Download a file into a folder, and return its path. A part that an earlier call left is kept, and the rest is
    asked for, unless the file has changed on the server. Raises DataError where the server refuses, and DiskError where
    there is no room."""
    parts = parse.urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise DataError(f"'{address}' is no address of a file", "give an address that begins with https://")
    path = folder / (Path(parts.path).name or "file")
    partial = path.with_name(f"{path.name}.part")
    if path.exists():
        progress(path.stat().st_size, path.stat().st_size)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    version = path.with_name(f"{path.name}.version")  # the server's mark of the file that the part is of
    mark = version.read_text() if version.exists() else ""
    done = partial.stat().st_size if partial.exists() and mark else 0
    total: int | None = None
    call = request.Request(address, headers={"Range": f"bytes={done}-", "If-Range": mark} if done else {})
    try:
        with request.urlopen(call, timeout=60) as reply:
            if done and reply.status != 206:
                done = 0  # the server sends the whole file
            left = reply.headers.get("Content-Length")
            total = done + int(left) if left is not None else None
            _check_room(folder, None if left is None else int(left))
            version.write_text(reply.headers.get("ETag") or reply.headers.get("Last-Modified") or "")
            with open(partial, "ab" if done else "wb") as file:
                while block := reply.read(BLOCK):
                    file.write(block)
                    done += len(block)
                    progress(done, total)
    except error.HTTPError as refusal:
        if refusal.code == 416:
            partial.unlink(missing_ok=True)  # the part is longer than the file
        raise DataError(f"{address}: the server answers {refusal.code} {refusal.reason}", "check the address") from None
    except DiskError:
        raise
    except (OSError, http.client.HTTPException) as failure:
        reason = getattr(failure, "reason", None) or failure
        raise DataError(f"{address} cannot be downloaded: {reason}", "type the command again: it goes on") from None
    if total is not None and done != total:
        raise DataError(f"{address}: {done:,} of {total:,} bytes came", "type the command again: it goes on")
    partial.replace(path)
    version.unlink(missing_ok=True)
    return path


def _check_room(folder: Path, needed: int | None) -> None:
    free = free_bytes(folder)
    if needed is not None and free is not None and needed > free:
        raise no_room(folder, needed, errno.ENOSPC)


def crawl_files(base: str, crawl: str, count: int, folder: Path, progress: Progress) -> list[str]:
    """Return the addresses of the first WARC files of a crawl of Common Crawl, which lists them in a file. The list
    goes into a folder of the crawl's name. Raises DataError for what is no name of a crawl."""
    if not re.fullmatch(r"[\w-]+", crawl):
        raise DataError(f"'{crawl}' is no name of a crawl", "such as --crawl CC-MAIN-2024-10")
    listed = fetch(f"{base}crawl-data/{crawl}/warc.paths.gz", folder / crawl, progress)
    with gzip.open(listed, "rt", encoding="utf-8") as file:
        paths = [line.strip() for _, line in zip(range(count), file, strict=False)]
    return [f"{base}{path}" for path in paths]
