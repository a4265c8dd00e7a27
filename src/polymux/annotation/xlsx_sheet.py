"""XLSX of a sheet: labels to choose from a list, the header in sight, every text a text.

Cells hold strings in text format, never formulas: what is typed into them stays as it is typed.
Characters that XML cannot hold go as `_xHHHH_`, as the standard has it (ECMA-376 part 1, 22.9.2.19)
and as Excel and LibreOffice read it.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from polymux.annotation import sheet
from polymux.annotation.batch import Answer, Batch, span_kinds
from polymux.errors import InputError, UsageError

if TYPE_CHECKING:
    from openpyxl import Workbook

_SHEET, _LABELS, _HOW = "examples", "labels", "how to"
_TEXT = "@"
# Numbers in these are shown as they are.
_PLAIN = ("General", "0", _TEXT)
_WIDTHS = {"position": 9, "word": 30, "text": 80, "text_pair": 80, "question": 50, "context": 100}
_WIDTHS |= {"id": 24, "language": 10, "label": 20, "answer": 50, "start": 9, "state": 14}
_USUAL_WIDTH = 20
# The first letter nearly always tells the direction; a text of numbers alone is as it comes.
_LOOK = 200

_ILLEGAL = "[\x00-\x08\x0b-\x1f\ufffe\uffff]"
_HIDDEN = re.compile(f"{_ILLEGAL}|_(?=x[0-9A-Fa-f]{{4}}(?:_|{_ILLEGAL}))")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
# What openpyxl and the packages below it raise for a file that is none, or is cut.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    AttributeError,
    EOFError,
    KeyError,
    IndexError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
_AS_TEXT = "format the cell as text and write it again"


def escaped(text: str) -> str:
    """A text as XML can hold it; what looks like an escape is one itself."""
    return _HIDDEN.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def unescaped(text: str) -> str:
    """The text that was `escaped`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def is_workbook(path: Path) -> bool:
    """Whether a file is one, whatever it is called."""
    try:
        with zipfile.ZipFile(path) as parts:
            return "xl/workbook.xml" in parts.namelist()
    except _DAMAGE:
        return False


def _installed() -> None:
    if find_spec("openpyxl") is None:
        raise UsageError("openpyxl is not installed", "pip install 'polymux[sheets]'")


def dump(batch: Batch) -> bytes:
    """A workbook with the examples, and the labels that may be chosen on a sheet of their own.

    Raises:
        UsageError: a spreadsheet cannot hold it, or openpyxl is not installed.
    """
    _installed()
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    # All of it before anything is written: openpyxl cannot stop half-way.
    examples = [[_held(row) for row in rows] for rows in sheet.examples(batch)]
    book = Workbook(write_only=True)
    page = book.create_sheet(_SHEET)
    page.freeze_panes = "A2"
    names = sheet.columns(batch)
    for number, name in enumerate(names, start=1):
        page.column_dimensions[get_column_letter(number)].width = _WIDTHS.get(name, _USUAL_WIDTH)
    cell = _Maker(page)
    page.append([cell(escaped(name), font=Font(bold=True)) for name in names])
    count = 1
    for rows in examples:
        for number, row in enumerate(rows):
            page.append(cell.row(names, row, first=number == 0))
        count += len(rows)
    # Rows that people add below may be labelled too.
    _choices(page, names, batch, 2 * count)
    for title, lines in ((_LABELS, _may_be_chosen(batch)), (_HOW, _how_to(batch))):
        more = book.create_sheet(title)
        more.column_dimensions["A"].width = 100 if title == _HOW else _WIDTHS["label"]
        cell = _Maker(more)
        for line in lines:
            more.append([cell(escaped(line))])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _may_be_chosen(batch: Batch) -> tuple[str, ...]:
    """What a person may write into `label`: labels, and kinds of spans instead of tags."""
    kinds = span_kinds(batch.labels) if batch.task == "token-classification" else ()
    return tuple(dict.fromkeys((*batch.labels, *kinds)))


