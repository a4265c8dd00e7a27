"""CSV and TSV with a header: the delimiter and the quoting are found from the first rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from polymux.errors import InputError
from polymux.readers.fields import Record
from polymux.readers.source import Source

if TYPE_CHECKING:
    import _csv

_DELIMITERS = "\t,;|"
_NO_DELIMITER = "\x1f"
_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", _NO_DELIMITER: "nothing"}
_LOOK = 500


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table separates and quotes its cells."""

    delimiter: str
    quoted: bool

    def rows(self, lines: Iterable[str]) -> _csv.Reader:
        """The rows of these lines; raises `csv.Error` where quotes do not fit."""
        if self.quoted:
            return csv.reader(lines, delimiter=self.delimiter, strict=True)
        return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE, strict=True)


def table(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record a row, by the names in the first row; empty lines are passed over."""
    dialect = look(source)
    source.tell(
        f"cells between {_NAMES[dialect.delimiter]}, {'' if dialect.quoted else 'not '}quoted"
    )
    header: list[str] = []
    for item in _rows(source, dialect):
        if isinstance(item, InputError):
            yield item
            continue
        number, row = item
        if not header:
            header = row
            if len(set(header)) < len(header):
                yield source.bad(
                    "two columns have one name", "rename one", number, ", ".join(header)
                )
                return
        elif len(row) != len(header):
            yield source.bad(
                f"{len(row)} cells where the header has {len(header)}",
                "quote cells that hold a delimiter, and fill the others up",
                number,
                dialect.delimiter.join(row),
            )
        else:
            yield Record(number, dict(zip(header, row, strict=True)))


def look(source: Source) -> Dialect:
    """The dialect that makes the first rows the most regular; quoted, where both do."""
    head = [item[1] for item in islice(_decoded(source), _LOOK)]
    header = next((line for line in head if not line.isspace()), "")
    # In a table of one column no delimiter that may stand in a text must split it.
    marks = [mark for mark in _DELIMITERS if mark in header] or [_NO_DELIMITER]
    dialects = [Dialect(mark, quoted) for mark in marks for quoted in (True, False)]
    return max(dialects, key=lambda dialect: _regularity(dialect, head))


def _decoded(source: Source) -> Iterator[tuple[int, str]]:
    for item in source.lines(keep_ends=True):
        if not isinstance(item, InputError):
            yield item


def _regularity(dialect: Dialect, lines: list[str]) -> tuple[float, int]:
    """The share of rows as wide as the header; then the width."""
    header: list[str] = []
    fitting = total = 0
    rows = dialect.rows(lines)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return fitting / max(total, 1), len(header)
        except csv.Error:
            # The end of what is looked at may cut a quoted cell that goes on.
            total += len(lines) < _LOOK or rows.line_num < len(lines)
            continue
        if row:
            header = header or row
            total += 1
            fitting += len(row) == len(header)


def _rows(source: Source, dialect: Dialect) -> Iterator[tuple[int, list[str]] | InputError]:
    """Rows with the number of their first line; a row with a line that is no text is left out."""
    numbers: list[int] = []
    broken: list[InputError] = []

    def feed() -> Iterator[str]:
        for item in source.lines(keep_ends=True):
            if isinstance(item, InputError):
                broken.append(item)
            else:
                numbers.append(item[0])
                yield item[1]

    rows = dialect.rows(feed())
    while True:
        problem: csv.Error | None = None
        row: list[str] = []
        try:
            row = next(rows)
        except StopIteration:
            yield from broken
            return
        except csv.Error as error:
            problem = error
        first = numbers[0] if numbers else 1
        inside = any((error.line or 0) > first for error in broken)
        yield from broken
        if problem is not None:
            yield source.bad(
                f"not a table, {problem}",
                'a cell that holds quotes is quoted, with its quotes doubled: "say ""yes"""',
                first,
            )
        elif row and not inside:
            yield first, row
        numbers.clear()
        broken.clear()
