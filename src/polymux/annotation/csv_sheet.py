"""The sheet as CSV, for every spreadsheet program.

A cell that a program would take for a formula gets an apostrophe before it, as does one that begins
with apostrophes: what is read without the first one is what was written.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from polymux.annotation import sheet
from polymux.annotation.batch import Answer, Batch
from polymux.errors import InputError

# What begins a formula, its full-width forms too, and what programs take off before they look.
_FORMULA = tuple("=+-@\t\r\n ＝＋－＠'\u00a0\u3000")
_GUARD = "'"
_AS_CSV = "save it as CSV (UTF-8)"


def dump(batch: Batch) -> bytes:
    """UTF-8 with the mark by which Excel knows it, commas, CRLF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(sheet.columns(batch))
    for row in sheet.rows(batch):
        writer.writerow([_guarded(cell) for cell in row])
    return out.getvalue().encode("utf-8-sig")


def _guarded(cell: str) -> str:
    is_mark = cell in ("", sheet.NO_ANSWER)
    return _GUARD + cell if cell.startswith(_FORMULA) and not is_mark else cell


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """With commas, semicolons or tabs between, in UTF-8 or UTF-16, as programs save it."""
    try:
        for one in sheet.answers(_rows(path), batch):
            yield _placed(one, path) if isinstance(one, InputError) else one
    except InputError as error:
        raise _placed(error, path) from error
    except csv.Error as error:
        raise InputError(f"it is no CSV: {error}", _AS_CSV, file=str(path)) from error


def _placed(error: InputError, path: Path) -> InputError:
    return InputError(error.what, error.hint, file=str(path), line=error.line)


def _rows(path: Path) -> Iterator[sheet.Numbered]:
    text = _text(path)
    head = text.splitlines()[0] if text else ""
    between = max(",;\t", key=head.count)
    previous = csv.field_size_limit(max(len(text), 131_072))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=between)
        number = 1
        for cells in reader:
            yield number, [cell.removeprefix(_GUARD) for cell in cells]
            # A cell may hold line breaks: the next row begins after them.
            number = reader.line_num + 1
    finally:
        csv.field_size_limit(previous)


def _text(path: Path) -> str:
    data = path.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8: {error.reason}", _AS_CSV) from error
