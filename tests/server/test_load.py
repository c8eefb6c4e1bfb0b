"""The load benchmark's own arithmetic, on a server that is already there."""

import serve_load
from tests.server.conftest import Address


def test_readers_take_turns_and_leave_nothing_behind(server: Address) -> None:
    tally, rate = serve_load.measured(server.url, streams=12, seconds=1.0, tokens=8)
    assert tally.errors == []
    assert tally.streams + tally.left >= 12
    assert tally.small_first_seconds
    assert tally.left >= 1
    assert len(tally.first_seconds) == tally.streams + tally.left
    assert rate > 0
    left = serve_load.figures(server.url)
    assert left['state="waiting"'] == 0


def test_a_refusal_is_an_error_in_the_tally(server: Address) -> None:
    tally, _ = serve_load.measured(server.url, streams=1, seconds=0.5, tokens=0)
    assert "max_tokens" in tally.errors[0]


def test_a_small_request_behind_large_ones_is_measured(server: Address) -> None:
    import asyncio

    tally = asyncio.run(serve_load.behind(server.url, texts=30))
    assert tally.errors == []
    assert len(tally.small_first_seconds) == 1