def _how_to(batch: Batch) -> tuple[str, ...]:
    """What a person who fills the sheet in has to know."""
    task = {
        "token-classification": (
            "Each word has a row. Choose its label from the list in the column label, O for none.",
            "At all words of an example either tags (B-, I-) or the bare kind alone.",
        ),
        "text-classification": ("Each text has a row. Choose its class in the column label.",),
        "question-answering": (
            "Copy the answer from the context into the column answer, to the letter.",
            "One more answer: one more row with the same id. No answer: unanswerable in state.",
            "Only if the answer stands there more than once: its place, from 0, in start.",
        ),
    }[batch.task]
    if batch.task == "token-classification" and not batch.tagged:
        task = ("Each word has a row. Choose its label from the list in the column label.",)
    return (
        *task,
        "Cannot tell? Choose skipped in the column state: the whole example is then left out.",
        "What is wrong as a whole is rejected.",
        "Leave ids, positions and texts as they are; rows may be sorted, columns added.",
        "The examples that are labelled already check the way back: leave them as they are.",
    )


def _held(row: Mapping[str, str]) -> dict[str, str]:
    """The cells of a row as XML holds them."""
    told = {name: escaped(text) for name, text in row.items()}
    for name, text in told.items():
        if len(text) > sheet.LONGEST_CELL:
            raise UsageError(
                f"{row['id']}: {name} has {len(text):,} characters as XLSX writes it, a cell holds "
                f"{sheet.LONGEST_CELL:,}",
                "choose another format, such as jsonl",
            )
    return told


class _Maker:
    """Cells of one page, of a few styles that they share."""

    def __init__(self, page: Any) -> None:
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.styles import Alignment, Border, Side

        self._cell = partial(WriteOnlyCell, page)
        self._usual = Alignment(wrap_text=True, vertical="top")
        self._leftward = Alignment(
            wrap_text=True, vertical="top", horizontal="right", readingOrder=2
        )
        self._line = Border(top=Side(style="thin", color="FF999999"))

    def row(self, names: Sequence[str], row: Mapping[str, str], *, first: bool) -> list[Any]:
        """A row; a line above it where it is the first of an example."""
        style = {"border": self._line} if first else {}
        numbers = ("position", "start")
        return [self(row.get(name, ""), number=name in numbers, **style) for name in names]

    def __call__(self, text: str, *, number: bool = False, **style: Any) -> Any:
        if number and text:
            cell = self._cell(int(text))
        else:
            cell = self._cell(text)
            # Whatever it looks like: openpyxl would make a formula of =1+1.
            cell.data_type = "s"
            cell.number_format = _TEXT if not number else "General"
        cell.alignment = self._leftward if _is_leftward(text) else self._usual
        for name, value in style.items():
            setattr(cell, name, value)
        return cell


def _is_leftward(text: str) -> bool:
    """Whether a text begins in a script that is written from right to left."""
    directions = map(unicodedata.bidirectional, text[:_LOOK])
    return next((one for one in directions if one in ("L", "R", "AL")), "L") != "L"


