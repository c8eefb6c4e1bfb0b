"""The environments of other libraries, where a person has built them: `make lens-check`. Tests that need one skip
without it. sae-lens holds TransformerLens below 4, so there are two."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAE_LENS = os.environ.get("LILLIPUT_SAE_LENS", str(ROOT / ".venv-lens" / "bin" / "python"))
BRIDGE = os.environ.get("LILLIPUT_BRIDGE", str(ROOT / ".venv-bridge" / "bin" / "python"))


def needs(python: str, library: str) -> pytest.MarkDecorator:
    """Skip a test where the interpreter `python` does not exist."""
    return pytest.mark.skipif(not Path(python).exists(), reason=f"no environment of {library}: make lens-check")


needs_sae_lens = needs(SAE_LENS, "sae-lens")
needs_bridge = needs(BRIDGE, "TransformerLens 4 and nnsight")


def printed_by(python: str, *words: str) -> str:
    """Run an interpreter of another environment, offline; return what it prints, and fail with its errors."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([python, "-W", "ignore", *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
