"""Serving: an OpenAI-compatible API over the batched engine, and the page that reads with you."""
