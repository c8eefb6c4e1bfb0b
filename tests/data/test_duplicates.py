"""Duplicates of documents and paragraphs: what goes, what stays, and that estimates agree with the truth."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lilliput.data.config import DataConfig
from lilliput.data.curation import Curation
from lilliput.data.document import Document
from lilliput.data.steps import CorpusStep, Dropped, decided
from lilliput.data.steps.duplicates import ExactDuplicates, NearDuplicates
from lilliput.data.steps.measures import Texts
from lilliput.data.steps.minhash import clusters, signatures
from lilliput.storybook import story


def outcomes(step: CorpusStep, texts: Sequence[str], batch: int = 3) -> list[str | None]:
    """The text of each document after the step, and None for a dropped one."""
    documents = [Document(text, str(number)) for number, text in enumerate(texts)]
    batches = [documents[place : place + batch] for place in range(0, len(documents), batch)]
    first = [outcome for each in decided(step, batches) for outcome in each]
    return [None if isinstance(outcome, Dropped) else outcome.text for outcome in first]


def test_the_first_of_equal_documents_stays() -> None:
    assert outcomes(ExactDuplicates(), ["a", "b", "a", "c", "b", "a ", "a"]) == ["a", "b", None, "c", None, "a ", None]


def test_the_first_of_equal_paragraphs_stays() -> None:
    line, short = "A line that stands on every page of the site.", "Menu"
    texts = [f"One.\n{line}\n{short}", f"{line}\nTwo.\n{short}", line, f"{line}\n{line}\nThree."]
    kept = outcomes(ExactDuplicates(of="paragraphs"), texts)
    assert kept == [texts[0], f"Two.\n{short}", None, "Three."]
    assert outcomes(ExactDuplicates(of="paragraphs", min_characters=100), texts) == texts


def edited(text: str, rate: float, rng: random.Random, words: Sequence[str]) -> str:
    """The text with this share of its words replaced."""
    return " ".join(rng.choice(words) if rng.random() < rate else word for word in text.split(" "))


def test_near_copies_go_and_other_texts_stay() -> None:
    rng, words = random.Random(1), [f"word{number}" for number in range(3000)]
    texts = [" ".join(rng.choices(words, k=200)) for _ in range(120)]
    copies = [edited(text, 0.02, rng, words) for text in texts]
    far = [edited(text, 0.3, rng, words) for text in texts]
    kept = outcomes(NearDuplicates(), [*texts, *copies, *far], batch=50)
    assert kept[:120] == texts
    assert sum(text is None for text in kept[120:240]) > 105
    assert kept[240:] == far


@pytest.mark.parametrize("words", [1, 3, 5])
def test_equal_minima_estimate_the_jaccard_similarity(words: int) -> None:
    rng, known = random.Random(2), [f"w{number}" for number in range(400)]
    for rate in (0.0, 0.02, 0.1, 0.4):
        one = " ".join(rng.choices(known, k=300))
        other = edited(one, rate, rng, known)
        sets = [{tuple(text.split()[place : place + words]) for place in range(301 - words)} for text in (one, other)]
        right = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        found = signatures(Texts([one, other]), words, 64).view(np.uint8).reshape(2, -1)
        estimate = ((found[0] == found[1]).mean() - 1 / 256) / (1 - 1 / 256)
        assert abs(estimate - right) < 0.1
        assert rate or estimate == 1


def test_short_and_empty_texts() -> None:
    kept = outcomes(NearDuplicates(), ["", "one", "two", "one", "", "one two three", "one two three"], batch=4)
    assert kept == ["", "one", "two", None, "", "one two three", None]


def test_signatures_do_not_depend_on_the_other_texts() -> None:
    texts = [story(3, number).text for number in range(9)]
    whole = signatures(Texts(texts), 5, 16)
    for number, text in enumerate(texts):
        assert (signatures(Texts([text]), 5, 16)[0] == whole[number]).all()
    assert len(np.unique(whole)) == whole.size
    assert clusters(np.concatenate([whole, whole[2:4]]), 0.9).tolist() == [*range(9), 2, 3]


def test_a_run_drops_them_between_other_steps(tmp_path: Path) -> None:
    text = story(1, 1).text
    bodies = (text, "short", text.replace("\n", "\r\n"), "other " * 9)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": body}) + "\n" for body in bodies))
    steps = [{"kind": "normalise"}, {"kind": "near_duplicates"}, {"kind": "length", "min_words": 3}]
    steps.append({"kind": "exact_duplicates", "of": "paragraphs"})
    source = {"kind": "jsonl", "paths": [str(tmp_path / "a.jsonl")]}
    curation = Curation(DataConfig.model_validate({"sources": [source], "steps": steps}))
    kept = [item.document.id for item in curation]
    assert len(kept) == 2
    assert curation.drops == {"nearly the same document before": 1, "fewer than 3 words": 1}


def test_it_cannot_be_applied_to_one_document() -> None:
    with pytest.raises(TypeError, match="all documents first"):
        NearDuplicates().apply(Document("a", "a"))
