"""A watched reward that falls while the trained one rises is named once; else no line is shown."""

from types import SimpleNamespace
from typing import Any, cast

from lilliput.evaluation.reward_hacking import RewardHacking


def seen(records: list[tuple[float, float]], watch: RewardHacking | None = None) -> tuple[list[str], RewardHacking]:
    watch = watch or RewardHacking(["judge"])
    lines: list[str] = []
    trainer = cast(Any, SimpleNamespace(notify=lines.append, run=SimpleNamespace(rollouts="rollouts.jsonl")))
    for trained, watched in records:
        watch.on_step(trainer, {"val_reward": trained, "val_rewards/judge/mean": watched})
    watch.on_step(trainer, {"loss": 1.0})
    return lines, watch


def test_rewards_that_part_are_named_once() -> None:
    lines, _ = seen([(0.2, 0.5), (0.3, 0.5), (0.4, 0.4), (0.5, 0.3)])
    assert len(lines) == 1
    assert "rose from 0.200 to 0.400" in lines[0]
    assert "'judge', which is only watched, fell from 0.500 to 0.400" in lines[0]


def test_rewards_that_rise_or_fall_together_are_not() -> None:
    assert seen([(0.2, 0.5), (0.6, 0.9)])[0] == []
    assert seen([(0.6, 0.5), (0.2, 0.1)])[0] == []


def test_a_watched_reward_that_judged_nothing_at_first_is_compared_with_its_own_first() -> None:
    watch, trainer = RewardHacking(["judge"]), cast(Any, SimpleNamespace())
    watch.on_step(trainer, {"val_reward": 0.2})
    lines, _ = seen([(0.3, 0.5), (0.5, 0.3)], watch)
    assert len(lines) == 1
    assert "rose from 0.200 to 0.500" in lines[0]
    assert "fell from 0.500 to 0.300" in lines[0]


def test_the_first_evaluation_is_kept_through_a_resume() -> None:
    _, before = seen([(0.2, 0.5)])
    after = RewardHacking(["judge"])
    after.load_state(before.state())
    lines, _ = seen([(0.4, 0.3)], after)
    assert len(lines) == 1
