"""`python -m shelfwise.cli` is the command `shelfwise`."""

from shelfwise.cli import main

main()
