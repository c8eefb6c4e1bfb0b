"""The run folder and every name in it: metrics, checkpoints, samples, card, report; reads and writes disk only."""
