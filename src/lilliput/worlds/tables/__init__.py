"""Tables: models of rows, trained on a file, that generate rows like it; their quality, and what they leak."""
