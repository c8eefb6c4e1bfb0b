"""The named models have exactly the sizes that are published or asked for, and the closed form counts what is built."""

import pytest
import torch

from lilliput.model.config import resolve
from lilliput.model.counts import parameters
from lilliput.model.styles import STYLES
from lilliput.model.transformer import Model
from tests.model.families import FAMILIES, config

PUBLISHED = {
    "llama_6L_6H_288D": 15_191_712,
    "llama_8L_8H_768D": 100_086_528,
    "llama_12L_8H_1024D": 234_120_192,
    "gpt_6L_6H_288D": 13_868_352,
    "gpt_8L_8H_768D": 81_225_216,
    "gpt_12L_8H_1024D": 183_814_144,
    "gpt2_124m": 124_439_808,
    "gpt2_350m": 354_823_168,
    "llama2c_260k": 260_032,
    "llama2c_15m": 15_191_712,
    "llama2c_42m": 41_689_600,
    "llama2c_110m": 109_529_856,
    "pythia_70m": 70_426_624,
    "micro_llama_300m": 304_636_928,
    "tinyllama_1b": 1_100_048_384,
    "llama3_8b": 8_030_261_248,
    "llama3_70b": 70_553_706_496,
}


def _built(config) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Model(config).parameters())


@pytest.mark.parametrize("name", STYLES)
def test_closed_form_equals_the_built_model(name):
    assert parameters(resolve(name)).total == _built(resolve(name))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [False, True])
def test_closed_form_for_every_family(family, tied):
    chosen = config(family, tied_embeddings=tied)
    real = Model(chosen)
    assert parameters(chosen).total == sum(parameter.numel() for parameter in real.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name):
    assert parameters(resolve(name)).total == PUBLISHED[name]


def test_gpt_51m_without_positions():
    counts = parameters(resolve("gpt_51m"))
    assert counts.total - counts.positions == 50_975_744


@pytest.mark.parametrize("shape", ["6L_6H_288D", "8L_8H_768D", "12L_8H_1024D"])
def test_matched_arms_are_as_equal_as_whole_widths_allow(shape):
    llama, gpt = resolve(f"llama_{shape}"), resolve(f"gpt_{shape}_matched")
    gap = parameters(gpt).total - parameters(llama).total
    assert gap == gpt.d_model
    # One unit of width is 2 d_model a layer, so a neighbouring width is further away.
    assert abs(gap) < 2 * gpt.d_model * gpt.n_layers - abs(gap)


@pytest.mark.parametrize("name", [name for name in STYLES if name.startswith("story_")])
def test_story_names_say_the_size(name):
    counts, millions = parameters(resolve(name)), float(name.removeprefix("story_").removesuffix("m"))
    assert counts.total / 1e6 == pytest.approx(millions, rel=0.15)


def test_the_grid_is_whole():
    widths, depths = (64, 128, 256, 512, 768, 1024), (1, 2, 4, 8, 12)
    assert {name for name in STYLES if name.startswith("tinystories_")} == {
        f"tinystories_w{width}_d{depth}" for width in widths for depth in depths
    }
    assert resolve("tinystories_w256_d4").d_model == 256
    assert resolve("tinystories_w256_d4").n_layers == 4
