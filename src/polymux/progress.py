"""How long work tells what it does: only the command line draws."""

from collections.abc import Callable

# What is being done, how much of it is done, and how much there is if that is known.
Progress = Callable[[str, int, int | None], None]


def within(progress: Progress | None, work: str) -> Progress | None:
    """The same for stages of a larger work, whose name stands before each."""
    if progress is None:
        return None
    return lambda stage, done, total: progress(f"{work}: {stage}", done, total)
