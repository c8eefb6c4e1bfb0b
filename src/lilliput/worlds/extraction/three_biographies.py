"""The example of three biographies: a template, and short texts of three real people who are in no training example."""

from __future__ import annotations

from typing import Any

TEMPLATE: dict[str, Any] = {
    "name": "verbatim-string",
    "born": "date",
    "birthplace": "verbatim-string",
    "profession": "verbatim-string",
    "area": ["science", "art", "music", "letters", "sport"],
    "spouse": "verbatim-string",
    "children": ["verbatim-string"],
    "died": "date",
}
TEXTS = (
    "Ada Lovelace was born on 10 December 1815 in London. She was a mathematician by profession. Lovelace married "
    "William King on 8 July 1835. They had three children: Byron, Annabella and Ralph. She died on 27 November 1852 in "
    "London.",
    "Niels Bohr was a physicist. He was born in Copenhagen on October 7, 1885. Later he had a home in Cambridge and "
    "Manchester. He married Margrethe Norlund in 1912. He spoke Danish, English and German.",
    "Emily Dickinson, a poet, was born on 10 December 1830 in Amherst. Her father, Edward Dickinson, was a judge. She "
    "had no children. She died in 1886.",
)
RIGHT: tuple[dict[str, Any], ...] = (
    {
        "name": "Ada Lovelace",
        "born": "1815-12-10",
        "birthplace": "London",
        "profession": "mathematician",
        "area": "science",
        "spouse": "William King",
        "children": ["Byron", "Annabella", "Ralph"],
        "died": "1852-11-27",
    },
    {
        "name": "Niels Bohr",
        "born": "1885-10-07",
        "birthplace": "Copenhagen",
        "profession": "physicist",
        "area": "science",
        "spouse": "Margrethe Norlund",
        "children": [],
        "died": None,
    },
    {
        "name": "Emily Dickinson",
        "born": "1830-12-10",
        "birthplace": "Amherst",
        "profession": "poet",
        "area": "letters",
        "spouse": None,
        "children": [],
        "died": "1886",
    },
)
"""The right values of each text."""
