"""`python -m tests.faults` runs every generator at large, and `--tenth SEED` a tenth of them."""

from tests.faults.table import main

main()
