"""What a row is and what its loss is: one file an objective."""
