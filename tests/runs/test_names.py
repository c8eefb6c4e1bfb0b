"""The names in a run folder are spelled in one file, those of an objective's figures in one of objectives/."""

import ast
from pathlib import Path

from lilliput.objectives import figure
from lilliput.runs import names

SOURCE = Path(names.__file__).parents[1]
SPELLING = {Path(names.__file__), Path(figure.__file__)}
EVERYWHERE = {"tokens_per_second", "training_seconds", "checkpoints", "val_", "epsilon", "privacy"}
"""Names that also belong to other things than runs: a forecast has a speed as well, and a recipe an epsilon."""


def literals(file: Path) -> set[str]:
    """The texts in a file's code, docstrings left out; those inside f-strings too."""
    tree = ast.parse(file.read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documentation)
    return {node.value for node in constants if isinstance(node.value, str)}


def test_no_other_file_spells_them() -> None:
    own = {value for name, value in vars(names).items() if name.isupper()} - EVERYWHERE
    assert {"recipe.yaml", "metrics.jsonl", "val_bits_per_byte", "val_loss"} <= own
    found = {
        str(file.relative_to(SOURCE)): sorted(spelled)
        for file in SOURCE.rglob("*.py")
        if file not in SPELLING and (spelled := literals(file) & own)
    }
    assert not found, "take these from lilliput.runs.names"


def test_names_inside_f_strings_are_found(tmp_path: Path) -> None:
    file = tmp_path / "made.py"
    file.write_text('"""val_loss"""\nprint(f"{record[\'val_bits_per_byte\']:.3f}")\n')
    assert "val_bits_per_byte" in literals(file)
    assert "val_loss" not in literals(file)
