"""KTO: mismatched rows, the estimate of KL, figures by side, resume; losses and gradients as in TRL."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.rows import Rows
from lilliput.objectives.kto import KTO, mismatched
from tests.objectives import teaching, trl_side
from tests.objectives.teaching import BAD, GOOD, TOKENIZER, document, pairs, tiny, workshop

trained_elsewhere = pytest.mark.filterwarnings("ignore")  # TRL's own use of transformers warns


def ratings(count: int) -> list[Document]:
    prompts = ["the dog", "a bird", "the cat sat on", "one"]
    return [
        document(
            "rating",
            number,
            prompt=f"{prompts[number % 4]} {number}",
            completion=" " + (GOOD if number % 3 else BAD)[number % 4],
            label=bool(number % 3),
        )
        for number in range(count)
    ]


def test_each_prompt_gets_the_reply_of_the_row_before_it() -> None:
    tokens = np.array([[[1, 2, 7, 8, 9, 0]], [[3, 5, 0, 0, 0, 0]]])
    learn = np.array([[[0, 0, 1, 1, 1, 0]], [[0, 1, 0, 0, 0, 0]]], np.float32)
    segments = np.where(tokens > 0, 0, -1)
    made = mismatched(Rows(tokens, learn, segments))
    assert made.tokens.tolist() == [[[1, 2, 5, 0, 0, 0]], [[3, 7, 8, 9, 0, 0]]]
    assert made.learn.tolist() == [[[0, 0, 1, 0, 0, 0]], [[0, 1, 1, 1, 0, 0]]]
    assert made.segments is not None
    assert (made.segments == 0).sum(-1).tolist() == [[3], [4]]
    long = mismatched(Rows(tokens[:, :, :3], learn[:, :, :3], segments[:, :, :3]))
    assert long.tokens.tolist() == [[[1, 2, 5]], [[3, 7, 0]]]


def test_kl_is_never_negative_and_zero_at_the_start(tmp_path: Path) -> None:
    same = teaching.first_batch(tmp_path / "same", KTO().build(workshop(tiny())), ratings(7))
    assert same.kl.tolist() == pytest.approx([0] * 7, abs=1e-4)
    far = teaching.first_batch(tmp_path / "far", KTO().build(workshop(tiny(), tiny(1))), ratings(7))
    assert (far.kl >= 0).all()
    assert len(set(far.kl.tolist())) == 1


def test_it_learns_one_batch_by_heart(tmp_path: Path) -> None:
    records = teaching.learns_by_heart(tmp_path, KTO(beta=0.5), ratings(6))
    assert records[0]["loss"] == pytest.approx(0.5, abs=1e-3)
    assert records[-1]["loss"] < 0.1
    assert records[-1]["rewards/chosen"] > 0 > records[-1]["rewards/rejected"]


def test_a_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    assert teaching.resumes_bit_for_bit(tmp_path, KTO(), ratings(10))


def test_held_out_figures_are_means_over_each_side(tmp_path: Path) -> None:
    objective = KTO().build(workshop(tiny(), tiny(1)))
    made = teaching.loader(tmp_path / "data", objective.config, ratings(12))
    found = objective.evaluate(teaching.held_out(made))
    assert found == objective.evaluate(teaching.held_out(made))
    assert found.keys() >= {"val_loss", "val_kl", "val_rewards/chosen", "val_logps/rejected"}
    assert found["val_rewards/margins"] == pytest.approx(
        found["val_rewards/chosen"] - found["val_rewards/rejected"], abs=1e-5
    )
    only = [each for each in ratings(12) if each.example and each.example.row["label"]]
    one_side = objective.evaluate(teaching.held_out(teaching.loader(tmp_path / "only", objective.config, only)))
    assert "val_rewards/chosen" in one_side
    assert "val_rewards/rejected" not in one_side
    assert "val_rewards/margins" not in one_side


def test_pairs_are_refused() -> None:
    with pytest.raises(DataError, match="'kto' learns from ratings") as no:
        KTO().encode(pairs(1), TOKENIZER)
    assert no.value.hint
    assert "dpo" in no.value.hint


@trained_elsewhere
@pytest.mark.parametrize(
    "settings",
    [{"loss_type": "kto"}, {"loss_type": "apo_zero_unpaired"}, {"desirable_weight": 0.5, "undesirable_weight": 2.0}],
    ids=str,
)
def test_equal_to_trl(tmp_path: Path, settings: dict[str, Any]) -> None:
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    model, reference = trl_side.theirs(tiny(), tmp_path / "model"), trl_side.theirs(tiny(1), tmp_path / "reference")
    theirs = trl.KTOTrainer(
        model=model,
        ref_model=reference,
        args=trl.KTOConfig(**trl_side.options(tmp_path, beta=0.5, **settings)),
        train_dataset=datasets.Dataset.from_list([{"prompt": "a", "completion": " b", "label": True}] * 2),
        processing_class=trl_side.processing(tmp_path / "model"),
    )
    objective = KTO.model_validate({"beta": 0.5, **settings}).build(workshop(tiny(), tiny(1)))
    made = teaching.loader(tmp_path / "data", objective.config, ratings(7))
    rows = made.take(0, 7)
    batch = objective.prepared(objective.batch(rows, np.random.default_rng(0)))
    documents = ratings(7)
    given = [
        {
            **trl_side.prompt_and_replies(documents[number], ("completion",), KTO().encode),
            "label": bool(number % 3),
        }
        for (number,) in rows.documents
    ]
    for number, row in enumerate(given):
        row["KL_completion_ids"] = given[number - 1]["completion_ids"]
    theirs.model.train()
    expected = theirs.compute_loss(theirs.model, theirs.data_collator(given))
    expected.backward()
    assert trl_side.our_loss(objective, batch) == pytest.approx(expected.item(), abs=trl_side.NEAR)
    trl_side.same_gradients(objective.model, model)
    found = {name: value.item() / 7 for name, value in objective.loss(batch).metrics.items()}
    metrics = theirs._metrics["train"]
    assert found == pytest.approx({name: metrics[name][-1] for name in found}, abs=1e-4)
