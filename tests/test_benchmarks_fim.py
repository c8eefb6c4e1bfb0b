"""The study of filling in the middle: both kinds of run at their smallest size, on the same middles."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fim


@pytest.mark.study
def test_both_arms_are_trained_and_measured_on_the_same_middles(tmp_path: Path) -> None:
    study = fim.Study(tmp_path / "runs", documents=12, smoke=True)
    found = fim.compared([1], study)
    (causal,), (filled,) = found["causal"], found["fim"]
    assert found["cost"]["mean"] == pytest.approx(filled["left_to_right"] - causal["left_to_right"])
    assert found["cost"]["margin"] is None
    for kind in fim.KINDS:
        assert list(causal[kind]) == ["before"]
        assert list(filled[kind]) == ["before", "both"]
        counts = {row["count"] for rows in (causal, filled) for row in rows[kind].values()}
        assert len(counts) == 1
        assert min(counts) > 3
    first, other = (fim.middles(study.runs / f"{arm}-{study.tokens}-1", study) for arm in ("causal", "fim-0.5"))
    for kind in fim.KINDS:
        pairs = zip(first[kind], other[kind], strict=True)
        assert all(one.middle.tolist() == two.middle.tolist() for one, two in pairs)


def test_the_table_has_the_mean_of_the_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    def row(bits: float, right: float, *given: str) -> dict:
        kinds = {
            kind: {side: {"bits_per_byte": bits, "right": right, "exact": 0.0, "count": 9} for side in given}
            for kind in fim.KINDS
        }
        for kind in ("word", "sentence"):
            if "both" in given:
                kinds[kind]["both"]["generated"] = right / 2
        return {"left_to_right": bits, **kinds}

    causal = [row(1.0, 0.25, "before"), row(3.0, 0.75, "before")]
    filled = [row(2.0, 0.5, "before", "both"), row(4.0, 1.0, "before", "both")]
    fim.use_json(False)  # whatever another test left
    fim.print_table({"causal": causal, "fim": filled, "cost": {"mean": 1.0, "margin": 0.125}})
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines() if line.strip().startswith(("causal", "fim"))]
    assert lines[0][-4:] == ["2.0000", "2.000", "50.0%", "50.0%"]
    assert lines[1][-4:] == ["3.0000", "3.000", "75.0%", "75.0%"]
    assert lines[2][-6:] == ["sides", "3.000", "75.0%", "37.5%", "75.0%", "37.5%"]
    assert "+1.0000 ± 0.1250 bits per byte" in printed


def test_the_command_passes_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple] = []
    monkeypatch.setattr(fim, "compared", lambda seeds, study: asked.append((list(seeds), study)) or {"cost": 1})
    words = ["--seeds", "2", "--runs", str(tmp_path), "--tokens", "1m", "--rate", "0.9", "--documents", "7", "--json"]
    result = CliRunner().invoke(fim.app, [*words, "--data", "a.txt", "model.n_layers=1"])
    fim.use_json(False)
    assert result.exit_code == 0, result.output
    assert asked == [([1, 2], fim.Study(tmp_path, "a.txt", 1_000_000, 0.9, 7, overrides=("model.n_layers=1",)))]
    assert json.loads(result.output)["rate"] == 0.9
