"""Sheets as Excel and LibreOffice save them, what people type into them, and what must not run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from polymux.annotation import FORMATS, Answer, Batch, Item, checked
from polymux.errors import InputError, UsageError

CLASSES = ("yes", "no", "1", "TRUE")
TEXTS = Batch(
    "text-classification",
    CLASSES,
    tuple(
        Item(f"t#{n}", {"text": text}, n, None, "de")
        for n, text in enumerate(("Guten Tag; ja", '=1+1 "x"', "zwei\nZeilen"), start=1)
    ),
)
WORDS = Batch(
    "token-classification",
    ("O", "B-PER", "I-PER"),
    (
        Item("w#1", {"tokens": ("Ada", "Lovelace", "=CMD")}, 1),
        Item("w#2", {"tokens": ("नमस्ते", "مرحبا")}, 2),
    ),
)
CONTEXT = "🚀 Ada met Ada in Rome."
QUESTIONS = Batch(
    "question-answering",
    (),
    tuple(Item(f"q#{n}", {"question": "Who?", "context": CONTEXT}, n) for n in (1, 2, 3, 4, 5)),
)


def back(path: Path, batch: Batch) -> list[Answer | InputError]:
    return list(checked(batch, FORMATS[path.suffix[1:]].load(path, batch), path))


def labels(answers: Sequence[Answer | InputError]) -> list[Any]:
    return [one.label if isinstance(one, Answer) else one.what for one in answers]


def written(tmp_path: Path, name: str, batch: Batch) -> Path:
    path = tmp_path / f"sheet.{name}"
    dump = FORMATS[name].dump
    assert dump is not None
    path.write_bytes(dump(batch))
    return path


def book(tmp_path: Path, table: Sequence[Sequence[object]]) -> Path:
    made = openpyxl.Workbook()
    for row in table:
        made.active.append(row)
    made.save(tmp_path / "sheet.xlsx")
    return tmp_path / "sheet.xlsx"


def test_excel_in_german_writes_semicolons_and_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    text = (
        "id;rank;language;text;label;state\r\n"
        't#1;1;de;"Guten Tag; ja";yes;\r\n'
        't#2;2;de;"\'=1+1 ""x""";no;\r\n'
        't#3;3;de;"zwei\nZeilen";;Skipped\r\n'
        ";;;;;\r\n"
    )
    path.write_bytes(text.encode("utf-8-sig"))
    first, second, third = back(path, TEXTS)
    assert labels([first, second]) == ["yes", "no"]
    assert isinstance(third, Answer)
    assert (third.state, third.line) == ("skipped", 4)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_columns_stand_where_they_like_with_tabs_between(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "sheet.csv"
    text = "label\tnotes\ttext\tID\nyes\tgood\tGuten Tag; ja\tt#1\n\n"
    path.write_bytes(text.encode(encoding))
    assert labels(back(path, TEXTS)) == ["yes"]


def test_nothing_in_a_csv_is_a_formula(tmp_path: Path) -> None:
    evil = ("=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", " =1", "＝1", "'=1", "''x", "-", "x")
    items = tuple(Item(f"={n}", {"text": text}, n) for n, text in enumerate(evil))
    batch = Batch("text-classification", ("=yes",), items)
    batch = replace(batch, items=tuple(replace(item, label="=yes") for item in items))
    path = written(tmp_path, "csv", batch)
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.lstrip().startswith(tuple("=+@＝＋－＠"))]
    assert [cell for cell in cells if cell.startswith("-")] in ([], ["-"])
    assert labels(back(path, batch)) == ["=yes"] * len(items)


def test_nothing_in_an_excel_file_is_a_formula_and_labels_are_offered(tmp_path: Path) -> None:
    path = written(tmp_path, "xlsx", TEXTS)
    page = openpyxl.load_workbook(path)["polymux"]
    assert {cell.data_type for row in page.iter_rows() for cell in row} == {"s", "n"}
    assert page["D3"].value == '=1+1 "x"'
    assert page.freeze_panes == "A2"
    (rule,) = page.data_validations.dataValidation
    assert rule.formula1 == "labels!$A$1:$A$4"
    assert str(rule.sqref) == "E2:E4"
    page["E2"], page["E3"], page["E4"] = "yes", 1, True
    page.parent.save(path)
    # What was typed as a number or a truth value is read as it is shown.
    assert labels(back(path, TEXTS)) == ["yes", "1", "TRUE"]


