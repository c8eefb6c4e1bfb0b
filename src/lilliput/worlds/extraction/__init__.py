"""Extraction: a text and a JSON template become filled JSON, whose verbatim values are parts of the text."""
