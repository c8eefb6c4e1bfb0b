"""Decoders with an encoder: what is seen, T5's folders both ways, costs, and what is refused."""

from typing import Any, cast

import pytest
import torch
import transformers

from lilliput.base.errors import ConfigError, ModelError
from lilliput.decoding.cache import KVCache
from lilliput.model.biased import Biased
from lilliput.model.buckets import Buckets
from lilliput.model.config import ModelConfig
from lilliput.model.counts import flops_per_token, memory, parameters, training_flops
from lilliput.model.huggingface import from_huggingface, huggingface_class, to_huggingface
from lilliput.model.source import Source
from lilliput.model.transformer import Model
from tests.model.families import SOURCED, config, on, read, source, stirred, tokens

sourced = pytest.mark.parametrize("family", SOURCED)
STOCK = [family for family, (name, _) in SOURCED.items() if name]


@sourced
def test_the_decoder_sees_all_of_the_source_and_nothing_ahead(family):
    model, seen = stirred(family), []
    on(model.hook_embed, lambda x: seen.append(x) or x.retain_grad())
    read(model, tokens())[:, 9].square().sum().backward()
    encoder, decoder = (each.grad.abs().sum(-1) > 0 for each in seen)
    assert encoder.tolist() == [[True] * 9, [True] * 4 + [False] * 5]  # padding is not seen
    assert decoder.tolist() == [[True] * 10 + [False] * 10] * 2


@sourced
def test_padding_of_a_source_changes_nothing(family):
    model, ids = stirred(family), tokens()
    alone = model(ids[1:], source=Source(source().tokens[1:, :4]))
    torch.testing.assert_close(read(model, ids)[1:], alone, atol=1e-5, rtol=1e-5)


@sourced
def test_an_encoded_source_serves_again(family):
    model, ids = stirred(family), tokens()
    memory = model.encode(source())
    assert memory.hidden.shape == (2, 9, 48)
    torch.testing.assert_close(model(ids, source=memory), read(model, ids))


@pytest.mark.parametrize("family", STOCK)
def test_transformers_computes_the_same_both_ways(family, tmp_path):
    model, ids, given = stirred(family), tokens(2, 20), source()
    assert huggingface_class(model.config) == (SOURCED[family][0], [])
    to_huggingface(model, tmp_path / "ours", pad_token_id=3)
    theirs = cast(Any, transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "ours")).eval()
    assert type(theirs).__name__ == SOURCED[family][0]
    assert theirs.config.decoder_start_token_id == theirs.generation_config.decoder_start_token_id == 3
    assert given.lengths is not None
    mask = (torch.arange(9) < given.lengths[:, None]).long()
    with torch.no_grad():
        expected = theirs(input_ids=given.tokens, attention_mask=mask, decoder_input_ids=ids).logits
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(model.logits(read(model, ids)), expected, atol=1e-4, rtol=1e-4)
        theirs.save_pretrained(tmp_path / "theirs")
        again = from_huggingface(tmp_path / "theirs")
        torch.testing.assert_close(again.logits(read(again, ids)), expected, atol=1e-4, rtol=1e-4)


