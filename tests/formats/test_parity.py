"""Parity: another tokenizer in the file is an error that shows where the ids differ."""

from typing import Any

import pytest

from lilliput.base.errors import ExportError
from lilliput.formats.format import logits_of
from lilliput.formats.parity import compare
from lilliput.formats.source import Source
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from tests.formats.conftest import SIZE


def test_other_ids_are_shown_where_they_differ(tokenizers):
    parts: dict[str, Any] = {**SIZE, "vocab_size": 330}
    source = Source(Model(ModelConfig(**parts)), tokenizers["qwen2"], "m")
    order = source.model.embed.weight.new_ones(330).cumsum(0).long() - 1
    assert compare(source, logits_of(source.model), tokenizers["qwen2"], order, "f32").logit == 0
    with pytest.raises(ExportError, match=r"other ids: ids\[\d+\]: (\d+|nothing), not (\d+|nothing)( and \d+ more)?$"):
        compare(source, logits_of(source.model), tokenizers["gpt-2"], order, "f32")
