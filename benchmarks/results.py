"""What was measured, kept in `results.json` and told in `RESULTS.md`: a section a part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from figures import FIGURES, Row

HERE = Path(__file__).parent
# Why a figure was not reached, in a person's words; its text stands below the table.
SHORTFALLS = HERE / "SHORTFALLS.md"
INTRODUCTION = """# Results of the benchmarks

Made by `make bench`; [how each part is run](../docs/results/index.md#speed-and-scale). A value is
the median of its repeats, beside it the lowest and the highest. A part that was run again replaces
its section alone, so each section says when and on which machine it was measured.
"""


def rows_of(part: Mapping[str, Any]) -> list[Row]:
    """The rows of a part as `results.json` holds them."""
    return [Row(**{**row, "values": tuple(row["values"])}) for row in part["rows"]]


def keep(name: str, rows: Sequence[Row], facts: Mapping[str, Any], folder: Path) -> None:
    """Put a part's rows in the place of those that were kept of it, and tell all again."""
    path = folder / "results.json"
    parts = json.loads(path.read_text("utf-8")) if path.exists() else {}
    parts[name] = {**facts, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "RESULTS.md").write_text("".join(page(parts)), "utf-8")


def page(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Everything as Markdown."""
    machines = list(dict.fromkeys(part["machine"] for part in parts.values()))
    yield INTRODUCTION
    yield "\n## Figures to reach\n\n"
    yield from _figures([row for part in parts.values() for row in rows_of(part)])
    if SHORTFALLS.exists():
        yield f"\n{SHORTFALLS.read_text('utf-8').strip()}\n"
    yield "\n## Machines\n\n"
    for number, machine in enumerate(machines, start=1):
        yield f"{number}. {machine}\n"
    for name, part in parts.items():
        yield f"\n## {name}\n\n{part['about']}\n\n"
        yield f"{part['date']}, machine {machines.index(part['machine']) + 1}, "
        yield f"`{part['command']}`, {part['seconds']:.0f} s in all\n\n"
        yield from table(rows_of(part))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows of one part as a Markdown table."""
    yield "| what | median | lowest to highest | repeats | |\n|---|--:|--:|--:|---|\n"
    for row in rows:
        yield f"| {row.what} | {_value(row)} | {_spread(row)} | {len(row.values)} | {row.note} |\n"


def _figures(rows: Sequence[Row]) -> Iterator[str]:
    yield "| figure | asked | aim | measured | lowest to highest | reached | where |\n"
    yield "|---|--:|--:|--:|--:|---|---|\n"
    for name, figure in FIGURES.items():
        mine = [row for row in rows if row.figure == name]
        measured = [row for row in mine if row.values]
        limit = "at most" if figure.is_ceiling else "at least"
        asked = f"{limit} {_told(figure.least, figure.unit)} | {_told(figure.aim, figure.unit)}"
        if measured:
            row = figure.worst(measured)
            reached = figure.reached(row.middle)
            told = f"{_value(row)} | {_spread(row)} | {reached} | {row.what}"
        else:
            told = f"| | not measured | {'; '.join({row.note: None for row in mine})}"
        yield f"| {figure.about} | {asked} | {told} |\n"


def _value(row: Row) -> str:
    return _told(row.middle, row.unit) if row.values else ""


def _spread(row: Row) -> str:
    if len(row.values) < 2:
        return ""
    return f"{_told(min(row.values), row.unit)} to {_told(max(row.values), row.unit)}"


def _told(value: float, unit: str) -> str:
    if unit == "share":
        return f"{100 * value:.3g} %"
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}".rstrip()
