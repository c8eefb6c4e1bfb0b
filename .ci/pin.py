"""Writes the installed version of every direct dependency of pyproject.toml into a constraints file.

    python .ci/pin.py constraints.txt        # the core and every extra but `bench`, in .venv
    python .ci/pin.py constraints-bench.txt  # the core and `bench`, in .venv-bench

`make constraints` brings both environments up to date first. A dependency that is not installed is an error.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCH = "bench"
"""The extra that has an environment and a constraints file of its own: LitGPT holds huggingface-hub back."""
FILES = {
    "constraints.txt": """\
# Versions that fit together; of what the suite uses, those of its last run. `make constraints` renews them.
# Ranges are in pyproject.toml; what only the benchmarks need is in constraints-bench.txt.
""",
    "constraints-bench.txt": """\
# The versions in .venv-bench, where the benchmarks' peers live. `make constraints` renews them.
# LitGPT holds huggingface-hub back, so that this environment cannot have the versions of constraints.txt.
""",
}


def canonical(name: str) -> str:
    """A package's name as indexes compare it: `Prometheus_Client` is `prometheus-client`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """The package of 'lm-eval[api,hf]>=0.4.9', without extras and versions."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    assert found is not None, f"{requirement!r} names no package"
    return canonical(found[0])


def direct(file: str, project: dict) -> set[str]:
    """The packages that `file` pins: those that the [project] table names for its environment, but Lilliput itself."""
    extras = project["optional-dependencies"]
    chosen = [BENCH] if "bench" in file else [extra for extra in extras if extra != BENCH]
    lines: Iterable[str] = [*project["dependencies"], *(line for extra in chosen for line in extras[extra])]
    return {name_of(line) for line in lines} - {canonical(project["name"])}


def pinned(text: str) -> dict[str, str]:
    """{package: version} of the 'package==version' lines of a constraints file."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", text, flags=re.MULTILINE)
    return {canonical(name): number for name, number in found}


def main() -> None:
    target = ROOT / sys.argv[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines, missing = [], []
    for name in sorted(direct(target.name, project)):
        try:
            lines.append(f"{name}=={version(name).partition('+')[0]}\n")  # '2.13.0+cpu' is one build of 2.13.0
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        sys.exit(f"not installed in {sys.prefix}: {', '.join(missing)}; run: make constraints")
    target.write_text(FILES[target.name] + "".join(lines))
    print(f"{target.name}: {len(lines)} versions")


if __name__ == "__main__":
    main()
