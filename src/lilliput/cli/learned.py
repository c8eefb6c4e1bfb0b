"""The printed form of `lilliput data show RECIPE`: counts, and examples with their learned tokens marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lilliput.assembly.showing import ShownData, ShownSequence, SplitFacts

MARKS, PLAIN_MARKS = ("⟦", "⟧"), ("[[", "]]")
"""Signs around learned text in output without colours, and those of an encoding that lacks them."""
LONGEST = 4000
"""Characters of a piece of text that are printed."""


def print_data(data: ShownData) -> None:
    """Print the counts of each split, then the examples."""
    from lilliput.base import console

    for name, facts in data.splits.items():
        _print_split(name, facts, data.context_length)
    opening, closing = _marks()
    how = "in colour" if console.is_terminal() else f"between {opening} and {closing}"
    if data.examples:
        console.print_line(f"\nexamples as the objective '{data.objective}' learns them, learned tokens {how}:")
    for example in data.examples:
        console.print_line(f"\n{example.id}")
        for number, sequence in enumerate(example.sequences, start=1):
            if len(example.sequences) > 1:
                console.print_line(f"sequence {number} of {len(example.sequences)}:")
            _print_sequence(sequence)


def _print_split(name: str, facts: SplitFacts, context_length: int) -> None:
    from lilliput.base import console
    from lilliput.data.example_rows import PLURAL

    kinds = ", ".join(f"{count:,} {PLURAL[kind]}" for kind, count in facts.kinds.items()) or "nothing"
    console.print_line(f"{name}: {kinds}; {facts.sequences:,} sequences, the longest of {facts.longest:,} tokens")
    console.print_line(f"  {facts.learned:,} of {facts.tokens:,} tokens are learned ({facts.share:.1%})")
    if facts.packing is not None:
        rows = f"{facts.rows:,} rows of {context_length + 1:,} tokens"
        console.print_line(f"  {facts.longer:,} sequences are too long for a row; {rows} an epoch ({facts.packing})")
    if facts.note:
        console.print_line(f"  {facts.note}")
    elif facts.longer and facts.packing is not None:
        console.print_line("  a longer text goes on in the next row")
    if facts.problem:
        console.print_line(f"  a run cannot train on this: {facts.problem}")


def _print_sequence(sequence: ShownSequence) -> None:
    from rich.text import Text

    from lilliput.base import console

    coloured, (opening, closing) = console.is_terminal(), _marks()
    painted = Text()
    for piece in sequence.pieces:
        text = piece.text if len(piece.text) <= LONGEST else f"{piece.text[:LONGEST]} ..."
        text = console.printable(text, console.console.encoding)
        if coloured:
            painted.append(text, style="black on #d5ecc2" if piece.learned else "dim")
        else:
            painted.append(f"{opening}{text}{closing}" if piece.learned else text)
    console.console.print(painted, soft_wrap=True)
    learned = sum(piece.tokens for piece in sequence.pieces if piece.learned)
    cut = f"; its last {sequence.cut:,} tokens are cut off" if sequence.cut else ""
    columns = f"; columns: {', '.join(map(str, sequence.columns))}" if sequence.columns else ""
    console.print_line(f"({learned:,} of {sequence.tokens:,} tokens are learned{cut}{columns})")


def _marks() -> tuple[str, str]:
    from lilliput.base.console import console

    try:
        "".join(MARKS).encode(console.encoding)
    except UnicodeEncodeError:
        return PLAIN_MARKS
    return MARKS