def _choices(page: Any, names: Sequence[str], batch: Batch, rows: int) -> None:
    """Lists to choose from in the columns `label` and `state`."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    lists = {"state": f'"{",".join(sheet.states(batch.task))}"'}
    if batch.labels:
        lists["label"] = f"{_LABELS}!$A$1:$A${len(_may_be_chosen(batch))}"
    for name, values in lists.items():
        if name not in names:
            continue
        column = get_column_letter(names.index(name) + 1)
        choice = DataValidation("list", formula1=values, allow_blank=True, showErrorMessage=True)
        choice.errorTitle = name
        choice.error = "Choose one from the list, or leave the cell empty."
        choice.add(f"{column}2:{column}{min(rows, sheet.MOST_ROWS)}")
        page.data_validations.append(choice)


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """An answer an example that is filled in; see `polymux.annotation.sheet`.

    The sheet is the one called `examples`, or the first.

    Raises:
        InputError: it is no workbook, or lacks a column.
    """
    _installed()
    yield from sheet.answers(_rows(path, batch), batch, path)


def _rows(path: Path, batch: Batch) -> Iterator[sheet.Row]:
    places: dict[str, int] | None = None
    for number, cells in enumerate(_cells(path), start=1):
        if places is not None:
            yield _row(number, cells, places)
        elif any(cell.value is not None for cell in cells):
            names = [cell.value if isinstance(cell.value, str) else "" for cell in cells]
            try:
                places = sheet.header(names, batch)
            except InputError as error:
                raise InputError(error.what, error.hint, file=str(path), line=number) from error
    if places is None:
        raise InputError(
            "there is nothing in it", "import the file that was exported", file=str(path)
        )


def _cells(path: Path) -> list[Sequence[Any]]:
    """The rows of the sheet, from the first, as openpyxl's cells."""
    try:
        # What openpyxl warns of, extensions it does not know, is nothing of ours.
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = _opened(stream)
            page: Any = book[_SHEET] if _SHEET in book.sheetnames else book.worksheets[0]
            # What a file says of its size may be wrong.
            page.reset_dimensions()
            return list(page.iter_rows())
    except _DAMAGE as error:
        raise InputError(
            f"no XLSX workbook: {str(error) or type(error).__name__}",
            "save it as .xlsx, without a password",
            file=str(path),
        ) from error


def _opened(stream: IO[bytes]) -> Workbook:
    """A workbook with its strings as XML has them.

    openpyxl's own reader takes `x005F_` out of shared strings, and what was escaped and what only
    looks so is then the same.
    """
    from openpyxl.reader.excel import ExcelReader
    from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
    from openpyxl.xml.functions import iterparse

    text, run = f"{{{SHEET_MAIN_NS}}}t", f"{{{SHEET_MAIN_NS}}}r"

    class Reader(ExcelReader):
        def read_strings(self) -> None:
            package: Any = self.package
            part = package.find(SHARED_STRINGS)
            if part is None:
                return
            with self.archive.open(part.PartName[1:]) as source:
                for _, node in iterparse(source):
                    if node.tag == f"{{{SHEET_MAIN_NS}}}si":
                        # Beside texts and runs of them there is only how they are spoken.
                        parts = [*node.findall(text), *node.findall(f"{run}/{text}")]
                        self.shared_strings.append("".join(one.text or "" for one in parts))
                        node.clear()

    reader = Reader(stream, read_only=True, keep_links=False)
    reader.read()
    return reader.wb


def _row(number: int, cells: Sequence[Any], places: Mapping[str, int]) -> sheet.Row:
    values: dict[str, str] = {}
    wrong = None
    for name, place in places.items():
        try:
            values[name] = _text(cells[place]) if place < len(cells) else ""
        except InputError as error:
            values[name] = ""
            wrong = wrong or error
    return sheet.Row(number, values, wrong)


def _text(cell: Any) -> str:
    """A cell as it is shown.

    Raises:
        InputError: it is a formula, an error, a date or a number in a format of its own.
    """
    kind, value = cell.data_type, cell.value
    if kind in ("f", "e"):
        what = "a formula" if kind == "f" else f"the error {value}"
        raise InputError(f"{cell.coordinate} holds {what}", _AS_TEXT)
    if value is None:
        return ""
    if isinstance(value, str):
        return unescaped(value)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float) and cell.number_format in _PLAIN:
        # Excel's digits.
        shown = format(value, ".15g")
        if "e" not in shown:
            return shown
    raise InputError(
        f"the spreadsheet made {value} of {cell.coordinate}, shown as {cell.number_format}",
        _AS_TEXT,
    )
