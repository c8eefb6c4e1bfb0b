"""The quality of a model: bits per byte on unseen text beside n-gram baselines, benchmarks, and marks for stories."""
