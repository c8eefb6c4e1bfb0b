"""The model itself through torch.export and ONNX: one graph for every batch and length, without the C++ kernels."""

from typing import Any

import pytest
import torch

from lilliput.formats.onnx_format import Onnx
from lilliput.model import kernels
from lilliput.model.transformer import Model
from tests.model.families import FAMILIES, PATTERNED, stirred, tokens

OTHERS = ((1, 1), (1, 2), (3, 17), (5, 24))
"""Batches and lengths besides the traced one, a single token and the whole context among them."""


class Logits(torch.nn.Module):
    """ids (B, T) -> logits (B, T, vocab_size)."""

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model.logits(self.model(ids))


ONNX = ["story_window_layers", "own_experts", "gpt2", "gemma3", "llama3", "modernbert", "own_alibi", "own_batch_norm"]
"""The families whose graphs differ in their operations. Each takes seconds."""


def shapes(model: Model) -> Any:
    dim = torch.export.Dim
    return ({0: dim("batch"), 1: dim("length", max=model.config.context_length)},)


def operations(exported: torch.export.ExportedProgram) -> str:
    return " ".join(str(node.target) for node in exported.graph.nodes)


@pytest.mark.parametrize("family", [*ONNX, "mixtral", "pythia", "bert", "olmo2", "phi", "own_post", "own"])
def test_torch_export_with_any_batch_and_length(family):
    model = Logits(stirred(family)).eval()
    exported = torch.export.export(model, (tokens(2, 9),), dynamic_shapes=shapes(model.model))
    assert "lilliput" not in operations(exported)
    for rows, length in OTHERS:
        ids = tokens(rows, length)
        gap = (exported.module()(ids) - model(ids)).abs().max()
        assert gap < 1e-4, (rows, length)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in PATTERNED])
def test_a_graph_of_any_length_is_refused_for_a_state(family):
    (reason,) = Onnx().refuses(stirred(family))
    assert reason.startswith("attention=gated_delta (its graph would be of one length")
    assert Onnx().refuses(stirred("story")) == []
    assert Onnx().refuses(stirred("t5")) == ["encoder_layers=3 (its graph would read a source as well)"]


@pytest.mark.parametrize("strict", [False, True])
def test_hidden_states_are_exported_with_lengths_that_torch_finds_by_itself(strict):
    model, auto = stirred("story_window"), torch.export.Dim.AUTO
    exported = torch.export.export(model, (tokens(2, 9),), dynamic_shapes=({0: auto, 1: auto},), strict=strict)
    for rows, length in OTHERS:
        ids = tokens(rows, length)
        assert (exported.module()(ids) - model(ids)).abs().max() < 1e-4, (rows, length)


def test_a_model_in_training_is_exported_without_kernels():
    model = stirred("story", dropout=0.1).train()
    ids = tokens(2, 9)
    grad = model(ids).grad_fn
    if kernels.available():  # the same call outside of an export is theirs
        assert "lilliput" in _names(grad)
    exported = torch.export.export(model, (ids,), dynamic_shapes=shapes(model))
    assert "lilliput" not in operations(exported)


def _names(node: Any) -> str:
    """The operations of a gradient's graph."""
    seen, rest = set(), [node]
    while rest:
        current = rest.pop()
        if current is not None and current not in seen:
            seen.add(current)
            rest += [other for other, _ in current.next_functions]
    return " ".join(current.name() for current in seen)


# torch's exporter, of itself
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("family", ONNX)
def test_onnx_with_any_batch_and_length(family, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    model = Logits(stirred(family)).eval()
    program = torch.onnx.export(
        model, (tokens(2, 9),), dynamo=True, dynamic_shapes=shapes(model.model), verbose=False, input_names=["ids"]
    )
    assert program is not None
    program.save(str(tmp_path / "model.onnx"))
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for rows, length in OTHERS:
        ids = tokens(rows, length)
        (found,) = session.run(None, {"ids": ids.numpy()})
        assert (torch.from_numpy(found) - model(ids)).abs().max() < 1e-4, (rows, length)
