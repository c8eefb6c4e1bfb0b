"""What instruments look at: rows of held-out text, and the run beside it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.assembly.subject import ROWS, held_out_rows, look_at
from lilliput.base.errors import ConfigError, DataError


def rows(*sizes: int, context: int = 1000, count: int = 64) -> list[list[int]]:
    """Rows of documents whose tokens are 100 * their number + their place."""
    return held_out_rows(sizes, lambda i: 1000 * i + np.arange(sizes[i]), context, count).tolist()


def test_rows_begin_documents_of_at_least_the_median_length() -> None:
    found = rows(80, 100, 300, 90, 200)
    assert [row[0] for row in found[:3]] == [1000, 2000, 4000]
    assert {len(row) for row in found} == {100}


def test_few_documents_give_their_later_parts_and_then_short_ones_together() -> None:
    found = rows(70, 300, 60, 50, context=64)
    assert [row[0] for row in found] == [0, 1000, 1064, 1128, 1192, 2000]
    assert found[-1] == [*range(2000, 2060), *range(3000, 3004)]


def test_one_long_document_is_cut_into_windows() -> None:
    found = rows(1000, context=128, count=5)
    assert [row[0] for row in found] == [0, 128, 256, 384, 512]


def test_texts_shorter_than_a_row_are_read_end_to_end() -> None:
    assert rows(5, 6, 7) == [[*range(5), *range(1000, 1006), *range(2000, 2007)]]
    assert [len(row) for row in rows(*[9] * 100, context=256)] == [64] * 12


def test_a_long_document_and_the_end_of_another() -> None:
    assert [len(row) for row in rows(90, 40, context=256)] == [65]
    assert len(rows(2)) == 1


@pytest.mark.parametrize("sizes", [(), (0,), (1,)])
def test_no_text(sizes: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="fewer than two tokens"):
        rows(*sizes)


def test_a_run_is_looked_at_on_its_own_held_out_text(source: Path) -> None:
    seen = look_at(source, notify=lambda text: None)
    again = look_at(source, notify=lambda text: None)
    assert seen.key == again.key
    assert torch.equal(seen.subject.rows, again.subject.rows)
    assert 0 < len(seen.subject.rows) <= ROWS
    assert seen.subject.run is not None
    assert seen.subject.run.resolve() == source.resolve()
    assert "the validation split of its run" in seen.facts["text"]
    checkpoint = sorted((source / "checkpoints").iterdir())[0]
    assert look_at(checkpoint, notify=lambda text: None).subject.run is None
    other = look_at(source, thorough=True, notify=lambda text: None)
    assert other.key != seen.key


def test_a_folder_without_a_run_reads_stories_or_named_text(source: Path, tmp_path: Path) -> None:
    checkpoint = sorted((source / "checkpoints").iterdir())[-1]
    folder = Path(shutil.copytree(checkpoint / "model", tmp_path / "alone" / "model"))
    world = look_at(folder, notify=lambda text: None)
    assert "direction" not in world.facts
    assert world.subject.run is None
    assert "from story" in world.facts["text"]
    text = tmp_path / "own.txt"
    text.write_text("One day Tom saw a ball near the old tree. " * 40)
    own = look_at(folder, [str(text)], notify=lambda text: None)
    assert str(text) in own.facts["text"]
    assert own.key != world.key


def test_a_run_beside_itself_is_no_control(source: Path) -> None:
    with pytest.raises(ConfigError, match="has the same weights as this model"):
        look_at(source, beside=source, notify=lambda text: None)


def test_the_facts_name_the_direction_of_a_model_that_reads_backwards(source: Path, tmp_path: Path) -> None:
    checkpoint = sorted((source / "checkpoints").iterdir())[-1]
    folder = Path(shutil.copytree(checkpoint / "model", tmp_path / "alone" / "model"))
    config = json.loads((folder / "config.json").read_text())
    config["lilliput"]["objective"] = {"kind": "reversed", "by": "token"}
    (folder / "config.json").write_text(json.dumps(config))
    assert "from the end of a text" in look_at(folder, notify=lambda text: None).facts["direction"]
