"""Telling: the engine that tells many texts at once, its key-value cache, sampling, stop strings, constraints."""
