import xml.etree.ElementTree as ET

from lilliput.base.html import as_html, escape, fact_list, table


def test_escape_makes_markup_inert_and_text_legal_in_xml():
    text = escape("<script>alert('&')</script>\x00\x1b\ud800 Zoë 🐉")
    assert ET.fromstring(f"<t>{text}</t>").text == "<script>alert('&')</script>\ufffd\ufffd\ufffd Zoë 🐉"


def words(html: str) -> list[str]:
    return [text.strip() for text in ET.fromstring(f"<x>{html}</x>").itertext() if text.strip()]


def test_plain_values_become_lists_with_readable_numbers():
    value = {"a": {"deep": [1, 2.5, None]}, "big": 1_234_567, "year": 2024, "on": True, "<b>": "x < y"}
    expected = ["a", "deep", "1", "2.5", "-", "big", "1,234,567", "year", "2024", "on", "yes", "<b>"]
    assert words(as_html(value)) == [*expected, "x < y"]


def test_facts_leave_out_what_is_not_known():
    assert words(fact_list("Cost", {"kwh": 0.5, "dollars": None})) == ["Cost", "kwh", "0.5"]
    assert fact_list("Cost", {"dollars": None}) == ""


def test_a_table_has_a_row_for_each_mapping_and_a_column_for_each_key():
    rows = {"train": {"documents": 19_004, "tokens": 3}, "validation": {"documents": 996}}
    assert words(table(rows)) == ["documents", "tokens", "train", "19,004", "3", "validation", "996"]
    assert table({}) == ""
