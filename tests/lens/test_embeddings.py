"""Embeddings: neighbours, analogies and the map on vectors whose answers are known; controls order."""

import json

import pytest
import torch

from lilliput.lens.embeddings import (
    Analogy,
    Words,
    analogies,
    answer,
    class_purity,
    neighbours,
    project,
    shuffled_classes,
    token_of,
    word_ids,
    words_in,
)
from lilliput.lens.embeddings_section import Embeddings, word_map
from tests.lens.subjects import story_tokenizer, subject


def test_neighbours_point_the_same_way_and_leave_the_word_itself_out():
    matrix = torch.tensor([[1.0, 0.0], [5.0, 0.5], [0.0, 1.0], [-1.0, 0.0]])
    ids = torch.arange(4)
    assert neighbours(matrix, ids, ids, 3)[0].tolist() == [1, 2, 3]
    assert neighbours(matrix, ids[:1], ids[1:], 9).tolist() == [[1, 2]]


def made_words(spread: float) -> Words:
    """Three classes of eight words around three directions."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(16)[:3].repeat_interleave(8, 0)
    vectors = centres + spread * torch.randn(24, 16, generator=generator)
    classes = [name for name in "abc" for _ in range(8)]
    return Words([f"w{number}" for number in range(24)], classes, torch.arange(24), vectors)


def test_purity_is_1_for_tight_classes_and_chance_for_shuffled_classes():
    words = made_words(0.01)
    assert class_purity(words) == [1.0] * 24
    mixed = class_purity(words, shuffled_classes(words, 0))
    assert 0.1 < sum(mixed) / 24 < 0.6
    loose = class_purity(made_words(5.0))
    assert sum(loose) / 24 < 0.7


def test_an_analogy_is_answered_by_the_offset_and_not_by_nearness():
    """d = b - a + c holds exactly; the words nearest to b and to c are others."""
    rows = torch.zeros(7, 8)
    rows[0, 0] = rows[1, 0] = 1  # a, b share a base, and b has the relation
    rows[2, 1] = rows[3, 1] = 1  # c, d
    rows[1, 2] = rows[3, 2] = 1
    rows[4] = rows[2] + 0.1 * torch.eye(8)[4]  # nearest to c
    rows[5] = rows[1] + 0.1 * torch.eye(8)[5]  # nearest to b
    rows[6, 6] = 1
    asked = [Analogy(("a", "b", "c", "d"), (0, 1, 2, 3))]
    found = answer(rows, asked, torch.arange(7))
    assert found.offset.tolist() == [3]
    assert found.near_c.tolist() == [4]
    assert found.near_b.tolist() == [5]
    assert found.random.item() in (3, 4, 5, 6)
    assert torch.equal(found.random, answer(rows, asked, torch.arange(7)).random)


def test_analogies_join_different_pairs_of_known_words():
    tokenizer = story_tokenizer()
    assert token_of(tokenizer, "she") is not None
    assert token_of(tokenizer, "xylophone") is None
    found = analogies(tokenizer, [("he", "she"), ("his", "her"), ("xylophone", "she")])
    assert [one.words for one in found] == [("he", "she", "his", "her"), ("his", "her", "he", "she")]
    assert found[0].ids == tuple(token_of(tokenizer, word) for word in ("he", "she", "his", "her"))


def test_the_map_keeps_a_plane_whole():
    plane = torch.randn(30, 2, generator=torch.Generator().manual_seed(1)) @ torch.randn(
        2, 9, generator=torch.Generator().manual_seed(2)
    )
    places, share = project(plane + 3)
    assert share == pytest.approx(1)
    assert torch.allclose(torch.cdist(places, places), torch.cdist(plane, plane), atol=1e-2)
    _, round_share = project(torch.randn(2000, 10, generator=torch.Generator().manual_seed(3)))
    assert round_share == pytest.approx(0.2, abs=0.03)


def test_words_are_tokens_with_the_space_before_them():
    tokenizer = story_tokenizer()
    ids = word_ids(tokenizer).tolist()
    assert token_of(tokenizer, "the") in ids
    assert tokenizer.bos_id not in ids
    words = words_in(tokenizer, torch.randn(tokenizer.vocab_size, 4))
    assert [tokenizer.decode([number], continuing=True) for number in words.ids.tolist()] == [
        f" {w}" for w in words.words
    ]


def test_the_map_draws_every_word_inside_the_picture():
    points = [{"word": f"<{n}>", "class": f"class {n % 10}", "x": n, "y": -n} for n in range(20)]
    drawn = word_map(points, "wide", 680, 440)
    assert drawn.count("<title>") == 20
    assert "<3>" not in drawn
    assert "&lt;3&gt;" in drawn


def test_names_on_the_map_cover_no_other_name():
    places = {"Tom": 0.0, "Emma": 0.01, "Ben": 9.0}
    points = [{"word": word, "class": "names", "x": x, "y": 0.0} for word, x in places.items()]
    drawn = word_map(points, "wide", 680, 440)
    assert drawn.count("<title>") == 3
    assert [f">{word}</text>" in drawn for word in places] == [True, False, True]


def test_the_instrument_orders_its_controls():
    made = subject()
    words = words_in(made.generator.tokenizer, made.generator.model.embed.weight)
    with torch.no_grad():
        for place, number in enumerate(words.ids.tolist()):
            made.generator.model.embed.weight[number] += (
                2 * torch.eye(48)[list(dict.fromkeys(words.classes)).index(words.classes[place])]
            )
    found = Embeddings().measure(made)
    assert json.loads(json.dumps(found)) == found
    purity = {name: one["mean"] for name, one in found["purity"].items()}
    assert purity["model"] > 0.9
    assert purity["model"] > purity["untrained"] + 0.3
    assert purity["model"] > purity["shuffled classes"] + 0.3
    assert {"offset", "near b", "near c", "random"} < found["analogies"]["model"]["he : she"].keys()
    section = Embeddings().section(found)
    assert "right by the word nearest to c" in section
    assert f"{found['map']['variance']:.0%} of the variance" in section
