"""Columns of tables: their schema, and the codecs that turn values into tokens and back."""
