"""The benchmark of kinds of attention at its smallest size: equal FLOPs, every arm trained, measured and timed."""

import json
from pathlib import Path

import pytest

import attention
from lilliput.base.errors import ConfigError
from lilliput.model.counts import flops_per_token


def test_every_arm_has_the_training_flops_of_full_attention() -> None:
    whole = 2000 * flops_per_token(attention.config_of("full")).training
    for arm in attention.ARMS:
        cost = attention.steps_of(arm, 2000) * flops_per_token(attention.config_of(arm)).training
        assert cost == pytest.approx(whole, rel=1e-3)
    with pytest.raises(ConfigError, match="no arm is named linear"):
        attention.chosen(["linear"])


@pytest.mark.study
def test_arms_are_trained_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = attention.Study(tmp_path, 20, smoke=True)
    found = attention.quality_rows(["full", "hybrid"], [1], study)
    assert all(seed["bits"] > 0 for (seed,) in found.values())
    assert found["hybrid"][0]["tokens"] > found["full"][0]["tokens"]
    attention.print_quality(found)
    assert "hybrid" in capsys.readouterr().out


@pytest.mark.study
def test_recall_is_measured_beside_chance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = 1500 * flops_per_token(attention.recall_config_of("full")).training
    for arm in attention.RECALL_ARMS:
        steps = attention.steps_of(arm, 1500, attention.recall_config_of)
        assert steps * flops_per_token(attention.recall_config_of(arm)).training == pytest.approx(whole, rel=1e-3)
    found = attention.recall_rows(["window"], [1], attention.Study(tmp_path, 20, smoke=True))
    (seed,) = found["window"]
    assert set(seed["recall"]) <= {"02 pairs", "04 pairs", "08 pairs", "12 pairs"}
    assert all(part["chance"] == 1 / int(name[:2]) for name, part in seed["recall"].items())
    attention.print_recall(found)
    assert "window" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["news.txt", "news.jsonl"])
def test_news_take_the_place_of_stories(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"text": "It rained."}\n')
    overrides = attention.overrides_of("full", attention.Study(tmp_path, news=str(tmp_path / name)))
    sources = json.loads(next(one for one in overrides if one.startswith("data.sources="))[len("data.sources=") :])
    assert [source["kind"] for source in sources] == ["text" if name.endswith("txt") else "jsonl"]
    assert sources[0]["paths"] == [str(tmp_path / name)]


def test_training_and_decoding_are_timed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = attention.speed_rows([*attention.ARMS], ((1, 64),), rounds=1)
    assert [row["arm"] for row in rows] == [*attention.ARMS]
    assert all(row["train"] > 0 and row["decode"]["pytorch"] > 0 for row in rows)
    assert all("native" not in row["decode"] for row in rows if row["arm"] in ("gated_delta", "hybrid"))
    attention.print_speed(rows)
    printed = capsys.readouterr().out  # a narrow terminal breaks the titles between words
    assert all(word in printed for word in ("training", "beside", "gated_delta"))
