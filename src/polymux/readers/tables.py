"""CSV and TSV with a header: the delimiter and the quoting are found from the first rows."""

from __future__ import annotations

import csv
import re
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
# What csv says of a cell beyond its limit, which holds for the whole process: it stays as it is.
_TOO_LONG = "field larger than field limit"


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
    """The dialect that makes the first rows the most regular."""
    head = [item[1] for item in islice(_decoded(source), _LOOK)]
    header = next((line for line in head if not line.isspace()), "")
    # In a table of one column no delimiter that may stand in a text must split it.
    marks = [mark for mark in _DELIMITERS if mark in header] or [_NO_DELIMITER]
    dialects = [Dialect(mark, quoted=_quoted(mark, head)) for mark in marks]
    return max(dialects, key=lambda dialect: _regularity(dialect, head))


def _decoded(source: Source) -> Iterator[tuple[int, str]]:
    for item in source.lines(keep_ends=True):
        if not isinstance(item, InputError):
            yield item


def _tried(dialect: Dialect, lines: list[str]) -> Iterator[tuple[list[str], str]]:
    """Rows, empty where quotes do not fit, with the lines they come from."""
    rows = dialect.rows(lines)
    while True:
        before = rows.line_num
        row: list[str] = []
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            # The end of what is looked at may cut a quoted cell that goes on.
            if len(lines) == _LOOK and rows.line_num == _LOOK:
                return
        text = "".join(lines[before : rows.line_num])
        if not text.isspace():
            yield row, text


def _quoted(mark: str, lines: list[str]) -> bool:
    """Whether cells that begin with a quote are quoted: read so, most such rows are regular."""
    opening = re.compile(f'(?:^|{re.escape(mark)})"', re.MULTILINE)
    width = good = bad = 0
    for row, text in _tried(Dialect(mark, quoted=True), lines):
        width = width or len(row)
        if opening.search(text):
            good += len(row) == width
            bad += len(row) != width
    return good >= bad


def _regularity(dialect: Dialect, lines: list[str]) -> tuple[float, int]:
    """The share of rows as wide as the header; then the width."""
    widths = [len(row) for row, _ in _tried(dialect, lines)] or [0]
    return widths.count(widths[0]) / len(widths), widths[0]


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
            hint = 'a cell that holds quotes is quoted, with its quotes doubled: "say ""yes"""'
            if str(problem).startswith(_TOO_LONG):
                hint = "a quote is never closed; or the text is that long: write it as JSON lines"
            yield source.bad(f"not a table, {problem}", hint, first)
        elif row and not inside:
            yield first, row
        numbers.clear()
        broken.clear()
