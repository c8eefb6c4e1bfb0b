"""Features through time: lives made of links, what counts as a death, and the study of a tiny run."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

import features_in_time
import lilliput
from features_in_time import chains, largest_later, links
from lilliput.lens.feature_matching import Matching
from teaching import TINY


def _matching(features: list[int], partners: list[int], similarity: list[float], mutual: list[bool]) -> Matching:
    values = torch.tensor(similarity)
    return Matching(torch.tensor(features), torch.tensor(partners), values, torch.tensor(mutual), values * 0)


def test_a_link_is_mutual_and_alike() -> None:
    found = _matching([3, 5, 8], [1, 2, 4], [0.9, 0.6, 0.8], [True, True, False])
    assert links(found) == {3: 1}


def test_lives_are_made_of_links() -> None:
    lives = chains([{0: 7, 1: 8}, {7: 2}], [{0, 1, 2}, {7, 8, 9}, {2, 3}])
    assert sorted(lives) == [
        [(0, 0), (1, 7), (2, 2)],  # goes on to the end
        [(0, 1), (1, 8)],
        [(0, 2)],
        [(1, 9)],  # born at the second moment
        [(2, 3)],
    ]


def test_a_death_is_judged_by_every_later_autoencoder() -> None:
    weak, strong = _matching([4], [0], [0.1], [True]), _matching([4], [0], [0.6], [False])
    absent = _matching([9], [0], [0.9], [True])
    assert largest_later([(0, 4)], [[weak, absent], [weak, strong]]) == pytest.approx(0.6)
    assert largest_later([(0, 4)], [[absent]]) == 0.0


def test_the_drift_is_the_cosine_of_birth_and_end() -> None:
    directions = [torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])]
    seen = [SimpleNamespace(coders=[SimpleNamespace(direction=lambda _, one=one: one)]) for one in directions]
    assert features_in_time.drift([(0, 0), (1, 0)], seen) == pytest.approx(0.5**0.5)  # pyright: ignore[reportArgumentType]


@pytest.mark.study
def test_a_tiny_run_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    early = ("train.early_checkpoints=true", "train.checkpoint_steps=10", "train.keep_checkpoints=20")
    lilliput.train("story", [*TINY, *early], name="through", notify=lambda text: None)
    app = features_in_time.typer.Typer()
    app.command()(features_in_time.main)
    given = ["through", "--steps", "1,10,20,30", "--width", "16", "--updates", "5", "--json"]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert '"moments"' in result.output
