"""Rewards: scores of completions, by name, with the signature that TRL's reward functions have."""
