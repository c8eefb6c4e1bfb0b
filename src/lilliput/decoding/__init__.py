"""Decoding: the engine that generates many texts at once, its key-value cache, sampling, stop strings, constraints."""
