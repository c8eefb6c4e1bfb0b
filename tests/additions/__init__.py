"""One addition of each kind, as a person would write it: test_additions.py puts each file into its room and uses it."""
