"""The page of what was tried and what came of it."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Any

Told = Mapping[str, Any]
_PAGE = """# Reliability

What was tried to break polymux, and what came of it. One command makes this page, in three hours
of two cores; a part can be taken up again alone.

```bash
make reliability
make reliability RELIABILITY='kills --only next'
```

## Fuzzing

Every reader, every annotation format and every other file that polymux reads, {seconds} seconds
each under a coverage-guided fuzzer (atheris, on libFuzzer) that begins with whole files in many
scripts. An input may raise nothing but an error that names the file and says what to do; what is
accepted must be writable. An input that takes more than {hang} s or {memory:,} MB counts as found.
Edges are those of polymux's own code that were reached.

What was found is mended, and stands in a test; a row tells of the run that found it.

A fuzzer breaks the form of a file more often than its sense. So in every file of JSON each value is
replaced in turn by nine of other kinds, by `tests/test_reliability.py`, in CI.

{fuzzes}

## `kill -9`

A command on a small world is killed at a moment drawn evenly from the time that it takes, and run
again: what then lies in the folder must be what an undisturbed run leaves, byte for byte but for
clocks and memory, and the numbers in pages, which stand in the files beside them. A kill that left
the folder as it had been needs no second run to show that. What was found is mended here too.

{kills}

## Disks, folders, people, models

{faults}

Python {python} on {system}.
"""


def page(
    fuzzes: Mapping[str, Told], kills: Mapping[str, Told], faults: Mapping[str, Told],
    *, seconds: int, hang: int, memory: int,
) -> str:  # fmt: skip
    """Everything that was kept, as Markdown."""
    inputs = sum(one["inputs"] for one in fuzzes.values())
    found = sum(len(one["bad"]) for one in fuzzes.values())
    return _PAGE.format(
        fuzzes=_table(
            ("what", "inputs", "accepted in part", "edges", "tracebacks, crashes, hangs"),
            [*map(_fuzzed, fuzzes.items()), ("**all**", f"{inputs:,}", "", "", found)],
        ),
        kills=_table(
            ("command", "undisturbed", "kills", "after it had written", "other than undisturbed"),
            (
                (f"`polymux {name}`", f"{one['seconds']:.1f} s", one["kills"], one["after_a_write"],
                 len(one["bad"]))
                for name, one in kills.items()
            ),
        ),
        faults=_table(
            ("what", "what was tried"),
            ((name, one["told"] or "**not survived**") for name, one in faults.items()),
        ),
        seconds=seconds, hang=hang, memory=memory,
        python=platform.python_version(), system=platform.system(),
    )  # fmt: skip


def _fuzzed(told: tuple[str, Told]) -> tuple[object, ...]:
    name, one = told
    counts = (f"{one[count]:,}" for count in ("inputs", "accepted", "features"))
    return (name, *counts, len(one["bad"]))


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---", *("--:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
