"""Faults injected on purpose: every file that is written is damaged, every file that is read is made hostile."""
