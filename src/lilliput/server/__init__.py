"""An OpenAI-compatible API over the batched engine, and a page to use in a browser."""
