"""A look: instruments in their order, refusals with their reasons, errors that are raised, figures as JSON."""

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.lens.instrument import INSTRUMENTS, Instrument, Subject
from lilliput.lens.look import Look, measure, ordered, plain

SUBJECT = cast(Subject, SimpleNamespace())


class Good(Instrument):
    title, part = "Good", "heads"

    def refuses(self, subject: Subject) -> str:
        return ""

    def measure(self, subject: Subject) -> dict[str, Any]:
        return {"score": math.nan, 3: (1, 2)}  # type: ignore[dict-item]

    def section(self, found: Mapping[str, Any]) -> str:
        return ""


class Early(Good):
    part = "knows"

    def refuses(self, subject: Subject) -> str:
        return "the model is no model"


class Broken(Good):
    def measure(self, subject: Subject) -> dict[str, Any]:
        raise ZeroDivisionError("a defect")


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(INSTRUMENTS, "_entries", {"good": Good, "early": Early, "broken": Broken})
    monkeypatch.setattr(INSTRUMENTS, "_searched", True)


def test_order_and_names() -> None:
    assert ordered() == ["early", "broken", "good"]
    assert ordered(["good", "early"]) == ["early", "good"]
    with pytest.raises(ConfigError, match=r"unknown instrument 'goood' \(did you mean 'good'\?\)"):
        ordered(["goood"])


def test_a_refusal_is_kept_and_an_error_is_raised() -> None:
    began: list[str] = []
    done: list[int] = []
    look = measure(
        SUBJECT, "story", {"model": "small"}, "key", ["early", "good"], began.append, lambda: done.append(len(began))
    )
    assert began == ["early", "good"]
    assert done == [1, 2]
    assert look.refused == {"early": "the model is no model"}
    assert look.found == {"good": {"score": None, "3": [1, 2]}}
    assert set(look.seconds) == {"early", "good"}
    assert "seconds" not in look.as_dict()
    with pytest.raises(ZeroDivisionError, match="a defect"):
        measure(SUBJECT, "story", {}, "key", ["broken"])


def test_only_json_is_a_figure() -> None:
    with pytest.raises(TypeError):
        plain({"score": object()})


@pytest.mark.parametrize("content", ["", "{", '{"model": "story"}', "[]", '{"model": 1, "facts": 2}'])
def test_a_damaged_file_is_reported(tmp_path, content: str) -> None:
    file = tmp_path / "lens.json"
    file.write_text(content)
    with pytest.raises(CheckpointError, match="cannot be used"):
        Look.read(file)
