"""`python -m tests.faults` runs every generator at large, and `--part SEED` a fortieth of them."""

from tests.faults.table import main

main()
