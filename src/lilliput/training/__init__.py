"""The run: optimisers, schedules, the loop, checkpoints, callbacks and trackers."""
