"""The folder of a sparse coder: read back equal, sae-lens' names, damage reported."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lilliput.base.errors import CheckpointError
from lilliput.lens.sparse import SparseCoder
from lilliput.lens.sparse_files import load_features, save_features
from tests.lens.outside import SAE_LENS, needs_sae_lens, printed_by

OPEN = """
import sys, torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE
coder = SAE.load_from_disk(sys.argv[1])
x = load_file(sys.argv[2])["x"]
save_file({"y": coder(x).detach().contiguous(), "f": coder.encode(x).detach().contiguous()}, sys.argv[3])
print(coder.cfg.metadata.hook_name)
"""


def coder(writes: str = "blocks.1.hook_resid_post", d_out: int = 6) -> SparseCoder:
    draw = torch.Generator().manual_seed(0)
    made = [torch.randn(*shape, generator=draw) for shape in ((20, 6), (20,), (20, d_out), (d_out,))]
    return SparseCoder("blocks.1.hook_resid_post", writes, *made, k=3)


@pytest.mark.parametrize(("writes", "d_out"), [("blocks.1.hook_resid_post", 6), ("blocks.1.hook_mlp_out", 4)])
def test_a_coder_is_read_back_equal(tmp_path: Path, writes: str, d_out: int) -> None:
    made = coder(writes, d_out)
    save_features(made, tmp_path / "a" / "b", {"note": 1})
    back = load_features(tmp_path / "a" / "b")
    assert (back.reads, back.writes, back.k) == (made.reads, made.writes, made.k)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(back.reconstruct(x), made.reconstruct(x))
    assert {file.name for file in (tmp_path / "a" / "b").iterdir()} == {"cfg.json", "sae_weights.safetensors"}
    settings = json.loads((tmp_path / "a" / "b" / "cfg.json").read_text())
    assert settings["metadata"]["note"] == 1
    assert settings["architecture"] == ("topk" if d_out == 6 else "topk_transcoder")


def test_damage_is_reported_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"give the folder that has cfg\.json"):
        load_features(tmp_path)
    save_features(coder(), tmp_path)
    settings, tensors = json.loads((tmp_path / "cfg.json").read_text()), load_file(tmp_path / "sae_weights.safetensors")

    def refused(match: str, changes: dict[str, object] | None = None, **other: torch.Tensor) -> None:
        (tmp_path / "cfg.json").write_text(json.dumps({**settings, **(changes or {})}))
        save_file({**tensors, **other}, tmp_path / "sae_weights.safetensors")
        with pytest.raises(CheckpointError, match=match):
            load_features(tmp_path)

    refused("features of 'gated'", {"architecture": "gated"})
    refused("normalize_activations=layer_norm", {"normalize_activations": "layer_norm"})
    refused("k=21, and there are 20", {"k": 21})
    refused("no hook_name", {"metadata": {}})
    refused("no 'W_dec' of the shape", W_dec=torch.zeros(19, 6))
    refused("'b_enc' that are not finite", b_enc=torch.full((20,), torch.nan))
    (tmp_path / "sae_weights.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="holds no features"):
        load_features(tmp_path)


@needs_sae_lens
def test_sae_lens_opens_the_folder_and_computes_the_same(tmp_path: Path) -> None:
    made, x = coder(), torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    save_features(made, tmp_path / "folder")
    save_file({"x": x}, tmp_path / "x")
    printed = printed_by(SAE_LENS, "-c", OPEN, *(str(tmp_path / name) for name in ("folder", "x", "y")))
    found = load_file(tmp_path / "y")
    assert printed.strip().endswith(made.reads)
    torch.testing.assert_close(found["y"], made.reconstruct(x), rtol=1e-4, atol=1e-4)
    assert int((found["f"] > 0).sum()) == int((made.encode(x).values > 0).sum())
