"""The plots, one a file: what can happen, why, and the words for it."""
