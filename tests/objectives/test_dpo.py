"""Direct preference optimisation: encoding, the cached reference, resume, figures, refusals."""

from pathlib import Path

import pytest
import torch

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.document import Document
from lilliput.objectives.dpo import DPO, DirectPreference
from lilliput.objectives.workshop import Workshop
from tests.objectives import teaching
from tests.objectives.teaching import TOKENIZER, pairs, tiny, workshop


def test_a_pair_is_two_sequences_whose_replies_are_learned() -> None:
    (sequences,) = DPO().encode(pairs(1), TOKENIZER)
    for sequence, reply in zip(sequences, (" a red ball", " rain"), strict=True):
        learn = sequence.learn
        assert learn is not None
        ((start, stop),) = learn
        ids = list(sequence.ids)
        assert TOKENIZER.decode(ids[:start]) == "the dog 0"
        assert ids[start:stop] == [*TOKENIZER.encode(reply, continuing=True), TOKENIZER.eos_id]
        assert stop == len(ids)


def test_a_batch_is_as_long_as_its_longest_sequence(tmp_path: Path) -> None:
    objective = DPO().build(workshop(tiny()))
    batch = teaching.first_batch(tmp_path, objective, pairs(3))
    longest = max(len(sequence.ids) for row in DPO().encode(pairs(3), TOKENIZER) for sequence in row)
    assert batch.tokens.shape == batch.targets.shape == batch.weights.shape == (3, 2, longest - 1)
    assert batch.lengths.max() == longest - 1
    assert objective.weight(batch) == 3


def test_the_model_that_a_run_began_with_is_its_reference(tmp_path: Path) -> None:
    objective = DPO(beta=0.5).build(workshop(tiny()))
    batch = teaching.first_batch(tmp_path, objective, pairs(5))
    loss = objective.loss(batch)
    assert loss.total.item() == pytest.approx(5 * 0.6931, abs=1e-3)  # log 2: no reply has gained yet
    assert float(loss.metrics["rewards/margins"]) == pytest.approx(0, abs=1e-5)
    assert float(loss.metrics["logps/chosen"]) == pytest.approx(float(batch.reference[:, 0].sum()), rel=1e-5)


def test_the_reference_is_computed_once_a_document_whatever_the_batch(tmp_path: Path) -> None:
    objective = DPO().build(workshop(tiny(), tiny(1)))
    assert isinstance(objective, DirectPreference)
    whole = teaching.first_batch(tmp_path, objective, pairs(6))
    assert len(objective.reference) == 6
    objective.prepared(whole)
    assert len(objective.reference) == 6
    fresh = DPO().build(workshop(tiny(), tiny(1)))
    part = whole.split(2)[1]
    assert torch.equal(fresh.prepare(part).reference, whole.reference[2:4])  # to the last bit
    assert not whole.reference.requires_grad


def test_the_reference_of_a_row_is_that_of_its_own_reply(tmp_path: Path) -> None:
    """Two rows of the same ids, which are divided into prompt and reply at different places."""
    words = "the cat sat on a mat"
    made = [
        teaching.document("preference", place, prompt=words[:at], chosen=words[at:], rejected=words[at:])
        for place, at in enumerate((7, 11))
    ]
    one, other = ([list(each.ids) for each in row] for row in DPO().encode(made, TOKENIZER))
    assert one == other
    objective = DPO().build(workshop(tiny()))
    loss = objective.loss(teaching.first_batch(tmp_path, objective, made))
    assert float(loss.metrics["rewards/chosen"]) == pytest.approx(0, abs=1e-4)


def test_it_learns_one_batch_by_heart(tmp_path: Path) -> None:
    records = teaching.learns_by_heart(tmp_path, DPO(beta=0.5), pairs(4))
    assert records[0]["loss"] == pytest.approx(0.693, abs=1e-3)
    assert records[-1]["loss"] < 0.1
    assert records[-1]["rewards/accuracies"] == 1
    assert records[-1]["rewards/margins"] == pytest.approx(
        records[-1]["rewards/chosen"] - records[-1]["rewards/rejected"], abs=1e-4
    )


@pytest.mark.parametrize("loss_type", ["sigmoid", "ipo"])
def test_a_run_goes_on_bit_for_bit(tmp_path: Path, loss_type: str) -> None:
    config = DPO.model_validate({"loss_type": loss_type})
    assert teaching.resumes_bit_for_bit(tmp_path, config, pairs(10))


def test_held_out_pairs_give_a_loss_and_an_accuracy(tmp_path: Path) -> None:
    objective = DPO().build(workshop(tiny(), tiny(1)))
    made = teaching.loader(tmp_path, objective.config, pairs(12))
    found = objective.evaluate(teaching.held_out(made))
    assert found == objective.evaluate(teaching.held_out(made))
    assert 0 < found["val_loss"] < 5
    assert 0 <= found["val_rewards/accuracies"] <= 1


def test_other_documents_are_refused_with_the_objectives_that_take_them() -> None:
    with pytest.raises(DataError, match=r"book: .* texts, and the objective 'dpo' learns from preferences") as no:
        DPO().encode([Document("once", "book")], TOKENIZER)
    assert no.value.hint
    assert "causal" in no.value.hint


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="no label smoothing"):
        DPO(loss_type="ipo", label_smoothing=0.1).build(workshop(tiny()))
    with pytest.raises(ConfigError, match="no earlier model"):
        DPO().build(Workshop(TOKENIZER, tiny()))
