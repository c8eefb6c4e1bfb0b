"""The judge behind a loopback stand-in: what is asked, what is kept, what is refused; marks, noise and the table."""

import json
import math

import pytest

from lilliput.base.endpoint import Judge, JudgeError
from lilliput.base.errors import ConfigError
from lilliput.evaluation.benchmarks.conversation import filled, rating
from lilliput.evaluation.benchmarks.loading import records
from lilliput.evaluation.benchmarks.measure import measure
from lilliput.evaluation.benchmarks.task import TASKS, Tools
from lilliput.evaluation.judge.story import CRITERIA, JudgedStory, mark_stories, noise, read_marks
from lilliput.evaluation.judge.table import human_stories, judged_row, normalise, proxy_row, shuffled
from tests.evaluation.benchmarks.test_tasks import write
from tests.evaluation.judge.server import GOOD, Server

STORIES = [JudgedStory("Once there was", f" a cat number {i}.") for i in range(12)]


def asked(judge, text="hello", **options):
    return judge.ask([{"role": "user", "content": text}], str, **options)


def test_an_answer_is_asked_for_once(monkeypatch):
    monkeypatch.setenv("LILLIPUT_JUDGE_KEY", "secret")
    with Server("one", "two", "three") as server:
        judge = Judge(server.url + "/", "m", temperature=0.5)
        assert [asked(judge), asked(judge), asked(judge, sample=1), asked(judge, "other")] == [
            "one",
            "one",
            "two",
            "three",
        ]
        assert asked(Judge(server.url, "m", temperature=0.5)) == "one"
        path, headers, body = server.requests[0]
        assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer secret")
        assert body == {"model": "m", "messages": [{"role": "user", "content": "hello"}], "temperature": 0.5}
        assert len(server.requests) == judge.asked == 3
        assert asked(Judge(server.url, "another model")) == "three"
        assert len(server.requests) == 4


def test_without_a_key_none_is_sent(monkeypatch):
    for name in ("LILLIPUT_JUDGE_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with Server("x") as server:
        asked(Judge(server.url, "m"))
        assert "Authorization" not in server.requests[0][1]


def test_a_busy_judge_is_asked_again_and_a_refusal_is_not():
    with Server(503, 429, "late") as server:
        assert asked(Judge(server.url, "m", pause=0.001)) == "late"
        assert len(server.requests) == 3
    with Server(401) as server:
        with pytest.raises(JudgeError, match="HTTP 401") as caught:
            asked(Judge(server.url, "m"))
        assert "LILLIPUT_JUDGE_KEY" in (caught.value.hint or "")
        assert len(server.requests) == 1
    with pytest.raises(JudgeError, match="cannot be reached"):
        asked(Judge(server.url, "m", pause=0.001))
    with pytest.raises(JudgeError, match="not the address"):
        Judge("localhost:8000", "m")


def test_an_answer_that_is_refused_is_asked_for_again_and_not_kept():
    with Server("bad", json.dumps(GOOD)) as server:
        judge = Judge(server.url, "m")
        (marks,), _ = mark_stories(judge, STORIES[:1], twice=0)
        assert marks.grades["plot"] == 5
        assert len(server.requests) == 2
    with (
        Server("bad") as server,
        pytest.raises(JudgeError, match="does not answer in the requested form: the answer holds no JSON"),
    ):
        mark_stories(Judge(server.url, "m"), STORIES[:1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"grammar": 11}, "grade for grammar is 11"),
        ({"plot": "good"}, "grade for plot is 'good'"),
        ({"plot": True}, "grade for plot is True"),
        ({"age_group": "Z"}, "age group 'Z'"),
        ({"rationale": " "}, "rationale"),
    ],
)
def test_marks_are_checked(change, says):
    with pytest.raises(ValueError, match=says):
        read_marks(json.dumps({**GOOD, **change}))


def test_the_rationale_has_to_come_first():
    late = {**{key: value for key, value in GOOD.items() if key != "rationale"}, "rationale": "Afterwards."}
    with pytest.raises(ValueError, match="rationale does not come before"):
        read_marks(json.dumps(late))
    marks = read_marks("Here it is:\n```json\n" + json.dumps(GOOD) + "\n```")
    assert (marks.age_group, marks.rationale) == ("B", "It is simple and clear.")
    with pytest.raises(ValueError, match="no JSON object"):
        read_marks("eight")