def test_a_folder_of_an_older_version_is_read(tmp_path):
    """Before version 5 of transformers, the embeddings of version 1.0 stood in the file three times."""
    import json

    from safetensors.torch import load_file, save_file

    model = stirred("t5_tied")
    to_huggingface(model, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    copies = {f"{side}.embed_tokens.weight": state["shared.weight"].clone() for side in ("encoder", "decoder")}
    save_file(state | copies, tmp_path / "model.safetensors")
    settings = json.loads((tmp_path / "config.json").read_text())
    settings = {key: value for key, value in settings.items() if key not in ("lilliput", "scale_decoder_outputs")}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    again = from_huggingface(tmp_path)
    assert again.config.unembed_scale
    torch.testing.assert_close(read(again, tokens()), read(model, tokens()))


def test_buckets_are_transformers_own():
    from transformers.models.t5.modeling_t5 import T5Attention

    distances = torch.arange(-300, 301)[None]
    for family in STOCK:
        for each in (config(family), config(family).encoder):
            expected = T5Attention._relative_position_bucket(
                distances, not each.causal, each.position_buckets, each.position_distance
            )
            assert torch.equal(Buckets(each).numbers(distances), expected)


@pytest.mark.parametrize("family", ["t5", "t5_tied", "own_alibi"])
def test_biases_by_distance_are_those_of_all_pairs(family):
    position = stirred(family).position
    assert isinstance(position, Biased)
    for where, end in ((slice(0, 20), 20), (slice(7, 8), 8), (slice(5, 12), 12)):
        pairs = position.tables(torch.arange(where.start, where.stop)[None], end, torch.float32)
        line = position.tables(where, end, torch.float32)
        assert torch.equal(line.scores(), pairs.scores())
        assert (line.square is not None) == (where.start == 0)
        assert pairs.square is None


@sourced
def test_costs_are_those_of_the_built_model(family):
    model = stirred(family)
    counts = parameters(model.config)
    assert counts.total == sum(parameter.numel() for parameter in model.parameters())
    assert training_flops(model) == flops_per_token(model.config).training
    assert memory(model.config).training["weights"] == 4 * counts.total


def test_flops_follow_the_products():
    from torch.utils.flop_counter import FlopCounterMode

    model, ids = Model(config("own_sourced_post", norm="rms", norm_place="pre", bias=False)), tokens(2, 20)
    with FlopCounterMode(display=False) as counter:
        model.logits(model(ids, source=Source(tokens(2, 20))))
    counted = counter.get_total_flops() / ids.numel()
    assert 2 * flops_per_token(model.config, 20).forward == pytest.approx(counted, rel=0.05)


def test_a_missing_or_needless_source_is_refused():
    ids = tokens()
    with pytest.raises(ModelError, match="no source is given"):
        stirred("t5")(ids)
    with pytest.raises(ModelError, match="without an encoder"):
        stirred("story")(ids, source=source())
    with pytest.raises(ModelError, match=r"shape \(1, 9\), and the decoder's tokens have 2 rows"):
        stirred("t5")(ids, source=source(1))
    model = stirred("t5")
    with pytest.raises(ModelError, match="layer 0 reads an encoded source"):
        model(ids, cache=KVCache(model.config, 2, 24))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"causal": False}, "a decoder reads the encoder"),
        ({"residual": "parallel"}, "between attention and MLP"),
        ({"window": 5}, "full attention and no types"),
        ({"position": "rotary", "position_buckets": 8}, "would do nothing with position=rotary"),
        ({"position_distance": 4, "position_buckets": 8}, "more than half of position_buckets"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        _checked(**changes)


def _checked(**changes: Any) -> ModelConfig:
    from lilliput.base.config import validate
    from tests.model.families import SIZE, T5

    return validate(ModelConfig, {**SIZE, **T5, **changes}, "model")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of peft and transformers themselves
@pytest.mark.parametrize("family", STOCK)
def test_an_adapter_is_peft_s_own(family, tmp_path):
    from peft import PeftModel

    from lilliput.model.lora import AdapterConfig, attach, merged
    from lilliput.model.lora_files import write_adapter

    model, given = stirred(family), source()
    assert given.lengths is not None
    to_huggingface(model, tmp_path / "base", pad_token_id=3)
    settings = AdapterConfig(rank=3)
    attach(model, settings, seed=1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_b" in name:
                parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(len(name)))
    model.eval()
    write_adapter(model, settings, tmp_path / "adapter", str(tmp_path / "base"))
    base = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "base")
    theirs: Any = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    mask = (torch.arange(9) < given.lengths[:, None]).long()
    with torch.no_grad():
        wanted = theirs(input_ids=given.tokens, attention_mask=mask, decoder_input_ids=tokens()).logits
        for one in (model, merged(model)):
            torch.testing.assert_close(one.logits(read(one, tokens())), wanted, atol=2e-4, rtol=1e-3)
    assert type(theirs).__name__ == "PeftModelForSeq2SeqLM"
