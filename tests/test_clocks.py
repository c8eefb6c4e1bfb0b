"""No budget follows the clock on the wall, which people and time servers set: durations come from monotonic clocks."""

import ast
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.base.machine import compiler
from tests.cli.conftest import TINY, write_tales

SOURCE = Path(__file__).resolve().parents[1] / "src" / "lilliput"
WALL = {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "datetime.now", "datetime.utcnow", "date.today"}
DATES = {
    "base/cache_contents.py": "the age of what lies in the cache",
    "base/undisturbed.py": "the age of a measurement that is kept",
    "lab/experiments.py": "when an experiment began and ended, for people",
    "lab/labelling/session.py": "when a person answered",
    "server/chats.py": "`created` of OpenAI's answers",
    "server/completions.py": "`created` of OpenAI's answers",
    "server/served.py": "`created` of OpenAI's answers",
    "data/chat_template.py": "the date in a chat template",
    "server/runs.py": "the age of a file, whose time is the wall clock's too",
}
"""Where a date is wanted, or an age that outlives processes, and why. No duration belongs here."""

JUMPING = r"""
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
static long jump() { static long calls; return (++calls % 2 ? 86400L : -86400L) * (calls % 7); }
typedef int (*Get)(clockid_t, struct timespec*);
int clock_gettime(clockid_t which, struct timespec* to) {
    static Get real;
    if (!real) real = (Get)dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(which, to);
    if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE) to->tv_sec += jump();
    return failed;
}
int gettimeofday(struct timeval* to, void* zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    to->tv_sec = now.tv_sec, to->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t* to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return to ? *to = now.tv_sec : now.tv_sec;
}
"""


def _wall_clocks(file: Path) -> set[str]:
    """The wall clocks that a file names, as modules' attributes or imported by name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            found.add(f"{owner}.{node.attr}")
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found |= {f"time.{name.name}" for name in node.names}
    return found & WALL


def test_wall_clocks_are_read_only_for_dates() -> None:
    readers = {str(file.relative_to(SOURCE)) for file in SOURCE.rglob("*.py") if _wall_clocks(file)}
    assert readers == set(DATES)


def test_what_measures_durations_is_monotonic() -> None:
    assert time.get_clock_info("perf_counter").monotonic
    assert time.get_clock_info("monotonic").monotonic


@pytest.mark.usefixtures("peaks")
@pytest.mark.skipif(compiler() is None or sys.platform != "linux", reason="no C compiler for a clock that jumps")
def test_a_wall_clock_that_jumps_by_days_changes_no_budget(tmp_path: Path) -> None:
    source, library = tmp_path / "jumping.c", tmp_path / "jumping.so"
    source.write_text("#define _GNU_SOURCE\n" + JUMPING)
    build = [str(compiler()), "-x", "c", "-shared", "-fPIC", "-O1", str(source), "-o", str(library), "-ldl"]
    subprocess.run(build, check=True, capture_output=True)
    environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
    jumps = subprocess.run(
        [sys.executable, "-c", "import time; a, b = time.time(), time.time(); print(abs(a - b))"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(jumps.stdout) > 80_000
    tales = write_tales(tmp_path / "tales.txt")
    words = ["train", "story", *TINY, "train.steps=null", "train.seconds=4", "train.log_steps=1", "--data", str(tales)]
    command = [sys.executable, "-m", "lilliput", *words, "--name", "run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    run = tmp_path / "runs" / "run"
    seconds = [json.loads(line)["seconds"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert seconds == sorted(seconds)
    assert len(seconds) > 1
    summary = json.loads((run / "summary.json").read_text())
    assert 4 <= summary["seconds"] < 300
    assert summary["stopped"] == "finished"
