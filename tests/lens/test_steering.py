"""Steering: the text moves in the direction, a random direction of equal length does less, and nothing stays behind."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from lilliput.base.errors import CheckpointError, ConfigError, ModelError
from lilliput.lens.sparse_files import save_features
from lilliput.lens.steering import Push, read_push, steer, steered
from lilliput.model.parts import is_hooked
from tests.lens.small import exact_coder, generator, known_directions
from tests.model.families import SUMS, stirred, tokens

LAST = "blocks.1.hook_resid_post"


@pytest.mark.parametrize("family", SUMS)
def test_a_push_raises_the_token_that_its_direction_writes(family: str) -> None:
    model, rows = stirred(family), tokens(2, 8)
    direction = F.normalize(model.output_matrix[7].detach(), dim=0)
    with torch.no_grad():
        before = model.logits(model(rows)).log_softmax(-1)[..., 7].mean()
        with steer(model, Push(LAST, direction, 5.0)):
            after = model.logits(model(rows)).log_softmax(-1)[..., 7].mean()
        with steer(model, Push(LAST, known_directions(1, 48)[0], 5.0)):
            random = model.logits(model(rows)).log_softmax(-1)[..., 7].mean()
        again = model.logits(model(rows)).log_softmax(-1)[..., 7].mean()
    assert after > random
    assert after > before
    assert again == before
    assert not any(is_hooked(point) for point in model.hooks.values())


def test_generated_text_moves_in_the_promoted_direction_and_less_in_a_random_one() -> None:
    made = generator()
    token = made.tokenizer.encode(" fox", continuing=True)[0]
    direction = F.normalize(made.model.output_matrix[token].detach(), dim=0)
    word = made.tokenizer.decode([token], continuing=True)

    def count(push: Push | None) -> int:
        with steer(made.model, *([push] if push else [])):
            (text,) = made.generate("One day", max_tokens=12, temperature=0)
        return text.count(word)

    pushed, random = count(Push(LAST, direction, 200.0)), count(Push(LAST, known_directions(1, 32)[0], 200.0))
    assert pushed > 8
    assert pushed > 2 * max(random, count(None))


def test_two_pushes_add_up_and_a_strength_of_0_changes_nothing() -> None:
    model, rows = stirred("story"), tokens(1, 6)
    one, other = (Push(LAST, direction, 2.0) for direction in known_directions(2, 48))
    both = Push(LAST, 2 * one.direction + 2 * other.direction, 1.0)
    with torch.no_grad():
        with steer(model, one, other):
            first = model(rows)
        with steer(model, both):
            second = model(rows)
        with steer(model, replace(one, strength=0.0)):
            third = model(rows)
        torch.testing.assert_close(first, second)
        torch.testing.assert_close(third, model(rows))


def test_features_are_read_by_folder_number_and_strength(tmp_path: Path) -> None:
    folder = tmp_path / "a:b=c"
    save_features(exact_coder(32, LAST), folder)
    push = read_push(f"{folder}:33=-2.5")
    assert (push.hook, push.strength) == (LAST, -2.5)
    assert torch.equal(push.direction, -F.one_hot(torch.tensor(1), 32).float())
    for wrong in (f"{folder}", f"{folder}:3", f"{folder}:x=1", f"{folder}:3=strong", f"{folder}:3=nan", ":3=1"):
        with pytest.raises(ConfigError, match="FOLDER:FEATURE=STRENGTH"):
            read_push(wrong)
    with pytest.raises(ModelError, match="the features are 0 to 63"):
        read_push(f"{folder}:64=1")
    with pytest.raises(CheckpointError, match="give the folder"):
        read_push(f"{tmp_path}:3=1")


def test_a_direction_of_another_model_is_refused(tmp_path: Path) -> None:
    model = stirred("story")
    save_features(exact_coder(32, LAST), tmp_path / "narrow")
    save_features(exact_coder(48, "blocks.7.hook_resid_post"), tmp_path / "deep")
    with (
        pytest.raises(ModelError, match=r"the direction has 32 numbers, and .* has 48"),
        steered(model, [f"{tmp_path / 'narrow'}:0=1"]),
    ):
        model(tokens(1, 4))
    with pytest.raises(ConfigError, match="no hook point is called"), steered(model, [f"{tmp_path / 'deep'}:0=1"]):
        pass
    with (
        pytest.raises(ModelError, match="more than one"),
        steer(model, Push("blocks.*.hook_resid_post", torch.ones(48), 1)),
    ):
        pass
    assert not any(is_hooked(point) for point in model.hooks.values())
