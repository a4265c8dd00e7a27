"""How long work tells what it does: only the command line draws."""

from collections.abc import Callable

# What is being done, how much of it is done, and how much there is if that is known.
Progress = Callable[[str, int, int | None], None]
