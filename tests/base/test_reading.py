"""Files of others: regular ones only, and JSON and YAML with bounds on depth, repetition and numbers."""

import os
from pathlib import Path

import pytest

from lilliput.base.config import override, read_yaml
from lilliput.base.errors import ConfigError, FileError, LilliputError
from lilliput.base.reading import DEEPEST, LARGEST_YAML, from_json, from_yaml, open_regular, read_object, read_text


def bomb(levels: int) -> str:
    """Anchors of anchors: 9 to the power of `levels` values in a few hundred characters."""
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]", *lines])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bomb(20), "by aliases of aliases"),
        ("&a [*a]", "alias of itself"),
        ("a: &a {b: {c: *a}}", "alias of itself"),
        ("[" * 100_000, "levels deep"),
        ("- " * 1000 + "x", "levels deep"),
        (f"a: &a {'[' * 40}{']' * 40}\nb: {'[' * 40}*a{']' * 40}", "levels deep"),
        ("n: " + "1" * 5000, "a number of 5,000 digits"),
        ("n: 0x" + "1" * 5000, "a number of 5,002 digits"),
        ("n: " + "1:" * 5000 + "1", "a number of"),
        ("a: 2024-99-99", "does not fit its kind"),
        ("!!bool x", "does not fit its kind"),
        ("a: !!int ''", "does not fit its kind"),
        ("a: !!timestamp x", "does not fit its kind"),
        ("a: !!python/object:os.system x", "not valid YAML"),
        ("a\0b", "not valid YAML"),
        ("a: " + "x" * LARGEST_YAML, "too large"),
    ],
)
def test_hostile_yaml_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        from_yaml(text)


def test_yaml_with_anchors_and_dates_is_read() -> None:
    text = "a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2.5}\nd: [true, null, text]"
    assert from_yaml(text) == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2.5}, "d": [True, None, "text"]}
    assert from_yaml("") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "levels deep"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "levels deep"),
        ('{"a":' * 200 + "1" + "}" * 200, "levels deep"),
        ("1" * 5000, "a number of 5,000 digits"),
        ("{", "not valid JSON"),
        ('["\\ud800"]', "without a UTF-8 form"),
    ],
)
def test_hostile_json_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        from_json(text)


def test_json_at_the_bound_is_read() -> None:
    value = from_json("[" * DEEPEST + "]" * DEEPEST)
    for _ in range(DEEPEST - 1):
        (value,) = value
    assert value == []
    assert from_json('["\\ud83d\\ude00"]') == ["😀"]
    assert from_json('{"a": [1, 2.5, -3]}') == {"a": [1, 2.5, -3]}


def test_an_object_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("[1]")
    with pytest.raises(FileError, match=r"config\.json holds a JSON list, not an object"):
        read_object(file)


def test_pipes_folders_and_links_that_lead_nowhere_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("pipe", "self", "dangling", "."):
        with pytest.raises(OSError, match=r"."):
            open_regular(tmp_path / name)
        with pytest.raises(ConfigError, match="cannot read"):
            read_yaml(tmp_path / name)
    with pytest.raises(FileError, match="NUL"):
        open_regular("a\0b")


def test_text_that_is_too_large_or_no_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"ab\r\nc\rd\xff")
    with pytest.raises(FileError, match="not UTF-8 at byte 7"):
        read_text(file)
    with pytest.raises(FileError, match="8 bytes, and at most 3"):
        read_text(file, 3)
    assert read_text(file, errors="replace") == "ab\nc\nd\ufffd"


def test_an_override_with_a_number_without_end_stays_text() -> None:
    assert override({}, ["seed=" + "1" * 5000]) == {"seed": "1" * 5000}


def test_a_file_error_is_one_that_a_person_can_act_on() -> None:
    assert issubclass(FileError, LilliputError)
    assert issubclass(FileError, ValueError)
