import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.base.machine import can_compile
from lilliput.decoding.cache import KVCache
from lilliput.decoding.compiled import compiled
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.int8 import quantised
from lilliput.decoding.sampling import SamplingConfig
from tests.decoding.test_engine import requests, run, same

pytestmark = [
    pytest.mark.skipif(not can_compile(torch.device("cpu")), reason="no compiler"),
    pytest.mark.parametrize("tiny", ["rotary"], indirect=True),
]


@pytest.fixture
def eager_backend(monkeypatch):
    """The compiler's front end alone: shapes are traced and guarded as ever, and no C++ is built."""
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **options: compile_(f, backend="aot_eager", **options))


def test_compiled_steps_generate_the_same_in_any_company(tiny, eager_backend):
    model = tiny(context_length=16)
    asked = requests(8, seed=1)
    arrivals = [(2 * i, request) for i, request in enumerate(asked)]
    texts = run(Engine(compiled(model), slots=3), [], arrivals)
    plain = {job.request: tokens for job, tokens in run(Engine(model, slots=3), [], arrivals).items()}
    assert len(texts) == len(asked)
    for job, tokens in texts.items():
        same(tokens, plain[job.request])


def test_two_compilations_serve_any_lengths(tiny, eager_backend):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    engine = Engine(compiled(tiny(context_length=16)), slots=4)
    for count in (1, 3, 4, 1, 2):
        greedy = SamplingConfig(temperature=0, max_tokens=5)
        run(engine, [engine.submit(Request((1,) * (1 + i), greedy)) for i in range(count)])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2


def test_a_full_cache_is_reported(tiny, eager_backend):
    model = tiny(context_length=4)
    cache = KVCache(model.config, 1, 4)
    cache.advance(4)
    with pytest.raises(ModelError, match="full: it holds 4"):
        compiled(model)(torch.tensor([[1]]), cache=cache)


def test_the_real_compiler_in_int8(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    model = quantised(tiny(n_layers=1, context_length=16))
    ids = (3, 1, 4, 1, 5)
    greedy = Request(ids, SamplingConfig(temperature=0, max_tokens=8), alternatives=2)
    (texts,) = run(engine := Engine(compiled(model), slots=1), [engine.submit(greedy)]).values()
    (plain,) = run(engine := Engine(model, slots=1), [engine.submit(greedy)]).values()
    assert [token.id for token in texts] == [token.id for token in plain]
    for ours, eager in zip(texts, plain, strict=True):
        assert ours.log_probability == pytest.approx(eager.log_probability, abs=0.1)
