"""Every direct dependency is pinned in the constraints file of its environment, and the pins fit the ranges."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FILES = ("constraints.txt", "constraints-bench.txt")


def load_pin() -> ModuleType:
    """The script behind `make constraints`, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("pin", ROOT / ".ci" / "pin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pin = load_pin()


@pytest.mark.parametrize("file", FILES)
def test_every_direct_dependency_is_pinned_and_nothing_else(file: str) -> None:
    assert pin.pinned((ROOT / file).read_text()).keys() == pin.direct(file, PROJECT)


@pytest.mark.parametrize("file", FILES)
def test_each_pin_lies_in_its_range(file: str) -> None:
    pins = pin.pinned((ROOT / file).read_text())
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    checked = set()
    for requirement in map(Requirement, lines):
        name = pin.canonical(requirement.name)
        if name in pins:
            assert requirement.specifier.contains(Version(pins[name]), prereleases=True), f"{requirement}: {pins[name]}"
            checked.add(name)
    assert checked == pins.keys()


def test_the_two_files_hold_every_dependency_of_every_extra() -> None:
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    names = {pin.name_of(line) for line in [*PROJECT["dependencies"], *extras]} - {"lilliput"}
    assert {name for file in FILES for name in pin.pinned((ROOT / file).read_text())} == names
    assert len(names) > 35


def test_an_extra_package_would_be_missed() -> None:
    grown = {**PROJECT, "dependencies": [*PROJECT["dependencies"], "New_Package[fast]>=1"]}
    assert pin.direct("constraints.txt", grown) - pin.direct("constraints.txt", PROJECT) == {"new-package"}


def test_make_installs_with_the_files_and_renews_them() -> None:
    text = (ROOT / "Makefile").read_text()
    installs = re.findall(r"install -c (\S+) -e (\S+)", text)
    assert {(file, "bench" in what) for file, what in installs} == {(FILES[0], False), (FILES[1], True)}
    renewed = text.partition("\nconstraints:")[2].partition("\n\n")[0]
    assert [file for file in FILES if f".ci/pin.py {file}" in renewed] == [*FILES]


def test_types_travel_with_the_package() -> None:
    assert (ROOT / "src" / "lilliput" / "py.typed").is_file()
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build == {"packages": ["src/lilliput"]}, "hatchling takes every file of the package that git does not ignore"
