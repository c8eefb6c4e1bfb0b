"""The labels file: each answer at once, cut lines, resume, undo, and several people in one file."""

import json
import os
import threading
from pathlib import Path

import pytest

from lilliput.base.config import validate
from lilliput.base.errors import ConfigError, DataError
from lilliput.lab.labelling.record import Record
from lilliput.lab.labelling.session import Session, Stale
from lilliput.lab.labelling.store import Store, live, read
from tests.lab.labelling.conftest import PROMPTS, Labelling


def answer(session: Session, given: object = ((0,), (1,))) -> None:
    present = session.present()
    assert present is not None
    session.answer(present.item.key, given)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_answer_is_stored_at_once_and_whole(labelling: Labelling, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    session = labelling.session()
    present = session.present()
    assert present is not None
    labelling.clock.now += 12.5
    session.answer(present.item.key, [[1], [0]])
    assert labelling.path.stat().st_ino in synced
    (line,) = lines(labelling.path)
    assert (line["event"], line["mode"], line["labeller"], line["prompt"]) == ("answer", "rank", "ada", PROMPTS[0])
    assert line["seconds"] == 12.5
    assert line["utc"].endswith("Z")
    assert [each["text"] for each in line["candidates"]] == [" saw 0", " saw 1"]
    assert line["candidates"][1]["sampling"] == {"temperature": 0.8, "max_tokens": 20, "seed": 7, "sample": 1}
    assert line["candidates"][1]["model"] == "story"
    assert tuple(line["shown"]) == present.shown
    assert line["answer"] == [[present.shown[1]], [present.shown[0]]]


def test_the_same_command_goes_on_where_the_labeller_stopped(labelling: Labelling) -> None:
    first = labelling.session()
    answer(first)
    skipped = first.present()
    assert skipped is not None
    first.skip(skipped.item.key)
    second = labelling.session()
    assert (second.answered, second.left) == (1, 2)
    present = second.present()
    assert present is not None
    assert present.item == skipped.item  # a skipped item comes again
    other = labelling.session(labeller="ben")
    assert (other.answered, other.left) == (0, 3)


def test_a_cut_line_loses_nothing_else(labelling: Labelling) -> None:
    session = labelling.session()
    answer(session)
    answer(session)
    whole = labelling.path.read_bytes()
    labelling.path.write_bytes(whole[:-25])
    again = labelling.session()
    assert (again.answered, again.left) == (1, 2)
    assert labelling.printed == [f"{labelling.path}: line 2 is cut off and is left out"]
    answer(again)
    answer(again)
    assert labelling.session().left == 0
    assert labelling.path.read_bytes().startswith(whole[:-25] + b"\n")  # even the cut part stays
    assert len(read(labelling.path, labelling.printed.append)) == 3


def test_a_line_cut_inside_a_character_is_left_out(labelling: Labelling) -> None:
    session = labelling.session("demonstrate")
    answer(session, "saw a ship")
    answer(session, "was called Zoë")
    content = labelling.path.read_bytes()
    labelling.path.write_bytes(content[: content.index(b"\xc3") + 1])
    assert len(read(labelling.path, labelling.printed.append)) == 1
    assert "line 2 is cut off" in labelling.printed[0]


def test_a_last_line_without_its_end_counts(labelling: Labelling) -> None:
    session = labelling.session()
    answer(session)
    labelling.path.write_bytes(labelling.path.read_bytes().rstrip(b"\n"))
    answer(session)
    assert len(read(labelling.path, labelling.printed.append)) == 2
    assert labelling.printed == []


def test_undo_takes_back_the_last_answer_and_then_the_one_before(labelling: Labelling) -> None:
    session = labelling.session()
    answer(session)
    second = session.present()
    assert second is not None
    session.skip(second.item.key)
    session.present()
    assert session.undo()
    assert session.present() is not None
    assert (session.present().item, session.skipped) == (second.item, 0)  # type: ignore[union-attr]
    assert session.undo()
    assert not session.undo()
    assert (session.answered, session.left) == (0, 3)
    assert live(read(labelling.path)) == []
    assert [line["event"] for line in lines(labelling.path)] == ["answer", "skip", "undo", "undo"]
    answer(session, ((1,), (0,)))
    assert len(live(read(labelling.path))) == 1
    assert labelling.session().answered == 1


def test_undo_reaches_answers_of_an_earlier_session(labelling: Labelling) -> None:
    first = labelling.session()
    for _ in PROMPTS[:2]:
        answer(first)
    again = labelling.session()
    assert again.undo()
    present = again.present()
    assert present is not None
    assert present.item.prompt == PROMPTS[1]
    assert labelling.session().answered == 1


def test_undo_leaves_other_labellers_alone(labelling: Labelling) -> None:
    answer(labelling.session(labeller="ben"))
    session = labelling.session()
    assert not session.undo()
    answer(session)
    assert session.undo()
    assert [record.labeller for record in live(read(labelling.path))] == ["ben"]


def test_an_answer_to_another_item_or_of_another_kind_is_refused(labelling: Labelling) -> None:
    session = labelling.session()
    present = session.present()
    assert present is not None
    with pytest.raises(Stale):
        session.answer("none", [[0], [1]])
    for wrong in ([[0]], [[0], [2]], [[0], [0]], [0, 1], True, "text", None, [[0], [1], []], [[True], [0]]):
        with pytest.raises(ConfigError):
            session.answer(present.item.key, wrong)
    assert not labelling.path.exists()
    ratings = labelling.session("rate", samples=1)
    rated = ratings.present()
    assert rated is not None
    for wrong in ([[0]], 1, "good", None):
        with pytest.raises(ConfigError):
            ratings.answer(rated.item.key, wrong)
    written = labelling.session("demonstrate")
    for wrong in ("", "  \n", 3, None):
        with pytest.raises(ConfigError):
            written.answer(written.present().item.key, wrong)  # type: ignore[union-attr]
    assert not labelling.path.exists()


def test_the_second_labeller_sees_the_replies_that_the_first_saw(labelling: Labelling) -> None:
    answer(labelling.session())
    later = labelling.session(labeller="ben", make=lambda prompt: pytest.fail("generated again"), prompts=PROMPTS[:1])
    present = later.present()
    assert present is not None
    assert [each.text for each in present.candidates] == [" saw 0", " saw 1"]


def test_several_people_write_into_one_file_at_once(labelling: Labelling) -> None:
    sessions = [labelling.session(labeller=f"person {n}") for n in range(4)]
    threads = [threading.Thread(target=lambda s=s: [answer(s) for _ in PROMPTS]) for s in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(live(read(labelling.path, pytest.fail))) == 12


def test_a_line_of_another_file_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    with pytest.raises(DataError, match=r"labels.jsonl, line 1: .*unknown key 'chosen'"):
        read(path)
    path.write_text("[1]\n")
    with pytest.raises(DataError, match="line 1: this is no line of a labels file"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shown": [0, 0]}, "does not name each of the candidates once"),
        ({"answer": [[0]]}, "does not rank each of the replies once"),
        ({"answer": True}, "is a ranking of two replies or more"),
        ({"mode": "rate", "answer": True}, "is true or false of one reply"),
        ({"event": "skip"}, "holds no answer"),
        ({"seconds": -1}, "greater than or equal to 0"),
    ],
)
def test_a_damaged_record_is_refused(labelling: Labelling, change: dict, message: str) -> None:
    answer(labelling.session())
    (line,) = lines(labelling.path)
    with pytest.raises(ConfigError, match=message):
        validate(Record, {**line, **change}, "the line")


def test_a_full_disk_loses_no_answer(labelling: Labelling, monkeypatch: pytest.MonkeyPatch) -> None:
    session = labelling.session()
    answer(session)
    before = labelling.path.read_bytes()

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("lilliput.lab.labelling.store.append_text", full)
        with pytest.raises(OSError, match="No space"):
            answer(session)
    assert session.answered == 1
    assert labelling.path.read_bytes() == before
    answer(session)
    assert labelling.session().answered == 2


def test_an_empty_file_is_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(b"")
    assert read(path) == []
    assert read(tmp_path / "none.jsonl") == []
    assert Store(path).path == path
