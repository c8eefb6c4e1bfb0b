"""How good a model is: bits per byte on unseen text, and the n-gram baselines it has to beat."""
