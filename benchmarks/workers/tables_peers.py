"""The peers of benchmarks/tables.py, each in an environment of its own: TabularARGN, and the models of SDV.

python tables_peers.py PEER TRAIN.csv OUT.csv ROWS    # fits with the peer's defaults, writes rows, prints one object

    {"fit": 31.5, "sample": 1.2, "versions": {...}}    CPU seconds of this process and of its children
    {"absent": "why"}                                  the environment lacks the peer

This file runs without Lilliput. mostlyai-engine works where torchvision and torchaudio are removed. SDV 2 needs pandas
below 3.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

Fitted = Callable[[int], Any]
"""Generates so many rows as a data frame."""


def tabular_argn(frame: Any) -> Fitted:
    """TabularARGN of mostlyai-engine."""
    from mostlyai import engine

    folder = Path(tempfile.mkdtemp())
    engine.split(tgt_data=frame, workspace_dir=folder, model_type="TABULAR")
    engine.analyze(workspace_dir=folder)
    engine.encode(workspace_dir=folder)
    engine.train(workspace_dir=folder)

    def sample(rows: int) -> Any:
        import pandas

        engine.generate(workspace_dir=folder, sample_size=rows)
        return pandas.read_parquet(folder / "SyntheticData")

    return sample


def sdv(name: str) -> Callable[[Any], Fitted]:
    """One of SDV's models of a single table."""

    def fit(frame: Any) -> Fitted:
        from sdv import single_table
        from sdv.metadata import Metadata

        tables = {"rows": frame}
        model = getattr(single_table, name)(Metadata.detect_from_dataframes(tables))
        model.fit(tables)

        def sample(rows: int) -> Any:
            made = model.sample(rows)
            return made["rows"] if isinstance(made, dict) else made

        return sample

    return fit


PEERS: dict[str, tuple[str, Callable[[Any], Fitted]]] = {
    "tabular-argn": ("mostlyai-engine", tabular_argn),
    "copula": ("sdv", sdv("GaussianCopulaSynthesizer")),
    "ctgan": ("sdv", sdv("CTGANSynthesizer")),
    "tvae": ("sdv", sdv("TVAESynthesizer")),
}
"""The package of each peer, and its fit."""


def cpu_seconds() -> float:
    """The processor time of this process and of those that it waited for."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def main() -> None:
    """Fit a peer, and write its rows. The output of libraries goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, train, out, rows = sys.argv[1:]
    package, fit = PEERS[name]
    try:
        import pandas
        import torch

        torch.set_num_threads(1)
        frame = pandas.read_csv(train)
        began = cpu_seconds()
        sample = fit(frame)
        fitted = cpu_seconds()
        made = sample(int(rows))
        done = cpu_seconds()
    except ModuleNotFoundError as error:
        answers.write(json.dumps({"absent": f"{sys.executable} has no module '{error.name}'"}) + "\n")
        return
    made[list(frame.columns)].to_csv(out, index=False)
    versions = {each: version(each) for each in (package, "pandas", "torch")}
    answers.write(json.dumps({"fit": fitted - began, "sample": done - fitted, "versions": versions}) + "\n")


if __name__ == "__main__":
    main()
