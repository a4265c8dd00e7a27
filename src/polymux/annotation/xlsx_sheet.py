"""The sheet as an Excel file: every cell is text, labels are chosen from a list."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polymux.annotation import sheet
from polymux.annotation.batch import Answer, Batch
from polymux.errors import InputError, UsageError

# XML cannot hold these; Excel writes them by their number, and what looks like it, too.
_HIDDEN = re.compile("_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\x85\u2028\u2029\ufffe\uffff]")
_TOLD = re.compile("_x([0-9A-Fa-f]{4})_")
_WIDE, _NARROW = 60, 14
_AS_IT_IS = "give the .xlsx file as a spreadsheet program saved it"


def dump(batch: Batch) -> bytes:
    """One sheet with its first row fixed, texts wrapped, and a list of labels to choose from.

    Raises:
        UsageError: openpyxl is not installed, or a text is longer than a cell may be.
    """
    openpyxl = _openpyxl()
    book = openpyxl.Workbook()
    page = book.active
    page.title = "polymux"
    names = sheet.columns(batch)
    page.append(names)
    for number, row in enumerate(sheet.rows(batch), start=2):
        for place, text in enumerate(row, start=1):
            if text:
                _write(page.cell(number, place), text)
    page.freeze_panes = "A2"
    for place, name in enumerate(names, start=1):
        letter = openpyxl.utils.get_column_letter(place)
        is_wide = name in ("text", "text_pair", "context", "question", sheet.ANSWER)
        page.column_dimensions[letter].width = _WIDE if is_wide else _NARROW
        page.cell(1, place).font = openpyxl.styles.Font(bold=True)
        if name == sheet.LABEL:
            _offer(book, page, letter, batch.labels)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _openpyxl() -> Any:
    try:
        import openpyxl
        import openpyxl.styles
        import openpyxl.utils
        import openpyxl.worksheet.datavalidation
    except ImportError as error:
        raise UsageError("openpyxl is not installed", "pip install 'polymux[sheets]'") from error
    return openpyxl


def _write(cell: Any, text: str) -> None:
    from openpyxl.styles import Alignment

    cell.value = _HIDDEN.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    # A text that begins with = is no formula.
    cell.data_type = "s"
    cell.number_format = "@"
    # Each cell begins where its first letter's script does.
    cell.alignment = Alignment(wrap_text=True, vertical="top", readingOrder=0)


def _offer(book: Any, page: Any, letter: str, labels: tuple[str, ...]) -> None:
    """Labels stand in a sheet of their own: a list in the rule is short and has no commas."""
    openpyxl = _openpyxl()
    known = book.create_sheet("labels")
    for number, label in enumerate(labels, start=1):
        _write(known.cell(number, 1), label)
    if labels:
        rule = openpyxl.worksheet.datavalidation.DataValidation(
            type="list", formula1=f"labels!$A$1:$A${len(labels)}", allow_blank=True
        )
        page.add_data_validation(rule)
        rule.add(f"{letter}2:{letter}{max(2, page.max_row)}")


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """The first sheet; numbers and truth values are read as they are shown, formulas refused."""
    try:
        for one in sheet.answers(_rows(path), batch):
            yield _placed(one, path) if isinstance(one, InputError) else one
    except InputError as error:
        raise _placed(error, path) from error


def _placed(error: InputError, path: Path) -> InputError:
    return InputError(error.what, error.hint, file=str(path), line=error.line)


def _rows(path: Path) -> Iterator[sheet.Numbered]:
    openpyxl = _openpyxl()
    try:
        book = openpyxl.load_workbook(path, read_only=True, rich_text=False)
    except (
        zipfile.BadZipFile,
        openpyxl.utils.exceptions.InvalidFileException,
        KeyError,
        ValueError,
        OSError,
    ) as error:
        raise InputError(f"it is no Excel file: {error}", _AS_IT_IS) from error
    try:
        for number, row in enumerate(book.worksheets[0].iter_rows(), start=1):
            yield number, [_shown(cell, number) for cell in row]
    finally:
        book.close()


def _shown(cell: Any, number: int) -> str:
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise InputError(
            f"the cell {cell.coordinate} holds a formula: {str(value)[:60]!a}",
            "write its value, as text",
            line=number,
        )
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _TOLD.sub(lambda found: chr(int(found[1], 16)), str(value))
