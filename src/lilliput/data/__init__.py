"""From raw text to batches of token rows: sources, curation steps, tokenizer, shards, packing, loader."""
