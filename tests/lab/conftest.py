from pathlib import Path

import pytest

from tests.runs.made_run import make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run, made up."""
    return make_run(tmp_path / "runs" / "story")
