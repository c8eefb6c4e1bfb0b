"""The rules of Gopher, C4 and FineWeb: what each drops, and with which reason."""

import pytest

from lilliput.data.config import DataConfig
from lilliput.data.curation import Curation
from lilliput.data.document import Document
from lilliput.data.steps import Dropped, Step
from lilliput.data.steps.rules import C4, FineWeb, GopherQuality, GopherRepetition
from lilliput.storybook import story

GOOD = "\n".join(" ".join(story(1, number).text.split()) for number in range(3))


def reason(step: Step, text: str) -> str | None:
    outcome = step.apply(Document(text, "a"))
    return outcome.reason if isinstance(outcome, Dropped) else None


@pytest.mark.parametrize("step", [GopherQuality(), GopherRepetition(), C4(), FineWeb()])
def test_a_good_text_stays_as_it_is(step: Step) -> None:
    document = Document(GOOD, "a", {"n": 1})
    assert step.apply(document) == document


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Too few words.", "gopher: few words"),
        ("the of " * 50_001, "gopher: many words"),
        ("a of the to a b c d e f " * 10, "gopher: short words"),
        ("the and " + "extraordinarily " * 60, "gopher: long words"),
        (GOOD + " #" * 400, "gopher: hash signs"),
        (GOOD + " and ..." * 400, "gopher: ellipses"),
        (GOOD + " 12" * 400, "gopher: words without letters"),
        ("never once did anybody here say such words about anything at all " * 8, "gopher: few stop words"),
        (
            "\n".join(f"- the garden and the little house that we have {number}" for number in range(30)),
            "gopher: bullets",
        ),
        ("\n".join(f"{'the cat of the house sees it all again ' * 2}…" for _ in range(9)), "gopher: lines cut by an"),
    ],
)
def test_gopher_quality(text: str, wanted: str) -> None:
    assert (reason(GopherQuality(), text) or "").startswith(wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "empty"),
        ("word again " * 60, "gopher: one sequence of 2 words"),
        ("\n\n".join(["A whole paragraph with the same words."] * 3), "gopher: repeated paragraphs"),
        (GOOD + "\nThe same line again and again." * 60, "gopher: repeated lines"),
        (" ".join(["one two three four five six seven eight nine ten"] * 3), "gopher: repeated sequences of 5 words"),
    ],
)
def test_gopher_repetition(text: str, wanted: str) -> None:
    step = GopherRepetition()
    if "sequences" in wanted:
        step = GopherRepetition(max_top={})
    elif wanted.startswith("gopher: repeated"):
        step = GopherRepetition(max_top={}, max_repeated={})
    assert reason(step, text) == wanted


def test_c4_keeps_lines_of_prose() -> None:
    text = "\n".join(
        [
            "Menu",
            "The first sentence is here. And a second one!",
            "Two words.",
            "Enable JavaScript to read this page.",
            "We use cookies on this page, as all do.",
            'He said "yes" and no more[12].',
            "It goes on and on...",
            "Mr. J. Smith came by. He sat down. He slept.",
        ]
    )
    kept = C4(min_sentences=6).apply(Document(text, "a"))
    assert isinstance(kept, Document)
    assert kept.text.split("\n") == [
        "The first sentence is here. And a second one!",
        'He said "yes" and no more.',
        "Mr. J. Smith came by. He sat down. He slept.",
    ]
    assert reason(C4(min_sentences=7), text) == "c4: few sentences"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("Lorem ipsum dolor sit amet.", "c4: lorem ipsum"), ("if (x) { y = 1; } is code.", "c4: braces")],
)
def test_c4_drops(line: str, wanted: str) -> None:
    assert reason(C4(), GOOD + "\n" + line) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (" ", "empty"),
        ("\n \n", "fineweb: a list"),
        ("\n".join(f"a line of many words without an end number {number}" for number in range(20)), "lines without"),
        (
            "\n".join(f"Short {number}. And then more words follow here." * (1 + number % 2) for number in [1] * 3),
            "rep",
        ),
        ("A short line here.\n" + "\n".join(f"So {number} it is here." for number in range(9)), "fineweb: short lines"),
        ("\n".join(f"{number}." for number in range(40)), "fineweb: "),
    ],
)
def test_fineweb(text: str, wanted: str) -> None:
    assert wanted in (reason(FineWeb(), text) or "")


def test_many_documents_get_the_verdicts_of_each() -> None:
    texts = [GOOD, "short", "word again " * 60, GOOD.replace("the", "a"), "", "- x\n" * 200]
    for step in (GopherQuality(), GopherRepetition(), FineWeb()):
        documents = [Document(text, str(number)) for number, text in enumerate(texts)]
        assert step.apply_all(documents) == [step.apply(document) for document in documents]


def test_a_run_counts_what_was_dropped(tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(f'{{"text": "{text}"}}' for text in ["short", "the one " * 60, "no"]))
    config = DataConfig.model_validate(
        {
            "sources": [{"kind": "jsonl", "paths": [str(tmp_path / "a.jsonl")]}, {"kind": "story", "stories": 300}],
            "steps": [{"kind": "gopher_quality"}, {"kind": "gopher_repetition"}],
        }
    )
    curation = Curation(config)
    kept = list(curation)
    assert len(kept) + curation.drops.total() == 303
    assert curation.drops["gopher: few words"] == 2
    assert curation.by_source[0]["dropped"] == 3
    assert curation.by_source[1]["documents"] > 200
