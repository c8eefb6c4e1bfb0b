"""Objectives: they turn rows into batches, and batches into losses; one file for each objective."""
