"""Worlds: data that is made from a person's own text."""
