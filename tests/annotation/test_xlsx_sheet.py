"""Workbooks: what a person finds in them, typed cells, strings as XML has them, damage."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from tests.annotation.test_sheet import ADA, ASKED, BOB, CLASSED, ENTITIES
from tests.annotation.tools import excel
from tests.annotation.worlds import CLASSES, HOSTILE

from polymux.annotation import Answer, Batch, Item, checked, xlsx_sheet
from polymux.annotation.xlsx_sheet import dump, escaped, load, unescaped
from polymux.errors import InputError, UsageError

HEADER = ("id", "text", "label", "state", "annotator")


def back(tmp_path: Path, batch: Batch, data: bytes) -> list[Answer | InputError]:
    path = tmp_path / "back.xlsx"
    path.write_bytes(data)
    return list(checked(batch, load(path, batch), path))


def book(*rows: tuple[Any, ...], formats: dict[str, str] | None = None) -> bytes:
    """A workbook as any program but polymux makes it."""
    made = Workbook()
    page = made.active
    for row in rows:
        page.append(row)
    for place, how in (formats or {}).items():
        page[place].number_format = how
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def texts(*words: str) -> Batch:
    items = tuple(Item(f"c#{number}", {"text": word}) for number, word in enumerate(words, 1))
    return Batch("text-classification", ("1", "1.5", "true", "yes"), items)


def test_a_person_chooses_labels_from_a_list_under_a_header_that_stays() -> None:
    made = load_workbook(io.BytesIO(dump(ENTITIES)))
    page, labels = made["examples"], made["labels"]
    assert page.freeze_panes == "A2"
    assert [cell.value for cell in page[1]] == [
        "id", "language", "position", "word", "label", "state", "annotator",
    ]  # fmt: skip
    assert [cell.value for cell in page[2]] == ["p#1", "en", 1, "Ada", "B-PER", None, None]
    assert [cell.value for cell in labels["A"]] == [*ENTITIES.labels, "PER", "LOC"]
    lists = {str(one.sqref).split(":")[0]: one for one in page.data_validations.dataValidation}
    assert lists["E2"].formula1 == "labels!$A$1:$A$7"
    # What is not in the list is refused, not only warned of.
    for one in lists.values():
        assert (one.showErrorMessage, one.errorStyle or "stop") == (True, "stop")
    assert "skipped" in " ".join(str(cell.value) for cell in made["how to"]["A"])
    assert lists["F2"].formula1 == '"skipped,rejected"'
    assert all(one.type == "list" and one.showErrorMessage for one in lists.values())
    assert page.column_dimensions["D"].width == 30


def test_examples_are_parted_by_a_line_and_texts_wrap() -> None:
    page = load_workbook(io.BytesIO(dump(ENTITIES)))["examples"]
    lines = [row[0].border.top.style for row in page.iter_rows(min_row=2)]
    assert lines == ["thin", None, None, "thin", None]
    assert all(cell.alignment.wrap_text for row in page.iter_rows(min_row=2) for cell in row)


@pytest.mark.parametrize(("text", "order"), [("مرحبا Ada", 2), ("1. שלום", 2), ("Ada שלום", 0)])
def test_a_cell_is_read_from_the_side_where_its_text_begins(text: str, order: int) -> None:
    page = load_workbook(io.BytesIO(dump(texts(text))))["examples"]
    assert page["B2"].alignment.readingOrder == order


def test_questions_may_be_unanswerable_and_have_no_list_of_labels() -> None:
    made = load_workbook(io.BytesIO(dump(ASKED)))
    (states,) = made["examples"].data_validations.dataValidation
    assert states.formula1 == '"skipped,rejected,unanswerable"'


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "#N/A", "\t=1", "＝1", "1.5", "TRUE"])
def test_no_text_is_ever_a_formula_or_a_number(text: str, tmp_path: Path) -> None:
    batch = Batch("text-classification", (text,), (Item(text, {"text": text}, label=text),))
    dumped = dump(batch)
    for row in load_workbook(io.BytesIO(dumped)).worksheets[0].iter_rows(min_row=2, max_col=3):
        assert [(cell.data_type, cell.value, cell.number_format) for cell in row] == [
            ("s", text, "@")
        ] * 3
    with zipfile.ZipFile(io.BytesIO(dumped)) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")
    (answer,) = back(tmp_path, batch, dumped)
    assert isinstance(answer, Answer)
    assert answer.label == text


def test_typed_cells_are_labels_as_they_are_shown(tmp_path: Path) -> None:
    data = book(
        HEADER,
        ("c#1", "a", 1, None, None),
        ("c#2", "b", 1.5, "", "ada"),
        ("c#3", "c", True, None, None),
        ("c#4", "d", "YES", None, None),
        ("c#5", 5, 1.0, None, None),
    )
    answers = back(tmp_path, texts("a", "b", "c", "d", "5"), data)
    assert [one.label for one in answers if isinstance(one, Answer)] == [
        "1", "1.5", "true", "yes", "1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "how", "what"),
    [
        ("=1+1", None, "C2 holds a formula"),
        ("#REF!", None, "C2 holds the error #REF!"),
        (date(2024, 1, 1), None, "the spreadsheet made 2024-01-01 00:00:00 of C2"),
        (1.5, "0%", "the spreadsheet made 1.5 of C2, shown as 0%"),
        (1e20, None, "the spreadsheet made 1e+20 of C2, shown as General"),
    ],
)
def test_what_a_spreadsheet_made_of_a_label_is_refused_with_its_place(
    value: Any, how: str | None, what: str, tmp_path: Path
) -> None:
    data = book(
        HEADER, ("c#1", "a", value), ("c#2", "b", "yes"), formats={"C2": how} if how else {}
    )
    error, answer = back(tmp_path, texts("a", "b"), data)
    assert isinstance(error, InputError)
    assert error.what.startswith(f"c#1: {what}")
    assert (error.file, error.line) == (str(tmp_path / "back.xlsx"), 2)
    assert error.hint == "format the cell as text and write it again"
    assert isinstance(answer, Answer)


def test_a_formula_in_a_column_of_the_users_own_is_none_of_ours(tmp_path: Path) -> None:
    data = book(("count", *HEADER), ("=COUNTA(D:D)", "c#1", "a", "yes"))
    (answer,) = back(tmp_path, texts("a"), data)
    assert isinstance(answer, Answer)


def test_errors_tell_the_row_also_below_empty_ones(tmp_path: Path) -> None:
    data = book((), HEADER, (), (), ("c#1", "changed", "yes"), (), ())
    (error,) = back(tmp_path, texts("a"), data)
    assert isinstance(error, InputError)
    assert (error.what, error.line) == (
        "c#1: text changed on the way: 'a' was sent, 'changed' came back",
        5,
    )


def test_a_workbook_without_our_sheet_is_read_from_its_first(tmp_path: Path) -> None:
    made = load_workbook(io.BytesIO(book(HEADER, ("c#1", "a", "yes"))))
    made.create_sheet("notes").append(["id", "text", "label"])
    out = io.BytesIO()
    made.save(out)
    assert len(back(tmp_path, texts("a"), out.getvalue())) == 1
    made.move_sheet("notes", -1)
    made["Sheet"].title = "examples"
    out = io.BytesIO()
    made.save(out)
    assert len(back(tmp_path, texts("a"), out.getvalue())) == 1


# What XML cannot hold, and what looks like its escape.
XML = ("\x00", "\x01", "\r", "\n", "\t", " ", "\x1f", "\ufffe", "\uffff")
XML += ("_x0041_", "_x0041", "_x005F", "_", "x0041_", "x005F_", "_x000d_")
_xml_breaks = st.lists(st.sampled_from((*HOSTILE, *XML))).map("".join)


@given(_xml_breaks)
def test_what_is_escaped_is_meant_to_the_letter(text: str) -> None:
    told = escaped(text)
    assert unescaped(told) == text
    assert not set(told) & {"\x00", "\x01", "\r", "\x1f", "\ufffe", "\uffff"}


@pytest.mark.parametrize("saved", [lambda data, batch: data, excel])
def test_characters_that_xml_cannot_hold_come_back(saved: Any, tmp_path: Path) -> None:
    text = "\x00 a\r\nb\x1f _x0041_ _x005F_ x005F_ \ufffe\uffff_x0001\x01 "
    batch = Batch("text-classification", ("yes",), (Item("c#1", {"text": text}, label="yes"),))
    path = tmp_path / "back.xlsx"
    path.write_bytes(saved(dump(batch), batch))
    (answer,) = load(path, batch)
    assert isinstance(answer, Answer)
    assert answer.fields == {"text": text}
    (row,) = xlsx_sheet._cells(path)[1:]
    assert unescaped(row[1].value) == text


def test_a_text_in_several_formats_is_one_text(tmp_path: Path) -> None:
    """Excel parts a text of which some is bold, and tells how a Japanese one is spoken."""
    batch = texts("東京 Ada")
    data = excel(dump(replace_label(batch)), batch)
    runs = (
        "<r><t xml:space='preserve'>東京 </t></r><r><rPr><b/></rPr><t>Ada</t></r>"
        "<rPh sb='0' eb='2'><t>トウキョウ</t></rPh>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name).replace("<t>東京 Ada</t>".encode(), runs.encode())
            new.writestr(name, part)
    (answer,) = back(tmp_path, batch, out.getvalue())
    assert isinstance(answer, Answer), answer


def replace_label(batch: Batch) -> Batch:
    (item,) = batch.items
    return Batch(batch.task, batch.labels, (Item(item.id, item.fields, label="yes"),))


def test_a_text_that_xml_makes_too_long_is_refused_before_it_is_cut() -> None:
    with pytest.raises(UsageError, match=r"^c#1: text has 70,000 characters as XLSX writes it"):
        dump(texts("\x01" * 10_000))


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0 an old or encrypted workbook", b"id,text,label\n"],
)
def test_what_is_no_workbook_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no XLSX workbook") as caught:
        back(tmp_path, CLASSED, data)
    assert caught.value.file == str(tmp_path / "back.xlsx")


def test_a_workbook_that_is_locked_is_refused(tmp_path: Path) -> None:
    data = bytearray(dump(CLASSED))
    # The bit of each member, in its own header and in the directory, that says: encrypted.
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(mark, at + 4)
    with pytest.raises(InputError, match="no XLSX workbook"):
        back(tmp_path, CLASSED, bytes(data))


def test_a_workbook_that_is_cut_is_refused(tmp_path: Path) -> None:
    whole = dump(ENTITIES)
    for size in range(0, len(whole), 997):
        with pytest.raises(InputError, match="no XLSX workbook"):
            back(tmp_path, ENTITIES, whole[:size])


def test_a_workbook_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the header lacks label") as caught:
        back(tmp_path, CLASSED, book(("id", "text")))
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "back.xlsx"), 1)
    with pytest.raises(InputError, match="there is nothing in it"):
        back(tmp_path, CLASSED, book())


def test_two_annotators_may_copy_the_rows(tmp_path: Path) -> None:
    data = book(HEADER, ("c#1", "a", "yes", None, "ada"), ("c#1", "a", None, "skipped", "eve"))
    assert [(one.annotator, one.state) for one in back(tmp_path, texts("a"), data) if one.line] == [
        ("ada", "labelled"),
        ("eve", "skipped"),
    ]


def test_labels_of_any_kind_can_be_chosen() -> None:
    batch = Batch("text-classification", CLASSES, (Item("c#1", {"text": "x"}),))
    labels = load_workbook(io.BytesIO(dump(batch)))["labels"]
    assert [(cell.value, cell.data_type) for cell in labels["A"]] == [(c, "s") for c in CLASSES]


def test_without_openpyxl_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_sheet, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="openpyxl is not installed") as caught:
        dump(CLASSED)
    assert caught.value.hint == "pip install 'polymux[sheets]'"
    with pytest.raises(UsageError):
        list(load(Path("x.xlsx"), CLASSED))


def test_the_words_of_two_examples_come_back(tmp_path: Path) -> None:
    batch = Batch("token-classification", ENTITIES.labels, (ADA, BOB))
    (answer,) = back(tmp_path, batch, excel(dump(batch), batch))
    assert isinstance(answer, Answer)
    assert (answer.id, answer.label, answer.line) == ("p#1", ADA.label, 2)
