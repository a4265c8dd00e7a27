"""What a command shows: progress on standard error, results on standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from polymux.errors import UsageError
from polymux.progress import Progress

# -1 quiet, 0 usual, 1 verbose.
_verbosity: ContextVar[int] = ContextVar("verbosity", default=0)
PLAIN_LINE_SECONDS = 30.0


def set_verbosity(level: int) -> None:
    """Hold how much to say for the command that runs now."""
    _verbosity.set(level)


def tell(message: str, *, level: int = 0) -> None:
    """Say something of the work on standard error, unless quiet; level -1 is always said."""
    if _verbosity.get() >= level:
        print(_lines(message), file=sys.stderr)


def say(text: str) -> None:
    """Print a result; what it holds of somebody's files cannot move the cursor."""
    print(_lines(text))


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def printable(text: str) -> str:
    """What a file holds, on one line; it cannot move the cursor."""
    return "".join(c if c.isprintable() else " " for c in text)


def print_json(value: Any) -> None:
    """Print a result for machines."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def refuse_leftovers(arguments: list[str]) -> None:
    """Arguments nobody asked for: most often a glob that the shell expanded."""
    if arguments:
        raise UsageError(
            f"unexpected argument: {arguments[0]}",
            "a pattern must be quoted, else the shell expands it: --source 'data/*.conllu'; "
            "options that repeat are given again: --source a --source b",
        )


def pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """`NAME=COLUMN` options as a dict."""
    for item in given:
        if "=" not in item:
            raise UsageError(f"{option} {item}: there is no =", f"write {option} NAME=COLUMN")
    return dict(item.split("=", 1) for item in given)


def _plain() -> Progress:
    """A line when a stage begins, each half minute of it and then at its end."""
    last: dict[str, float] = {}
    counted: set[str] = set()

    def show(stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        is_end = done == total and stage in counted
        if stage not in last:
            tell(stage)
        elif is_end or now - last[stage] >= PLAIN_LINE_SECONDS:
            tell(f"{stage}: {done:,}" + (f" of {total:,}" if total else ""))
            (counted.discard if is_end else counted.add)(stage)
        else:
            return
        last[stage] = now

    return show


@contextmanager
def progress() -> Iterator[Progress]:
    """A function that long work calls with stage, done and total; drawn as fits standard error."""
    if _verbosity.get() < 0:
        yield lambda stage, done, total: None
        return
    if not sys.stderr.isatty():
        yield _plain()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")

    bars = Bars(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bars:
        known: dict[str, Any] = {}

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in known:
                known[stage] = bars.add_task(stage, total=total)
            bars.update(known[stage], completed=done, total=total)

        yield show
