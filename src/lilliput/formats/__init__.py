"""Exchange of models: files that other programs load, files that they wrote, and the Hugging Face hub."""
