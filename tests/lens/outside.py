"""The environment of sae-lens, where a person has built one: `make lens-check`. Tests that need it skip without it."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAE_LENS = os.environ.get("LILLIPUT_SAE_LENS", str(ROOT / ".venv-lens" / "bin" / "python"))
needs_sae_lens = pytest.mark.skipif(not Path(SAE_LENS).exists(), reason="no environment of sae-lens: make lens-check")
