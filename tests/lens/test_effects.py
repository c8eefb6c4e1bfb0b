"""Effects: the layers below are reused without a change, and the figures are bits per byte."""

import numpy as np
import pytest
import torch

from lilliput.base.errors import DataError
from lilliput.evaluation.bits_per_byte import FixedSet, bits_per_byte
from lilliput.lens.ablation import ablated
from lilliput.lens.components import head, mlp, random_units
from lilliput.lens.effects import Effects
from lilliput.lens.figures import mean_figure
from lilliput.lens.row_losses import HeldOut, held_out, losses_of
from tests.lens.hand_made import rows_of, small
from tests.model.families import FAMILIES, NEURONS, stirred, tokens


def all_scored(rows: int = 3, length: int = 14) -> HeldOut:
    ids = tokens(rows, length + 1)
    scored = torch.ones(rows, length, dtype=torch.bool)
    return HeldOut(ids[:, :-1], ids[:, 1:], scored, scored.long())


@pytest.mark.parametrize("family", FAMILIES)
def test_reused_layers_change_nothing(family: str) -> None:
    model, held = stirred(family), all_scored()
    effects = Effects(model, held)
    assert np.allclose(effects.bits, held.bits(losses_of(model, held)), atol=1e-6)
    for how in ("mean", "resample"):
        for chosen in (
            [head(model, 1, 1)],
            [mlp(model, 1), head(model, 1, 0)],
            [random_units(model, "mlp" if family in NEURONS else "head", 0)],
        ):
            with ablated(model, chosen, how, held.tokens):
                whole = held.bits(losses_of(model, held)) - effects.bits
            assert np.allclose(effects.of(chosen, how), whole, atol=1e-5)
            assert np.abs(whole).max() > 1e-4


def test_the_mean_over_rows_is_bits_per_byte_of_their_documents() -> None:
    generator = small()
    rows = rows_of(generator)
    held = held_out(generator, rows)
    ends = [int((row == generator.tokenizer.pad_id).int().argmax()) or len(row) for row in rows]
    documents = [row[:end].numpy() for row, end in zip(rows, ends, strict=True)]
    sizes = generator.tokenizer.token_bytes()
    fixed = FixedSet(documents, sum(int(sizes[ids[1:]].sum()) for ids in documents))
    wanted = bits_per_byte(generator.model, fixed).bits_per_byte
    found = held.bits(losses_of(generator.model, held))
    assert found.mean() == pytest.approx(wanted, rel=1e-5)
    low, high = (mean_figure(found.tolist())[name] for name in ("low", "high"))
    assert low < wanted < high


def test_a_row_counts_up_to_the_end_of_its_first_document() -> None:
    generator = small()
    rows = rows_of(generator)
    again = rows.clone()
    padding = (rows == generator.tokenizer.pad_id).int().cumsum(1) > 0
    again[padding] = int(rows[0, 3])
    one, other = held_out(generator, rows), held_out(generator, again)
    assert padding.any()
    assert torch.equal(one.scored, other.scored)
    model = generator.model
    assert np.allclose(one.bits(losses_of(model, one)), other.bits(losses_of(model, other)))
    with pytest.raises(DataError, match="no held-out token"):
        held_out(generator, torch.full((2, 5), generator.tokenizer.pad_id))
