"""Jobs: the work on a corpus as one of several processes does it. `python -m lilliput.data.corpus.jobs` is a process.

read     the documents of the groups into chunks
work     the chunks through their steps, as far as decisions are there
decide   the decisions of the steps that look at all documents
finish   the folder that people and tools read
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

from lilliput.base.errors import LilliputError
from lilliput.data.corpus.chunks import chunks_of, read_group
from lilliput.data.corpus.finish import finish
from lilliput.data.corpus.plan import Plan
from lilliput.data.corpus.results import halvings_for
from lilliput.data.corpus.work import decide, work_on

Job = Literal["read", "work", "decide", "finish"]
Progress = Callable[[int, int], None]
"""Called with the documents and bytes of each finished chunk."""


def run_job(out: Path, job: Job, rank: int, world: int, progress: Progress) -> None:
    """Do the share `rank` of `world` of a job. Raises DataError."""
    work = out / "work"
    plan = Plan.read(work / "plan.json")
    if job == "read":
        for number in range(rank, len(plan.groups), world):
            read_group(plan, number, work, progress)
    elif job == "work":
        chunks = chunks_of(plan, work)
        halvings = halvings_for(sum(chunk.bytes for chunk in chunks))
        for chunk in chunks[rank::world]:
            work_on(plan, chunk, work, halvings)
            progress(chunk.documents, chunk.bytes)
    elif job == "decide":
        decide(plan, work)
    else:
        finish(plan, out)


def main() -> None:
    """Run a job for a parent process: progress and errors are JSON lines on standard output."""
    out, job, rank, world = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process

    def progress(documents: int, size: int) -> None:
        print(json.dumps({"documents": documents, "bytes": size}), flush=True)

    try:
        run_job(Path(out), cast(Job, job), int(rank), int(world), progress)
    except LilliputError as error:
        print(json.dumps({"error": error.message, "hint": error.hint}), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
