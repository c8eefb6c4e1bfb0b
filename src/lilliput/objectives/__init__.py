"""Objectives: how rows become batches, and how a batch gets its loss; one file an objective."""
