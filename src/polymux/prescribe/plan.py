"""Counts per language: a plan of the user's, or those of another choice."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from polymux.errors import InputError


def read_plan(path: str | Path) -> dict[str, int]:
    """A CSV file `language,count` (a header is allowed) as counts."""
    counts: dict[str, int] = {}
    with Path(path).open(encoding="utf-8-sig", newline="") as lines:
        for number, cells in enumerate(csv.reader(lines), 1):
            if not cells or (number == 1 and cells[-1].strip() == "count"):
                continue
            if len(cells) != 2 or not cells[1].strip().isdecimal() or cells[0].strip() in counts:
                raise InputError(
                    f"not a line of a plan: {','.join(cells)[:80]}",
                    "write language,count with a whole number, each language once",
                    file=str(path),
                    line=number,
                )
            counts[cells[0].strip()] = int(cells[1])
    if sum(counts.values()) == 0:
        raise InputError(
            "the plan asks for no example", "write lines language,count", file=str(path)
        )
    return counts


def counts_of(folder: str | Path) -> dict[str, int]:
    """The language counts of a choice that `select` wrote into this folder."""
    manifest = Path(folder) / "selection.json"
    if not manifest.is_file():
        raise InputError(
            "there is no selection.json here",
            "give --like the folder that an earlier select wrote with --language",
            file=str(folder),
        )
    told = json.loads(manifest.read_text(encoding="utf-8")).get("languages")
    if not told:
        raise InputError(
            "that choice was made without languages",
            "make it again with --language FIELD, folder or file",
            file=str(manifest),
        )
    return {name: int(count) for name, count in told["chosen"].items()}
