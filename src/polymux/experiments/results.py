"""Files of results, a JSON object a line, and their fields, checked as they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from polymux.errors import InputError

RESULTS = "results.jsonl"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of results; every method raises InputError with its place if a field is wrong."""

    fields: Mapping[str, Any]
    file: Path
    line: int

    def text(self, name: str) -> str:
        """A field that is a text and not empty."""
        value = self.fields.get(name)
        if isinstance(value, str) and value:
            return value
        raise self.wrong(name, "a text that is not empty")

    def count(self, name: str, *, none: int | None = None) -> int:
        """A field that is a whole number; `none` stands for one that is missing or null."""
        value = self.fields.get(name)
        if value is None and none is not None:
            return none
        if _is_count(value):
            return value
        raise self.wrong(name, "a whole number, 0 or more")

    @property
    def score(self) -> float:
        """In [0, 1]."""
        value = self.fields.get("score")
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        raise self.wrong("score", "a number between 0 and 1")

    @property
    def chosen(self) -> Mapping[str, int]:
        """Labels by language; of an experiment without languages it may be null or missing."""
        value = self.fields.get("chosen")
        if value is None:
            return {}
        if isinstance(value, dict) and all(map(_is_count, value.values())):
            return value
        raise self.wrong("chosen", "an object of languages and whole numbers, 0 or more")

    def wrong(self, name: str, wanted: str) -> InputError:
        """What to raise of a field that is not what is wanted."""
        there = f"is {json.dumps(self.fields[name])[:40]}" if name in self.fields else "is missing"
        hint = f"{name} is {wanted}"
        return InputError(f"{name} {there}", hint, file=str(self.file), line=self.line)


def results_file(path: str | Path) -> Path:
    """The file that a path, or a folder with a `results.jsonl`, stands for.

    Raises:
        InputError: there is none.
    """
    file = Path(path) / RESULTS if Path(path).is_dir() else Path(path)
    if file.is_file():
        return file
    raise InputError(
        "there is no such file of results",
        f"give a {RESULTS} of polymux simulate or its folder; polymux tables also takes a CSV with "
        "columns strategy and score",
        file=str(file),
    )


def text_of(file: Path) -> str:
    """The text of a file of results or of a table, without a mark at its beginning.

    Raises:
        InputError: it is not UTF-8.
    """
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.start} is not UTF-8", "save it as UTF-8", file=str(file)
        ) from error


def read_results(file: Path) -> Iterator[Result]:
    """The lines of a file that hold anything.

    Raises:
        InputError: it is not UTF-8, or a line is no JSON object.
    """
    for number, line in enumerate(text_of(file).split("\n"), start=1):
        if line.strip():
            yield Result(_object(line, file, number), file, number)


def _object(line: str, file: Path, number: int) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (RecursionError, ValueError):
        told = None
    if isinstance(told, dict):
        return told
    raise InputError(
        f"not a result: {line.strip()[:60]}",
        "each line of results is a JSON object; the last one may have been cut off. A pattern "
        "after an option must be quoted, else the shell's files are taken for results",
        file=str(file),
        line=number,
    )


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
