"""Out of the house and in: files that other programs load, files that they wrote, and the Hugging Face hub."""
