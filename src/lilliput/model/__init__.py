"""The transformer: config and named sizes, parts, counts, and the way to and from stock Hugging Face classes."""
