"""The benchmark of sparse autoencoders: our worker trains, an absent peer is named, and the figures are ratios."""

import json
from pathlib import Path

import pytest

import lens_sparse
from rounds import Turn


def test_speeds_are_medians_and_ratios_within_a_round() -> None:
    turns = {"ours": [Turn(1.0, 0.2), Turn(2.0, 0.1)], "sae_lens_dense": [Turn(3.0, 0.3), Turn(4.0, 0.2)]}
    found = lens_sparse.speeds({"turns": turns}, 600)
    assert found["activations_per_cpu_second"] == {"ours": 450, "sae_lens_dense": 175}
    assert found["ours_beside"] == {"sae_lens_dense": 2.5}


@pytest.mark.study
def test_it_runs_without_the_peer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(lens_sparse, "PEER", str(tmp_path / "none"))
    monkeypatch.setattr(lens_sparse, "SHAPE", {"d_model": 32, "n_layers": 2, "n_heads": 2, "context_length": 64})
    words = [
        "--json",
        "--width",
        "64",
        "--k",
        "4",
        "--batch",
        "64",
        "--activations",
        "4096",
        "--rounds",
        "1",
        "--steps",
        "2",
    ]
    lens_sparse.main(words)
    report = json.loads(capsys.readouterr().out)
    found = report["k=4"]
    assert found["activations_per_cpu_second"]["ours"] > 0
    assert 0 < found["unexplained"]["ours"] < 1.5
    assert set(found["absent"]) == {"sae_lens_dense", "sae_lens_sparse", "sae_lens_autocast"}
    assert "make lens-check" in found["absent"]["sae_lens_dense"]
    assert report["d"] == 32