def test_a_formula_that_somebody_wrote_is_refused_with_its_place(tmp_path: Path) -> None:
    path = book(tmp_path, [["id", "text", "label"], ["t#1", "Guten Tag; ja", "=A1"]])
    with pytest.raises(InputError, match="the cell C2 holds a formula") as error:
        back(path, TEXTS)
    assert (error.value.line, error.value.file) == (2, str(path))


def test_words_are_filled_in_a_row_each_and_wait_or_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, "csv", WORDS)
    assert back(path, WORDS) == []
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    assert [row[3] for row in rows] == ["word", "Ada", "Lovelace", "'=CMD", "", "नमस्ते", "مرحبا", ""]
    rows[1][4], rows[2][4], rows[3][4], rows[5][4] = "B-PER", "I-PER", "O", "O"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(rows)
    good, bad = back(path, WORDS)
    assert isinstance(good, Answer)
    assert good.label == ("B-PER", "I-PER", "O")
    assert isinstance(bad, InputError)
    assert bad.what == "w#2: word 2, 'مرحبا', has no label"
    assert bad.line == 7


def test_answers_are_found_in_their_context_or_asked_about(tmp_path: Path) -> None:
    head = ["id", "question", "context", "answer", "start"]
    told = [
        ["q#1", "Who?", CONTEXT, "Rome", None],
        ["q#2", "Who?", CONTEXT, "Ada", None],
        ["q#3", "Who?", CONTEXT, "Ada", 10],
        ["q#3", "Who?", CONTEXT, "Ada", 2.0],
        ["q#4", "Who?", CONTEXT, "-", None],
        ["q#5", "Who?", CONTEXT, "Rom e", None],
    ]
    assert labels(back(book(tmp_path, [head, *told]), QUESTIONS)) == [
        {"text": ["Rome"], "answer_start": [17]},
        "q#2: the answer 'Ada' stands there more than once",
        {"text": ["Ada", "Ada"], "answer_start": [10, 2]},
        {"text": [], "answer_start": []},
        "q#5: the answer 'Rom e' does not stand in the context",
    ]


@pytest.mark.parametrize("name", ["csv", "xlsx"])
def test_a_sheet_without_its_first_row_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    if name == "csv":
        path.write_text("t#1,1,de,Guten Tag,yes\n", encoding="utf-8")
    else:
        path = book(tmp_path, [["t#1", 1, "de", "Guten Tag", "yes"]])
    with pytest.raises(InputError, match="there is no column 'id'") as error:
        back(path, TEXTS)
    assert (error.value.line, error.value.file) == (1, str(path))


def test_a_text_that_no_cell_holds_is_refused_before(tmp_path: Path) -> None:
    long = Batch("text-classification", ("yes",), (Item("t#1", {"text": "x" * 40_000}, 1),))
    with pytest.raises(UsageError, match="a cell holds 32,767"):
        written(tmp_path, "xlsx", long)


def test_a_hundred_thousand_rows_come_back(tmp_path: Path) -> None:
    count = 100_000
    items = tuple(Item(f"t#{n}", {"text": f"text {n}"}, n, label="yes") for n in range(count))
    batch = Batch("text-classification", ("yes",), items)
    assert len(back(written(tmp_path, "csv", batch), batch)) == count


def test_signs_that_xml_cannot_hold_come_back(tmp_path: Path) -> None:
    text = "a\x00b\x0bc\rd _x0041_ _x e\u2028f"
    batch = Batch("text-classification", ("yes",), (Item("t#1", {"text": text}, 1, label="yes"),))
    (answer,) = back(written(tmp_path, "xlsx", batch), batch)
    assert isinstance(answer, Answer)
    assert answer.fields == {"text": text}
