"""A loaded model with its tokenizer and direction, ready to generate.

`lilliput.generate` is the short form of `loading.load(path).generate(...)` in assembly/generating.py. It is there
because steering by features needs the lens, which stands above this room."""
