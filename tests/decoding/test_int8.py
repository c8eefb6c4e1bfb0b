import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.decoding.decode import generate
from lilliput.decoding.int8 import Int8Linear, quantised
from lilliput.decoding.sampling import SamplingConfig
from lilliput.model.parts import Linear


@pytest.mark.parametrize("inputs", [64, 172, 13])
@pytest.mark.parametrize("rows", [1, 3, 40, 100])
def test_a_product_is_within_rounding_of_the_exact_one(rows, inputs):
    torch.manual_seed(0)
    weight, x, bias = torch.randn(97, inputs), torch.randn(2, rows, inputs), torch.randn(97)
    exact = torch.nn.functional.linear(x, weight, bias)
    y = Int8Linear(weight, bias)(x)
    assert y.shape == exact.shape
    assert (y - exact).norm() / exact.norm() < 0.01
    assert not torch.equal(y, exact)


def test_a_row_of_zeros_stays_zero():
    weight = torch.zeros(8, 32)
    weight[3] = 1
    y = Int8Linear(weight, None)(torch.ones(1, 32))
    assert y.count_nonzero() == 1
    assert float(y[0, 3]) == pytest.approx(32, rel=0.01)


def test_a_quantised_model_nearly_predicts_as_the_model_and_leaves_it_unchanged(tiny):
    model = tiny(d_model=64)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    small = quantised(model)
    assert not any(isinstance(module, Linear) for module in small.modules())
    assert small.embed.weight is model.embed.weight
    ids = torch.randint(0, 50, (4, 12), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact, rough = (m.logits(m(ids)).log_softmax(-1) for m in (model, small))
    divergence = (exact.exp() * (exact - rough)).sum(-1).mean()
    assert 0 < divergence < 0.01
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert len(generate(small, [[1, 2]], SamplingConfig(max_tokens=5))[0]) == 5


def test_int8_is_for_the_cpu(tiny):
    with pytest.raises(ConfigError, match="the model is on meta"):
        quantised(tiny().to("meta"))
