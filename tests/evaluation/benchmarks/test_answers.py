"""Written answers: how they are made, cut off, compared and run."""

import json
import shutil
from typing import Any

import pytest

from lilliput.evaluation.benchmarks.answers import Coqa, Gsm8k, compare, f1, last_number, stated
from lilliput.evaluation.benchmarks.benchmarking import benchmark
from lilliput.evaluation.benchmarks.code import HumanEval
from lilliput.evaluation.benchmarks.loading import records
from lilliput.evaluation.benchmarks.measure import Writer, measure
from lilliput.evaluation.benchmarks.task import TASKS, Tools
from lilliput.evaluation.sandbox import SandboxMissing
from lilliput.generation.loading import load
from tests.evaluation.benchmarks.test_tasks import write

GSM = {"question": "How many?", "answer": "48/2 = <<48/2=24>>24\n#### 1,224"}


@pytest.mark.parametrize(
    ("answer", "acc", "strict"),
    [
        ("It is so.\n#### 1224", 1, 1),
        ("#### $1,224.00", 1, 1),
        ("There are 1,224 of them.", 1, 0),
        ("#### 3 and not 1224", 0, 0),
        ("no idea", 0, 0),
        ("", 0, 0),
    ],
)
def test_gsm8k(answer, acc, strict):
    assert Gsm8k().marks(GSM, answer, Tools()) == {"acc": acc, "strict": strict}


def test_numbers():
    assert stated("#### -7.") == -7
    assert last_number("from 3 to -4.5.") == -4.5
    assert last_number("none") is None


def test_f1_is_squads():
    assert f1("The cat sat.", "a cat sat") == 1
    assert f1("cat", "the cat sat down") == pytest.approx(2 * 1 / (1 + 3))
    assert f1("dog", "cat") == 0
    assert f1("", "the") == 1  # both are empty without articles
    assert f1("cat", "") == 0


def test_chance_is_an_answer_of_another_item():
    items = [{"question": "q", "answer": [answer]} for answer in ("old dog", "old cat", "blue bird")]
    task: Any = TASKS["nq_open"]()
    # half of the words, of one of two others
    assert task.chances(items, "f1", Tools()) == pytest.approx([0.25, 0.25, 0])
    assert task.chances(items, "exact", Tools()) == [0, 0, 0]
    assert task.chances(items[:1], "f1", Tools()) == [0]


def test_coqa_leaves_out_each_answer_in_turn():
    # Against {b, c}, {a, c}, {a, b}: the answer 'a' is found in two of three.
    assert compare("a1", ["a1", "b1", "c1"], leave_one_out=True)["exact"] == pytest.approx(2 / 3)
    assert compare("a1", ["a1", "b1"], leave_one_out=False)["exact"] == 1
    assert compare("a1 b1", ["a1", "b1"], leave_one_out=True)["f1"] == pytest.approx(2 / 3)


def test_coqa_and_fairytaleqa_records(tmp_path):
    turns = [{"input_text": "who?"}, {"input_text": "where?"}]
    answers = [{"input_text": "Tom"}, {"input_text": "home"}]
    raw = {"story": "S", "questions": turns, "answers": answers, "additional_answers": {"0": answers}}
    (record,) = records("coqa", write(tmp_path, "coqa.jsonl", [raw]))
    assert Coqa().prompt(record) == "S\n\nQ: who?\n\nA: Tom\n\nQ: where?\n\nA:"
    assert record["others"] == ["home"]
    by_field = {"story": "S", "questions": {"input_text": ["who?"]}, "answers": {"input_text": ["Tom"]}}
    (hub,) = records("coqa", write(tmp_path, "coqa2.jsonl", [by_field]))
    assert (hub["questions"], hub["others"]) == (["who?"], [])
    asked = [{"question": f"q{i}", "answer1": "x", "answer4": "y"} for i in range(3)]
    tales = records("fairytaleqa", write(tmp_path, "fairytaleqa.jsonl", [{"text": "T", "questions": asked}]))
    assert [tale["question"] for tale in tales] == ["q0", "q1", "q2"]


