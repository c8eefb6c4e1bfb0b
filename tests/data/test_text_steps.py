"""Steps that repair, simplify and choose text: what each does to one document, and what it leaves alone."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.document import Document
from lilliput.data.steps import STEPS, CorpusStep, Dropped, decided
from lilliput.data.steps.inflection import forms
from lilliput.data.steps.measures import Texts
from lilliput.data.steps.quality import Classifier, auc, train
from lilliput.data.steps.readability import counts_of, flesch_kincaid
from lilliput.data.steps.word_lists import occurrences
from lilliput.storybook import story


def after(kind: str, *texts: str, **settings: Any) -> list[str]:
    """The text of each document after a step, or the reason for which it is dropped, in < >."""
    step = STEPS[kind](kind=kind, **settings)
    documents = [Document(text, str(number)) for number, text in enumerate(texts)]
    made = decided(step, [documents])[0] if isinstance(step, CorpusStep) else step.apply_all(documents)
    return [f"<{each.reason}>" if isinstance(each, Dropped) else each.text for each in made]


FRESH = story(1, 0).text


# ---------------------------------------------------------------------- repair and markup


def test_repair_touches_damaged_lines_alone() -> None:
    pytest.importorskip("ftfy")
    text = "It was schÃ¶n.\nâ€œNo,â€\x9d she said.\nTom &amp; Lily\nA “good” line — whole."
    assert after("repair", text) == ["It was schön.\n“No,” she said.\nTom & Lily\nA “good” line — whole."]
    fine = "Ça va? Σ “ok” naïve …"
    assert after("repair", fine) == [fine]
    assert after("repair", "a “b”", straight_quotes=True) == ['a "b"']
    assert after("repair", "&lt;b&gt;", entities=False) == ["&lt;b&gt;"]


def test_markup_leaves_the_text_between() -> None:
    page = "<html><head><title>x</title></head><body><!-- c --><p>One &amp; two.</p><script>var a = '<p>';</script>"
    assert after("markup", page + "<p>Three<br>four.</p></body></html>") == ["One & two.\n\nThree\nfour."]
    assert after("markup", "if a < b and b > c: 3 <4") == ["if a < b and b > c: 3 <4"]
    assert after("markup", "a <b>bold</b> word", html=False) == ["a <b>bold</b> word"]
    wiki = "'''Tom''' is a [[cat (animal)|cat]] of [[Rome]].{{cite|a={{b}}}} [http://x.org site] [[File:a.png]]"
    assert after("markup", wiki, wiki=True) == ["Tom is a cat of Rome. site"]
    assert after("markup", "# Head\nA [link](http://x.org) and **bold**.\n```\ncode\n```", markdown=True) == [
        "Head\nA link and bold.\ncode"
    ]


def test_the_main_text_of_a_page() -> None:
    pytest.importorskip("trafilatura")
    body = "<p>Once upon a time there was a fox who lived by the river and liked to sing every day.</p>" * 3
    page = f"<!DOCTYPE html><html><body><nav><a href='/'>Home</a></nav><article>{body}</article></body></html>"
    (text,) = after("markup", page, pages="main_text")
    assert text.startswith("Once upon a time")
    assert "Home" not in text


def test_boilerplate_goes_and_prose_stays() -> None:
    prose = "The fox sang a song.\nIt was a good song,\nand all were glad.\n\nThe end."
    page = f"Home | About | Contact\nHome\nNews\nSport\nShop\n{prose}\nClick here to subscribe\n© 2020 Fox Press"
    assert after("boilerplate", page) == [prose]
    assert after("boilerplate", prose) == [prose]
    assert after("boilerplate", "Home | About | Contact") == ["<boilerplate alone>"]


# ---------------------------------------------------------------------- readability and vocabulary


def test_grades_of_known_texts() -> None:
    easy = "The cat sat on the mat. It was a big cat. It had a red hat."
    hard = "Institutional considerations necessitate comprehensive organisational transformation."
    counts = counts_of(Texts([easy, hard, ""]))
    assert counts.sentences.tolist() == [3, 1, 1]
    assert counts.words.tolist() == [16, 6, 1]
    assert counts.syllables.tolist()[:2] == [16, 28]
    grades = flesch_kincaid(counts)
    assert grades[0] == pytest.approx(0.39 * 16 / 3 + 11.8 - 15.59)
    assert after("readability", easy, hard, max_grade=6) == [easy, "<readability: above grade 6>"]
    assert after("readability", easy, max_grade=20, min_grade=1)[0] == "<readability: below grade 1>"
    for formula in ("automated", "coleman_liau", "gunning_fog"):
        assert after("readability", easy, hard, formula=formula)[1].startswith("<")


def test_counts_do_not_depend_on_the_neighbours() -> None:
    texts = [story(0, number).text for number in range(30)]
    together = counts_of(Texts(texts))
    for number, text in enumerate(texts):
        alone = counts_of(Texts([text]))
        assert (alone.sentences[0], alone.syllables[0]) == (together.sentences[number], together.syllables[number])


def test_vocabulary_of_the_corpus_and_of_a_file(tmp_path: Path) -> None:
    common, odd = "the cat saw The dog", "zyx wvu tsr the"
    assert after("vocabulary", common, common, odd, size=4, min_coverage=0.9)[2] == "<vocabulary: low coverage>"
    (file := tmp_path / "words.txt").write_text("# easy\nThe\ncat\nsaw\ndog\n")
    assert after("vocabulary", common, odd, words=str(file)) == [common, "<vocabulary: low coverage>"]
    assert after("rare_words", common, common, odd, count=2, max_share=0.5) == [common, common, "<rare words>"]
    (empty := tmp_path / "none.txt").write_text("#\n")
    with pytest.raises(DataError, match="holds no words"):
        after("vocabulary", common, words=str(empty))


# ---------------------------------------------------------------------- words for words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("She utilized a tool.", "She used a tool."),
        ("Utilizing it, he was ASSISTED.", "Using it, he was HELPED."),
        ("An utilization of a residence", "A use of a home"),
        ("He commences; they commenced.", "He starts; they started."),
        ("A purchase? She purchased an error-free hat.", "A buy? She bought an error-free hat."),
        ("In order to obtain it, numerous youngsters wept.", "To get it, many children cried."),
        ("The physician's infants", "The doctor's babies"),
        ("It was an enormous cat and a difficult one", "It was a very big cat and a hard one"),
        ("reutilized, utilizable", "reutilized, utilizable"),
    ],
)
def test_plain_words_keep_case_and_form(old: str, new: str) -> None:
    assert after("substitute", old) == [new]


def test_spelling_both_ways() -> None:
    british = "The grey-haired traveller realised the colours of the theatre."
    american = "The gray-haired traveler realized the colors of the theater."
    assert after("substitute", british, words="american") == [american]
    assert after("substitute", american, words="british") == [british]


def test_words_above_a_level(tmp_path: Path) -> None:
    (file := tmp_path / "levels.csv").write_text(
        "word,replacement,part,level\nabandon,leave,verb,B2\nhuge,big,adjective,A2\n"
    )
    assert after("substitute", "He abandoned a huge ship", words=str(file), above="B1") == ["He left a huge ship"]
    assert after("substitute", "He abandoned a huge ship", words=str(file)) == ["He left a big ship"]
    file.write_text("word,replacement\n,\n")
    with pytest.raises(DataError, match="line 2"):
        after("substitute", "a", words=str(file))


@pytest.mark.parametrize(
    ("word", "part", "expected"),
    [
        ("use", "verb", ("use", "uses", "used", "used", "using")),
        ("stop", "verb", ("stop", "stops", "stopped", "stopped", "stopping")),
        ("carry", "verb", ("carry", "carries", "carried", "carried", "carrying")),
        ("go on", "verb", ("go on", "goes on", "went on", "gone on", "going on")),
        ("see", "verb", ("see", "sees", "saw", "seen", "seeing")),
        ("big", "adjective", ("big", "bigger", "biggest")),
        ("happy", "adjective", ("happy", "happier", "happiest")),
        ("difficult", "adjective", ("difficult",)),
        ("baby", "noun", ("baby", "babies")),
    ],
)
def test_forms(word: str, part: Any, expected: tuple[str, ...]) -> None:
    assert tuple(forms(word, part).values()) == expected


# ---------------------------------------------------------------------- lists and topics


def test_words_of_lists_are_counted_whole(tmp_path: Path) -> None:
    texts = Texts(["Shut up! You idiot, shut up.", "He shut the door up high. An asset."])
    assert occurrences(texts, ("shut up", "idiot", "ass")).tolist() == [3, 0]
    assert occurrences(Texts(["son of"]), ("son of a bitch",)).tolist() == [0]
    assert after("word_list", "You idiot.", "A good day.") == ["<word list: toxic>", "A good day."]
    assert after("word_list", "Girls can't climb.", "He can.", words="biased") == ["<word list: biased>", "He can."]
    assert after("word_list", "You idiot." + " a" * 500, most_per_thousand=3)[0].startswith("You")
    (file := tmp_path / "mine.txt").write_text("red hat\n")
    assert after("word_list", "A Red  hat.", "A red, hat.", words=str(file)) == ["<word list: mine>", "A red, hat."]


def test_topics_are_kept_and_dropped() -> None:
    topics = {"animals": ["fox", "polar bear"], "school": ["teacher", "lesson"]}
    texts = "The fox met a polar bear.", "The teacher gave a lesson.", "It rained."
    step = STEPS["topics"].model_validate({"topics": topics})
    made = step.apply_all([Document(text, text) for text in texts])
    assert [each.meta["topic"] for each in made if isinstance(each, Document)] == ["animals", "school", "other"]
    assert after("topics", *texts, topics=topics, keep=["animals"]) == [
        texts[0],
        "<topic: school>",
        "<topic: other>",
    ]


# ---------------------------------------------------------------------- quality


def test_a_classifier_tells_stories_from_noise(tmp_path: Path) -> None:
    rng = random.Random(0)
    good = [story(0, number).text for number in range(60)]
    bad = [" ".join(rng.sample(text.split(), k=len(text.split()))) for text in good]
    trained = train(good, bad)
    assert trained.auc > 0.9
    trained.classifier.save(tmp_path / "c.safetensors")
    again = Classifier.load(tmp_path / "c.safetensors")
    fresh = Texts([FRESH, *bad[:1]])
    assert np.allclose(again.probabilities(fresh), trained.classifier.probabilities(fresh))
    kept = after("quality", FRESH, bad[0], classifier=str(tmp_path / "c.safetensors"))
    assert kept == [FRESH, "<quality: low>"]
    (tmp_path / "c.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="holds no classifier"):
        after("quality", "a", classifier=str(tmp_path / "c.safetensors"))
    assert auc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 1, 0, 0])) == pytest.approx(0.875)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises((ConfigError, ValueError)):
        STEPS["readability"].model_validate({"formula": "none"})
    assert json.dumps(STEPS["repair"]().fingerprint())


# ---------------------------------------------------------------------- datatrove's filters


def test_a_filter_of_datatrove_drops() -> None:
    pytest.importorskip("datatrove", reason="datatrove, whose filters are used, is not installed")
    made = after("datatrove", "a secret here", "plain", filter="RegexFilter", options={"regex_exp": "secret"})
    assert made == ["<RegexFilter>", "plain"]
    with pytest.raises((ConfigError, ValueError), match="RegexFilter"):
        after("datatrove", "a", filter="RegexFiltr")
    with pytest.raises(ConfigError, match="RegexFilter"):
        after("datatrove", "a", filter="RegexFilter", options={"regex": "a"})
