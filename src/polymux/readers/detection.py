"""Which format a file has: its suffix where that says enough, its first lines otherwise."""

from __future__ import annotations

import json
import re
from itertools import islice

from polymux.errors import InputError
from polymux.readers import schemes
from polymux.readers.columns import cells
from polymux.readers.formats import READERS
from polymux.readers.plans import USUAL
from polymux.readers.source import Source

# Suffixes under which several formats are in use.
SHARED = (".txt", ".tsv", ".json", ".conll", ".bio", ".iob", ".iob2")

_LOOK = 1000
_BINARY = {b"PAR1": "parquet", b"ARROW1": "arrow"}
_CONLLU_ID = re.compile(r"[0-9]+([-.][0-9]+)?")
_SQUAD = re.compile(r'"paragraphs"\s*:\s*\[')


def detect(source: Source, task: str) -> str:
    """The name of the format of a file or folder; raises InputError where none fits."""
    if source.location.startswith("hf://") or source.saved:
        return "arrow" if source.saved else "hf"
    suffix = source.suffix
    if suffix not in SHARED:
        for name, reader in READERS.items():
            if suffix in reader.suffixes:
                return name
    head = source.head()
    for magic, name in _BINARY.items():
        if head.startswith(magic):
            return name
    if not head.strip():
        raise source.bad("the file is empty", "leave it out, or look whether it is the right one")
    found = _by_content(_lines(source), suffix, task)
    if found is None:
        raise source.bad(
            "the format is not clear, neither from the name nor from the first lines",
            f"say which it is, FORMAT:{source.path}, one of: {', '.join(READERS)}",
        )
    return found


def _by_content(lines: list[str], suffix: str, task: str) -> str | None:
    first = "\n".join(lines).lstrip()[:1]
    if suffix == ".json" or (suffix not in SHARED and first in ("{", "[")):
        return _json(lines)
    if _is_conllu(lines):
        return "conllu"
    if suffix in (".txt", ".tsv"):
        return _loose(lines, suffix, task)
    return "columns" if suffix in SHARED or _tagged(lines) else None


def _lines(source: Source) -> list[str]:
    items = islice(source.lines(), _LOOK)
    return [item[1] for item in items if not isinstance(item, InputError)]


def _json(lines: list[str]) -> str:
    text = "\n".join(lines).lstrip()
    if text.startswith("["):
        return "json"
    if _SQUAD.search(text[: 1 << 16]):
        return "squad"
    try:
        json.loads(next((line for line in lines if line.strip()), ""))
    except (ValueError, RecursionError):
        return "json"  # whose reader says what it expected
    return "jsonl"


def _loose(lines: list[str], suffix: str, task: str) -> str:
    """`.txt` and `.tsv`: a word a line, a table, or a text a line."""
    full = [line for line in lines if line.strip()]
    tabs = 2 * sum("\t" in line for line in full) > len(full)
    if _tagged(lines):
        return "columns"
    if not tabs:
        return "csv" if suffix == ".tsv" else "text"
    usual = {name for names in USUAL.values() for name in names}
    header = {cell.strip('"') for cell in full[0].split("\t")}
    apart = any(not line.strip() for line in "\n".join(lines).strip().split("\n"))
    is_columns = task == "token-classification" and apart and not header & usual
    return "columns" if is_columns else "csv"


def _is_conllu(lines: list[str]) -> bool:
    rows = [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
    return bool(rows) and all(
        len(row) == 10 and _CONLLU_ID.fullmatch(row[0]) is not None for row in rows
    )


def _tagged(lines: list[str]) -> bool:
    """Whether these are words with a tag each: columns whose last is of a tag scheme."""
    full = [line for line in lines if line.strip() and not line.startswith(("# ", "-DOCSTART-"))]
    if not full:
        return False
    tabs = 2 * sum("\t" in line for line in full) > len(full)
    rows = [cells(line, tabs=tabs) for line in full]
    return all(len(row) == len(rows[0]) > 1 for row in rows) and all(
        schemes.tag(row[-1]) is not None for row in rows
    )