def test_answers_end_at_stops(tiny):
    write_answers = Writer(tiny.generator)
    (whole,) = write_answers(["the cat"], (), 24)
    assert len(whole) > 3
    assert write_answers(["the cat", "a dog sat", "the cat"], (), 24)[::2] == [whole, whole]
    assert write_answers(["the cat"], (whole[2:4],), 24) == [whole[: whole.find(whole[2:4])]]
    assert write_answers.cut == 0
    write_answers(["the cat sat " * 60], (), 8)
    assert write_answers.cut == 1


def test_answers_end_at_every_end_token_of_the_folder(tiny, tmp_path):
    """A token that the model writes is made the folder's second end token: what stands before it is the answer."""
    prompt = "Q: what is red?\nA:"
    (free,) = load(tiny.folder, notify=print).generate_detailed(prompt, temperature=0.0, max_tokens=32)
    ids = [token.id for token in free.tokens]
    end = next(number for place, number in enumerate(ids) if place > 2 and number not in ids[:place])
    right = tiny.tokenizer.decode(ids[: ids.index(end)], continuing=True)
    data = write(tmp_path, "nq_open.jsonl", [{"question": "what is red", "answer": [right]}])

    def exact(folder):
        return benchmark(folder, ["nq_open"], data, controls=False, device="cpu")[0]["scores"][str(folder)]["score"]

    folder = shutil.copytree(tiny.folder, tmp_path / "two ends")
    assert exact(folder) == 0
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [tiny.tokenizer.eos_id, end]}))
    assert exact(folder) == 1


def test_a_stop_string_that_spells_a_special_token_ends_an_answer(tiny):
    """As in gsm8k's stops: the token has no text in which it could be found. The model writes it second."""
    (free,), _ = tiny.generator.answer(["the cat"], (), 9)
    (ended,), _ = tiny.generator.answer(["the cat"], ("<|begin_of_text|>",), 9)
    assert len(ended) == 1 < len(free)


def test_rows_of_written_answers(tiny, tmp_path):
    found = records("gsm8k", write(tmp_path, "gsm8k.jsonl", [GSM] * 3))
    rows = measure("gsm8k", TASKS["gsm8k"](), found, tiny.generator)
    assert [(row.metric, row.total.items, row.total.chance) for row in rows] == [("acc", 3, 0), ("strict", 3, 0)]


HUMAN = {
    "prompt": "def double(x):\n",
    "entry_point": "double",
    "test": "def check(f):\n    assert f(2) == 4\n",
}


@pytest.mark.parametrize(("body", "passed"), [("    return 2 * x", 1), ("    return x", 0), ("  return (", 0)])
def test_humaneval(body, passed):
    task = HumanEval()
    try:
        task.check(Tools())
    except SandboxMissing as missing:
        pytest.skip(missing.message)
    assert task.marks(HUMAN, body, Tools()) == {"pass": passed}


def test_humaneval_without_a_sandbox_runs_nothing_unless_allowed(monkeypatch, tiny):
    from lilliput.evaluation.benchmarks import code

    def missing():
        raise SandboxMissing("no namespaces here", "--allow-code")

    monkeypatch.setattr(code, "check_sandbox", missing)
    monkeypatch.setattr(code, "run_program", lambda *given, **options: pytest.fail("a program was run"))
    with pytest.raises(SandboxMissing, match="no namespaces"):
        measure("humaneval", TASKS["humaneval"](), [HUMAN], tiny.generator)
    seen = []
    monkeypatch.setattr(code, "run_program", lambda program, sandboxed: seen.append(sandboxed) or "passed")
    (row,) = measure("humaneval", TASKS["humaneval"](), [HUMAN], tiny.generator, Tools(allow_code=True))
    assert (seen, row.total.score) == ([False], 1.0)
