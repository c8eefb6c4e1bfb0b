"""Telling: the key-value cache, sampling from logits, and the loop that turns prompts into token ids."""
