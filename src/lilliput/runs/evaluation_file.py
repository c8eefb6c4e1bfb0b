"""evaluation.json: results of `lilliput evaluate`, kept in the run's folder for its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lilliput.base.console import print_line
from lilliput.base.damage import set_aside
from lilliput.base.files import write_json
from lilliput.base.reading import read_object
from lilliput.runs.finding import find
from lilliput.runs.run_folder import RunFolder


def keep_evaluation(path: str | Path, key: str, value: Any) -> None:
    """Write `value` under `key` into the evaluation.json of the run at `path`; do nothing for other folders. A damaged
    file is moved aside and reported."""
    run = RunFolder(find(path))
    if not run.recipe.is_file():
        return
    try:
        known = read_object(run.evaluation) if run.evaluation.is_file() else {}
    except ValueError as error:
        known = {}
        print_line(f"{run.evaluation} is damaged ({error}); moved aside as {set_aside(run.evaluation).name}")
    plain = json.loads(json.dumps(value), parse_constant=lambda name: None)  # JSON has no NaN
    write_json(run.evaluation, {**known, key: plain})
