"""`python -m lilliput` is the `lilliput` command."""

from lilliput.cli.main import start

start()
