"""The study of when heads form: what it reads from curves, and every kind of run at its smallest size."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import forming

NEWS = "The mayor of {0} said on Monday that the bridge would open in {0}.\n\n"


def test_a_curve_is_reached_where_it_stays_there() -> None:
    assert forming.reached([(0, 0.0), (100, 0.2), (200, 0.3)], 0.1) == pytest.approx(50)
    assert forming.reached([(0, 0.0), (100, 0.2), (200, 0.0), (300, 0.05)], 0.1) is None  # one noisy point
    assert forming.reached([(0, 0.0), (100, 0.05)], 0.1) is None
    assert forming.reached([(10, 0.5), (20, 0.6)], 0.1) == 10


def test_the_loss_bends_where_it_falls_fastest_after_the_first_tenth() -> None:
    losses = [(10, 9.0), (50, 5.0), (100, 3.0), (200, 2.9), (400, 2.0), (800, 1.9)]
    assert forming.steepest(losses) == pytest.approx(math.sqrt(200 * 400))
    assert forming.steepest([(100, 3.0)]) is None


def test_the_strongest_head_is_judged_against_its_own_control() -> None:
    look = {"induction": [[0.5, 0.2], [0.1, 0.4]], "induction_shuffled": [[0.5, 0.1], [0.1, 0.1]]}
    excess, head = forming.strongest(look)
    assert (head, excess) == ("1.1", pytest.approx(0.3))


def test_the_power_is_of_the_runs_that_formed() -> None:
    found = {
        f"{rows} x {context}": {
            "rows": rows,
            "context": context,
            "seeds": [{"copies": 7 * math.sqrt(rows * context)}, {"copies": None}],
        }
        for rows, context in ((4, 128), (8, 256), (16, 512))
    }
    row = forming.power(found, "copies")
    assert (row["runs"], row["formed"], row["power"]) == (6, 3, pytest.approx(0.5))
    found = {"8 x 256": {"rows": 8, "context": 256, "seeds": [{"copies": 3.0}]}}
    assert forming.power(found, "copies")["power"] is None


class _Copier(torch.nn.Module):
    """Predicts the token that followed the last copy of a token, and else every token alike."""

    config = SimpleNamespace(context_length=9)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*tokens.shape, 20)
        for row, ids in enumerate(tokens.tolist()):
            for at, token in enumerate(ids):
                earlier = [place for place in range(at) if ids[place] == token]
                if earlier:
                    logits[row, at, ids[earlier[-1] + 1]] = 9.0
        return logits

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden


def test_a_model_that_copies_predicts_a_second_copy_better_than_the_same_text_after_another(monkeypatch) -> None:
    rows = torch.tensor([[1, 2, 3, 4, 5], [1, 6, 7, 8, 9], [1, 10, 11, 0, 0]])
    generator = SimpleNamespace(model=_Copier(), tokenizer=SimpleNamespace(pad_id=0))
    subject = SimpleNamespace(generator=generator, rows=rows)
    monkeypatch.setattr(forming, "look_at", lambda run, notify: SimpleNamespace(subject=subject))
    found = forming.copying(Path("run"))
    assert found is not None
    assert found["after"] == pytest.approx(math.log(20))
    assert found["again"] < 0.1
    subject.rows = rows[2:]
    assert forming.copying(Path("run")) is None


@pytest.mark.study
def test_stories_and_news_are_trained_watched_and_measured(tmp_path: Path) -> None:
    news = tmp_path / "news.txt"
    news.write_text("".join(NEWS.format(f"{name}{at}") for at in range(200) for name in ("Leeds", "Bath", "York")))
    study = forming.Study(tmp_path / "runs", str(news), smoke=True)
    arms = [arm for arm in forming.arms_of_sizes(news=True) if arm.name in ("stories, one layer", "news, one layer")]
    found = forming.measured([*arms, forming.arms_of_shapes()[0]], [1], study)
    assert list(found) == ["stories, one layer", "news, one layer", "4 x 256"]
    for row in found.values():
        (seed,) = row["seeds"]
        assert len(seed["curve"]) > 1
        assert seed["losses"][-1][1] == seed["bits_per_byte"]
    forming.print_table(found)


def test_a_longer_run_reads_more_stories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, list[str]] = {}
    monkeypatch.setattr(forming, "train_whole", lambda recipe, overrides, name, **rest: given.update({name: overrides}))
    arm = forming.arms_of_sizes(news=False)[0]
    forming.trained(arm, 1, forming.Study(tmp_path))
    forming.trained(arm, 1, forming.Study(tmp_path, tokens=24_576_000))
    assert not any("stories" in text for text in given["stories-story_1m-1"])
    assert "data.sources.0.stories=105000" in given["stories-story_1m-24576000-1"]
    assert "train.steps=12000" in given["stories-story_1m-24576000-1"]
