"""The story world as a source."""

from lilliput.data.story import Stories


def test_stories_with_their_plans():
    documents = list(Stories(stories=5, seed=3).documents())
    assert [document.id for document in documents] == [f"story:3:{number}" for number in range(5)]
    assert len({document.text for document in documents}) == 5
    assert all(document.meta and document.text.strip() for document in documents)
    assert [document.text for document in Stories(stories=5, seed=3).documents()] == [d.text for d in documents]


def test_the_fingerprint_follows_number_and_seed():
    prints = {Stories(stories=n, seed=s).fingerprint() for n in (5, 6) for s in (0, 1)}
    assert len(prints) == 4
    assert Stories(stories=5, seed=0).fingerprint() in prints
    assert "5 stories of the built-in world, seed 0" in Stories(stories=5).describe()
