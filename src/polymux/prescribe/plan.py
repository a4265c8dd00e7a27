"""Counts per language: a plan of the user's, or those of another choice."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from polymux.errors import InputError, UsageError

# Of as many digits as any pool needs: Python reads no number of thousands of them.
_COUNT = re.compile(r"\d{1,12}")


def read_plan(path: str | Path) -> dict[str, int]:
    """A CSV file `language,count` (a header is allowed) as counts."""
    counts: dict[str, int] = {}
    for number, cells in enumerate(_rows(path), 1):
        if not cells or (number == 1 and cells[-1].strip() == "count"):
            continue
        told = [cell.strip() for cell in cells]
        if len(told) != 2 or not _COUNT.fullmatch(told[1]) or told[0] in counts:
            raise InputError(
                f"not a line of a plan: {','.join(cells)[:80]}",
                "write language,count with a whole number, each language once",
                file=str(path),
                line=number,
            )
        counts[told[0]] = int(told[1])
    if sum(counts.values()) == 0:
        raise InputError(
            "the plan asks for no example", "write lines language,count", file=str(path)
        )
    return counts


def _rows(path: str | Path) -> list[list[str]]:
    try:
        return list(csv.reader(Path(path).read_bytes().decode("utf-8-sig").splitlines()))
    except (FileNotFoundError, IsADirectoryError):
        hint = "give --plan a CSV file with lines language,count"
        raise InputError("there is no such file", hint, file=str(path)) from None
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is not UTF-8"
        raise InputError(where, "save the plan as UTF-8", file=str(path)) from None
    except csv.Error as error:
        hint = "write lines language,count"
        raise InputError(f"it is not CSV: {error}", hint, file=str(path)) from None


def counts_of(folder: str | Path) -> dict[str, int]:
    """The language counts of a choice that `select` wrote into this folder."""
    manifest = Path(folder) / "selection.json"
    if not manifest.is_file():
        raise InputError(
            "there is no selection.json here",
            "give --like the folder that an earlier select wrote with --language",
            file=str(folder),
        )
    try:
        told = json.loads(manifest.read_text(encoding="utf-8"))["languages"]["chosen"]
        return {str(name): int(count) for name, count in told.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            "it tells no languages of the chosen",
            "make that choice again with --language FIELD, folder or file",
            file=str(manifest),
        ) from None


def refuse_strangers(quotas: Mapping[str, int], languages: Collection[str]) -> None:
    """A plan of which the pool knows no language."""
    if not any(count > 0 and name in languages for name, count in quotas.items()):
        raise UsageError(
            f"none of the languages {', '.join(quotas)} is in the pool",
            f"it has {', '.join(sorted(languages))}",
        )
