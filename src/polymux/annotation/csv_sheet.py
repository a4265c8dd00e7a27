"""CSV of a sheet: as every spreadsheet opens it, and as every one saves it.

It is written as UTF-8 with a byte order mark, which Excel needs, with commas; an empty row parts
examples whose words have rows of their own. It is read back with commas, semicolons or tabs, in
UTF-8 or UTF-16.

A spreadsheet that opens a CSV runs what begins like a formula, and makes numbers and dates of what
looks like one (1.50, 3/4, MAR1). Such a text goes with an apostrophe before it, and so does one
that is such a text after apostrophes, so that taking one away again is exact. The same holds inside
a text where a line begins, and after a semicolon: where Excel expects semicolons between cells
(German, French), it takes a file with commas apart there, and runs what it finds.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from polymux.annotation import sheet
from polymux.annotation.batch import Answer, Batch
from polymux.annotation.told import source_of
from polymux.errors import InputError
from polymux.readers.source import Source

_BOM = "\ufeff"
_SEPARATORS = (",", ";", "\t")
_APOSTROPHE = "'"
# What starts a formula, also in full width, and also after white space, which some cut away.
_STARTS = r"[=+\-@＝＋－＠]"
_FORMULA = re.compile(rf"[\t\r\n]|\s*{_STARTS}")
_INSIDE = rf"(?='*[^\S\t\r\n]*{_STARTS})"
_OPEN = re.compile(rf"(?<=[;\t\r\n]){_INSIDE}")
_ESCAPED = re.compile(rf"(?<=[;\t\r\n])'{_INSIDE}")
# What may be read as a number, a date, a time or a percentage: digits and their signs, with at most
# one word between (5 May, MAR1, 1E5, 3 pm).
_SIGNS = r"[\d\s.,:/%()€$£¥₹−-]*"
_NUMBER = re.compile(rf"(?=.*\d){_SIGNS}(?:[^\W\d_]+{_SIGNS})?", re.DOTALL)
_LONGEST_NUMBER = 30
# Read as a number it is written back as it was.
_UNCHANGED = re.compile(r"0|[1-9][0-9]{0,14}", re.ASCII)
# True and false as Excel names them: en, de, fr, es, it, pt, nl.
_TRUTH = re.compile(
    r"\s*(?:true|false|wahr|falsch|vrai|faux|verdadero|falso|vero|verdadeiro|waar|onwaar)\s*", re.I
)
_UTF8 = "save it as UTF-8: in Excel as CSV UTF-8, in LibreOffice with the character set UTF-8"


def shown(text: str) -> str:
    """A text as no spreadsheet runs or changes it."""
    inside = _OPEN.sub(_APOSTROPHE, text)
    return _APOSTROPHE + inside if _changes(text.lstrip(_APOSTROPHE)) else inside


def meant(cell: str) -> str:
    """The text that was `shown`."""
    text = _ESCAPED.sub("", cell)
    escaped = text.startswith(_APOSTROPHE) and _changes(text.lstrip(_APOSTROPHE))
    return text[1:] if escaped else text


def _changes(text: str) -> bool:
    if _FORMULA.match(text) or _TRUTH.fullmatch(text):
        return True
    if len(text) > _LONGEST_NUMBER or _UNCHANGED.fullmatch(text):
        return False
    return _NUMBER.fullmatch(text) is not None


def dump(batch: Batch) -> bytes:
    """A row a word, a text or an answer, with labels where there are any.

    Raises:
        UsageError: a spreadsheet cannot hold it.
    """
    out = io.StringIO(newline="")
    names = sheet.columns(batch)
    writer = csv.writer(out)
    writer.writerow([shown(name) for name in names])
    for number, rows in enumerate(sheet.examples(batch)):
        if number and batch.task == "token-classification":
            writer.writerow([""] * len(names))
        writer.writerows([_cell(name, row.get(name, "")) for name in names] for row in rows)
    return (_BOM + out.getvalue()).encode()


def _cell(column: str, text: str) -> str:
    # Numbers of ours.
    return text if column in ("position", "start") else shown(text)


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """An answer an example that is filled in; see `polymux.annotation.sheet`.

    Raises:
        InputError: it is no text, no CSV, or lacks a column.
    """
    yield from sheet.answers(_rows(path, batch), batch, path)


def _rows(path: Path, batch: Batch) -> Iterator[sheet.Row]:
    source = source_of(path)
    places: dict[str, int] | None = None
    for number, cells in _records(source, batch):
        if not any(cells):
            continue
        if places is None:
            try:
                places = sheet.header(cells, batch)
            except InputError as error:
                raise source.bad(error.what, error.hint, number) from error
            width = len(cells)
            continue
        yield _row(number, cells, places, width)
    if places is None:
        raise source.bad("there is nothing in it", "import the file that was exported")


def _row(number: int, cells: list[str], places: dict[str, int], width: int) -> sheet.Row:
    error = None
    if any(cells[width:]):
        error = InputError(
            f"there are {len(cells)} cells for {width} columns",
            "put cells that hold the separator in quotes",
        )
    values = {
        name: meant(cells[place]) if place < len(cells) else "" for name, place in places.items()
    }
    return sheet.Row(number, values, error)


def _records(source: Source, batch: Batch) -> Iterator[tuple[int, list[str]]]:
    """Rows with the numbers that a spreadsheet gives them: one with line breaks in it is one."""
    lines = _lines(source)
    head = []
    for line in lines:
        head.append(line)
        if line.strip():
            break
    separator = max(_SEPARATORS, key=lambda mark: _known("".join(head), mark, batch))
    records = csv.reader(chain(head, lines), delimiter=separator, strict=True)
    number = 0
    try:
        for number, cells in enumerate(records, start=1):
            yield number, cells
    except csv.Error as error:
        raise source.bad(
            f"no CSV after row {number}: {error}",
            'a cell that holds quotes is in quotes, with its own doubled: "say ""yes"""',
            number + 1,
        ) from error


def _known(line: str, separator: str, batch: Batch) -> int:
    """How many columns of ours a header has, read with a separator."""
    names = {cell.strip(' "\r\n').lower() for cell in line.split(separator)}
    return len(names.intersection(sheet.columns(batch)))


def _lines(source: Source) -> Iterator[str]:
    for item in source.lines(keep_ends=True):
        if isinstance(item, InputError):
            raise InputError(item.what, _UTF8, file=item.file, line=item.line)
        yield item[1]