def test_a_share_is_marked_twice_and_gives_the_judges_noise():
    turn = iter(range(10**6))
    with Server(lambda text: json.dumps({**GOOD, "grammar": 4 + 2 * (next(turn) % 2)})) as server:
        marks, pairs = mark_stories(Judge(server.url, "m"), STORIES, twice=1.0)
        assert (len(marks), len(pairs), len(server.requests)) == (12, 12, 24)
        assert noise(pairs)["grammar"] == pytest.approx(math.sqrt(2))
        assert noise(pairs)["plot"] == 0
        some = mark_stories(Judge(server.url, "m"), STORIES, twice=0.4)[1]
        assert 0 < len(some) < 12
        assert len(server.requests) == 24
    assert noise([]) == {}


def test_the_table_runs_from_the_lowest_row_to_the_best():
    rows = {}
    for name, plot in (("floor", 1), ("model", 4), ("ceiling", 9)):
        marks = [read_marks(json.dumps({**GOOD, "plot": plot})) for _ in range(5)]
        rows[name] = judged_row(marks)
    normalise(rows)
    assert [rows[name]["scores"]["plot"]["normalised"] for name in rows] == [0, pytest.approx(3 / 8), 1]
    assert rows["model"]["scores"]["plot"] == {"mean": 4, "interval": (4, 4), "normalised": pytest.approx(3 / 8)}
    assert math.isnan(rows["model"]["scores"]["grammar"]["normalised"])
    assert rows["model"]["age_groups"] == {"B": 5}
    assert set(rows["model"]["scores"]) == set(CRITERIA)


def test_where_less_is_better_the_lowest_is_best():
    rows = {"a": proxy_row({"repeated_4": [0.1, 0.3]}, 2), "b": proxy_row({"repeated_4": [0.8, math.nan]}, 2)}
    normalise(rows)
    assert [row["scores"]["repeated_4"]["normalised"] for row in rows.values()] == [1, 0]
    assert rows["b"]["scores"]["repeated_4"]["interval"] is None


def test_human_text_and_its_shuffled_words():
    (story,) = human_stories(["One two three four five six seven eight nine ten.", "alone"])
    assert story == JudgedStory("One two three four", " five six seven eight nine ten.")
    (floor,) = shuffled([story])
    assert floor.completion != story.completion
    assert sorted(floor.completion.split()) == sorted(story.completion.split())
    assert shuffled([story]) == [floor]


# ---------------------------------------------------------------------------- MT-Bench


@pytest.fixture
def mt_bench(tmp_path):
    questions = [
        {"question_id": 81, "category": "writing", "turns": ["Write {a}.", "Again."]},
        {"question_id": 101, "category": "reasoning", "turns": ["Who?", "Why?"]},
    ]
    write(tmp_path, "mt_bench/question.jsonl", questions)
    prompts = [
        {"name": f"single-{kind}{turn}", "system_prompt": "S", "prompt_template": template}
        for kind, reference in (("v1", ""), ("math-v1", " ref {ref_answer_1}"))
        for turn, template in (
            ("", "first {question} {answer}" + reference),
            ("-multi-turn", "second {question_2} {answer_1} {answer_2}" + reference),
        )
    ]
    write(tmp_path, "mt_bench/judge_prompts.jsonl", prompts)
    reference = {"question_id": 101, "choices": [{"turns": ["REF1", "REF2"]}]}
    write(tmp_path, "mt_bench/reference_answer_x.jsonl", [reference])
    return records("mt_bench", tmp_path)


def test_mt_bench_asks_for_both_turns(mt_bench, tiny):
    with Server(lambda text: "Well. [[3]]" if "first" in text else "[[6.5]]") as server:
        tools = Tools(Judge(server.url, "m"))
        rows = measure("mt_bench", TASKS["mt_bench"](), mt_bench, tiny.generator, tools)
        sent = [body["messages"][1]["content"] for _, _, body in server.requests]
    assert {row.metric: row.total.score for row in rows} == {"score": 4.75, "turn_1": 3, "turn_2": 6.5}
    assert rows[0].total.chance == 1
    assert list(rows[0].parts) == ["reasoning", "writing"]
    assert sent[0].startswith("first Write {a}. ")
    assert "ref REF1" in sent[2]
    assert "ref" not in sent[0]


def test_mt_bench_needs_a_judge(mt_bench, tiny):
    with pytest.raises(ConfigError, match="marked by a judge"):
        measure("mt_bench", TASKS["mt_bench"](), mt_bench, tiny.generator)


def test_ratings():
    assert rating("Good. Rating: [[7]]") == 7
    for text in ("[[0]]", "[[11]]", "7"):
        with pytest.raises(ValueError, match="no rating"):
            rating(text)
    assert filled("{a} {b}", {"a": "{b}"}) == "{b} {b}"
