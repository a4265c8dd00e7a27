"""`python -m polymux` is the command line."""

from polymux.cli import main

main()
