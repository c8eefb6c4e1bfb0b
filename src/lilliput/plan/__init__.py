"""What to train before training it: cost and energy; later scaling laws and pilots."""
