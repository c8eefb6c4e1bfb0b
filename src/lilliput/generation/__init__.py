"""A loaded model with its tokenizer and direction, ready to generate."""
