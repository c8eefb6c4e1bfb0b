"""Heads through time: the chosen checkpoints, when heads form, and the instrument on both of its sources."""

import json
from dataclasses import replace

import pytest
import torch

from lilliput.lens.evolve import Forming, chosen_steps, evolve, formed, thousands
from lilliput.lens.probes import repeated
from lilliput.lens.watching import look
from lilliput.runs.run_folder import RunFolder
from tests.lens.induction_model import WORDS, induction_model
from tests.lens.story_subject import generator, subject


@pytest.mark.parametrize(
    ("most", "expected"), [(4, [1, 2, 4, 120]), (1, [120]), (5, [1, 2, 4, 100, 120]), (9, [1, 2, 3, 4, 100, 120])]
)
def test_powers_of_two_come_first(most, expected):
    assert chosen_steps([1, 2, 3, 4, 100, 120], most) == expected
    assert chosen_steps([], most) == []


def test_a_look_finds_the_heads_made_by_hand():
    found = look(induction_model(), repeated(torch.arange(1, WORDS), 0, 4, 12), drawn=True)
    assert found["previous"][0][0] > 0.99
    assert found["induction"][1][0] > 0.99
    assert found["induction_shuffled"][1][0] < 0.2
    assert len(found["patterns"][1][0]) == 25
    assert max(found["patterns"][1][0][20]) > 95


def test_when_heads_form():
    points = [
        {"step": step, "induction": [[0.05, value]]} for step, value in ((0, 0.1), (8, 0.3), (16, 0.5), (32, 0.9))
    ]
    assert formed(points, "induction") == (16, "0.1", 8)
    assert formed(points[:1], "induction") is None
    assert formed([points[3], points[3]], "induction") is None


def test_a_head_that_formed_is_a_finding_where_it_beats_its_controls(tmp_path):
    run = RunFolder(tmp_path)
    for step in (0, 10, 20, 40):
        run.append_metrics({"step": step, "tokens": 2000 * step})
    points = [
        {"step": step, "induction": [[0.05, value]], "induction_shuffled": [[0.02, 0.04]]}
        for step, value in ((0, 0.1), (8, 0.3), (16, 0.5), (32, 0.9))
    ]
    found = {
        "formed": {"induction": formed(points, "induction"), "previous": None},
        "points": points,
        "untrained": {"induction": [[0.1, 0.12]]},
        "thousands": thousands(tmp_path, (0, 8, 16, 32)),
    }
    found = json.loads(json.dumps(found))
    (line,) = Forming().findings(found)
    assert "formed between step 8 and step 16: head 0.1 ends with a share of 90%" in line
    assert "the strongest head of the control has 12%" in line
    (figure,) = Forming().comparable(found).values()
    assert figure == (32.0, None, 16.0, 32.0)
    assert Forming().comparable({**found, "thousands": {}}) == {}
    for untrained, shuffled in ((0.95, 0.04), (0.1, 0.95)):
        found["untrained"]["induction"][0][0] = untrained
        found["points"][-1]["induction_shuffled"][0][0] = shuffled
        assert Forming().findings(found) == []
        assert Forming().comparable(found) == {}
    assert thousands(tmp_path / "nowhere", (1, 2)) == {}


def test_evolve_orders_its_checkpoints():
    found = evolve([(4, generator(seed=1)), (2, generator())])
    assert [point["step"] for point in found] == [2, 4]
    assert found == evolve([(2, generator()), (4, generator(seed=1))])
    assert found[0]["induction"] != found[1]["induction"]


def test_the_instrument_reads_the_runs_file(tmp_path):
    one, run = replace(subject(), run=tmp_path), RunFolder(tmp_path)
    assert "evaluate.watch" in Forming().refuses(one)
    assert "no run" in Forming().refuses(subject())
    for point in evolve([(1, generator()), (8, generator(seed=1))]):
        run.append_heads(point)
    run.append_metrics({"step": 8, "val_bits_per_byte": 1.5})
    assert not Forming().refuses(one)
    found = Forming().measure(one)
    assert [point["step"] for point in found["points"]] == [1, 8]
    assert found["loss"] == [(8, 1.5)]
    html = Forming().section(found)
    assert "<script" not in html
    assert html.count("<figure>") == 3
    assert "largest of untrained weights" in html
