"""Recipe, and the parts of one run built from it."""
