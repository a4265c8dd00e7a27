"""Sheets: what stands in the rows, what people do to them, and what is refused with its row."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotation.worlds import CLASSES, HOSTILE, NER, POS

from polymux.annotation import Answer, Batch, Item, checked
from polymux.annotation.csv_sheet import dump, load, meant, shown
from polymux.errors import InputError, UsageError

ADA = Item(
    "p#1",
    {"tokens": ("Ada", "Lovelace", "spoke")},
    label=("B-PER", "I-PER", "O"),
    language="en",
)
BOB = Item("p#2", {"tokens": ("Bob", "=1+1")})
ENTITIES = Batch("token-classification", NER, (ADA, BOB))
CLASSED = Batch(
    "text-classification",
    ("yes", "no"),
    (Item("c#1", {"text": "Naïve?"}, label="no"), Item("c#2", {"text": "a, b; c\nd"})),
)
ASKED = Batch(
    "question-answering",
    (),
    (
        Item("a#1", {"question": "Where?", "context": "🏳️‍🌈 in Rome, in Rome."}),
        Item("a#2", {"question": "Who?", "context": "Ada."}),
    ),
)
FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
TRIGGERS = (*FORMULAS, "\t", "\r")


def rows(dumped: bytes) -> list[list[str]]:
    assert dumped.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(dumped.decode("utf-8-sig"), newline="")))


def back(tmp_path: Path, batch: Batch, content: str | bytes) -> list[Answer | InputError]:
    path = tmp_path / "back.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(checked(batch, load(path, batch), path))


def told(answers: list[Answer | InputError]) -> list[tuple[object, ...]]:
    return [
        (one.id, one.state, one.label, one.annotator) if isinstance(one, Answer) else one
        for one in answers
    ]


def refused(tmp_path: Path, batch: Batch, content: str) -> tuple[str, int | None]:
    (error,) = back(tmp_path, batch, content)
    assert isinstance(error, InputError), error
    assert error.file == str(tmp_path / "back.csv")
    return error.what, error.line


def test_a_word_has_a_row_and_an_empty_one_parts_examples() -> None:
    assert rows(dump(ENTITIES)) == [
        ["id", "language", "position", "word", "label", "state", "annotator"],
        ["p#1", "en", "1", "Ada", "B-PER", "", ""],
        ["p#1", "", "2", "Lovelace", "I-PER", "", ""],
        ["p#1", "", "3", "spoke", "O", "", ""],
        ["", "", "", "", "", "", ""],
        ["p#2", "", "1", "Bob", "", "", ""],
        ["p#2", "", "2", "'=1+1", "", "", ""],
    ]


def test_a_text_has_a_row_with_its_label() -> None:
    assert rows(dump(CLASSED)) == [
        ["id", "text", "label", "state", "annotator"],
        ["c#1", "Naïve?", "no", "", ""],
        ["c#2", "a, b; c\nd", "", "", ""],
    ]


def test_an_answer_has_a_row_and_a_start_where_it_stands_twice() -> None:
    first, second = ASKED.items
    label = {"text": ["Rome", "🏳️‍🌈"], "answer_start": [17, 0]}
    labelled = Item(first.id, first.fields, label=label)
    empty = Item(second.id, second.fields, label={"text": [], "answer_start": []})
    assert rows(dump(Batch("question-answering", (), (labelled, empty)))) == [
        ["id", "question", "context", "answer", "start", "state", "annotator"],
        ["a#1", "Where?", "🏳️‍🌈 in Rome, in Rome.", "Rome", "17", "", ""],
        ["a#1", "", "", "🏳️‍🌈", "", "", ""],
        ["a#2", "Who?", "Ada.", "", "", "unanswerable", ""],
    ]


def test_a_csv_of_a_german_excel_is_read(tmp_path: Path) -> None:
    """Semicolons, a mark, line breaks in cells, columns moved, one of its own, empty ones."""
    content = (
        "\ufefflabel;Notiz;text;id;state;;\r\n"
        'yes;"sicher; sehr";Naïve?;c#1;;;\r\n'
        'no;;"a, b; c\nd";c#2;;;\r\n'
        ";;;;;;\r\n"
        ";;;;;;\r\n"
    )
    assert told(back(tmp_path, CLASSED, content)) == [
        ("c#1", "labelled", "yes", None),
        ("c#2", "labelled", "no", None),
    ]


def test_a_csv_of_libreoffice_is_read(tmp_path: Path) -> None:
    """All texts in quotes, no mark, line feeds."""
    content = (
        '"id","text","label","state","annotator"\n'
        '"c#1","Naïve?","","skipped","ada"\n'
        '"c#2","a, b; c\nd","no",,\n'
    )
    assert told(back(tmp_path, CLASSED, content)) == [
        ("c#1", "skipped", None, "ada"),
        ("c#2", "labelled", "no", None),
    ]


def test_unicode_text_of_excel_is_read(tmp_path: Path) -> None:
    content = 'id\ttext\tlabel\tstate\r\nc#1\tNaïve?\tyes\t\r\nc#2\t"a, b; c\nd"\t\trejected\r\n'
    assert told(back(tmp_path, CLASSED, content.encode("utf-16"))) == [
        ("c#1", "labelled", "yes", None),
        ("c#2", "rejected", None, None),
    ]


def test_a_header_in_capitals_after_empty_rows_is_found(tmp_path: Path) -> None:
    assert refused(tmp_path, CLASSED, "\n,,\nID, Text ,LABEL\nc#1,Naïve?,maybe\n") == (
        "c#1: nobody may give the label 'maybe'",
        4,
    )


def test_what_is_empty_waits(tmp_path: Path) -> None:
    assert back(tmp_path, CLASSED, "id,text,label\nc#1,Naïve?, \nc#2,changed,\n") == []
    assert back(tmp_path, ENTITIES, "id,word,label\np#1,Ada,\np#1,Lovelace,\np#1,spoke,\n") == []
    assert back(tmp_path, ASKED, 'id,question,context,answer\na#2,Who?,Ada.,""\n') == []


def test_rows_may_be_sorted_where_positions_are_kept(tmp_path: Path) -> None:
    content = "position,id,word,label\n3,p#1,spoke,O\n1,p#1,Ada,B-PER\n2,p#1,Lovelace,I-PER\n"
    assert told(back(tmp_path, ENTITIES, content)) == [("p#1", "labelled", ADA.label, None)]


def test_two_annotators_below_each_other_are_told_apart(tmp_path: Path) -> None:
    copies = "".join(
        f"p#2,1,Bob,{label},{who}\np#2,2,=1+1,O,\n"
        for who, label in (("ada", "O"), ("eve", "B-PER"))
    )
    content = "id,position,word,label,annotator\n" + copies
    assert told(back(tmp_path, ENTITIES, content)) == [
        ("p#2", "labelled", ("O", "O"), "ada"),
        ("p#2", "labelled", ("B-PER", "O"), "eve"),
    ]


def test_a_word_that_stands_twice_is_told_with_both_rows(tmp_path: Path) -> None:
    content = "id,position,word,label\np#2,1,Bob,O\np#2,2,=1+1,O\np#2,1,Bob,O\n"
    assert refused(tmp_path, ENTITIES, content) == ("p#2: word 1 stands in rows 2 and 4", 4)


def test_a_word_without_a_label_among_others_is_refused(tmp_path: Path) -> None:
    content = "id,word,label\np#1,Ada,B-PER\np#1,Lovelace,\np#1,spoke,O\n"
    assert refused(tmp_path, ENTITIES, content) == (
        "p#1: the word 'Lovelace' has no label while others have one",
        3,
    )


@pytest.mark.parametrize(
    ("written", "label"),
    [
        (("PER", "PER", "O"), ("B-PER", "I-PER", "O")),
        (("PER", "LOC", " loc "), ("B-PER", "B-LOC", "I-LOC")),
        (("PER", "O", "PER"), ("B-PER", "O", "B-PER")),
        (("b-per", " I-PER", "o"), ("B-PER", "I-PER", "O")),
    ],
)
def test_bare_kinds_are_spans_of_the_words_that_follow_each_other(
    written: tuple[str, ...], label: tuple[str, ...], tmp_path: Path
) -> None:
    pairs = zip(("Ada", "Lovelace", "spoke"), written, strict=True)
    content = "id,word,label\n" + "".join(f"p#1,{word},{given}\n" for word, given in pairs)
    assert told(back(tmp_path, ENTITIES, content)) == [("p#1", "labelled", label, None)]


def test_bare_kinds_get_the_letters_of_the_batch(tmp_path: Path) -> None:
    labels = ("O", "B-PER", "I-PER", "L-PER", "U-PER")
    content = (
        "id,word,label\np#1,Ada,PER\np#1,Lovelace,PER\np#1,spoke,PER\np#2,Bob,PER\np#2,=1+1,O\n"
    )
    batch = Batch("token-classification", labels, ENTITIES.items)
    assert [one.label for one in back(tmp_path, batch, content) if isinstance(one, Answer)] == [
        ("B-PER", "I-PER", "L-PER"),
        ("U-PER", "O"),
    ]


def test_bare_kinds_and_tags_in_one_example_are_refused(tmp_path: Path) -> None:
    content = "id,word,label\np#1,Ada,B-PER\np#1,Lovelace,PER\np#1,spoke,O\n"
    assert refused(tmp_path, ENTITIES, content) == (
        "p#1: 'B-PER' stands in one example with 'PER'",
        2,
    )


def test_answers_stand_where_they_say_or_where_they_only_can(tmp_path: Path) -> None:
    content = (
        "id,question,context,answer,start,state\n"
        'a#1,Where?,"🏳️‍🌈 in Rome, in Rome.",Rome,17,\n'
        "a#1,,,🏳️‍🌈,,\n"
        "a#2,Who?,Ada., Ada ,,\n"
    )
    assert told(back(tmp_path, ASKED, content)) == [
        ("a#1", "labelled", {"text": ["Rome", "🏳️‍🌈"], "answer_start": [17, 0]}, None),
        ("a#2", "labelled", {"text": ["Ada"], "answer_start": [0]}, None),
    ]


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ("Rome,,", "a#1: the answer 'Rome' stands in the context 2 times"),
        ("Rome,9,", "a#1: the answer 'Rome' does not stand at '9'"),
        ("Rome,eight,", "a#1: the answer 'Rome' does not stand at 'eight'"),
        ("Rome," + "9" * 5000 + ",", f"a#1: the answer 'Rome' does not stand at '{'9' * 5000}'"),
        ("Paris,,", "a#1: the answer 'Paris' does not stand in the context"),
        ("Rome,8,unanswerable", "a#1: it is called unanswerable and has an answer"),
        (",,labelled", "a#1: there is no label"),
        (",,perhaps", "a#1: there is no state 'perhaps'"),
    ],
)
def test_an_answer_that_is_in_doubt_is_refused(cells: str, what: str, tmp_path: Path) -> None:
    content = (
        f'id,question,context,answer,start,state\na#1,Where?,"🏳️‍🌈 in Rome, in Rome.",{cells}\n'
    )
    assert refused(tmp_path, ASKED, content) == (what, 2)


@pytest.mark.parametrize(
    ("labels", "came"),
    [
        (("B-PER", "O"), ("p#2: it is skipped and has labels", 2)),
        (("B-PER", ""), ("p#2", "skipped", None, None)),
    ],
)
def test_a_state_at_one_word_never_throws_a_whole_labelled_example_away(
    labels: tuple[str, str], came: object, tmp_path: Path
) -> None:
    first, second = labels
    content = f"id,word,label,state\np#2,Bob,{first},\np#2,'=1+1,{second},skip\n"
    if labels == ("B-PER", "O"):
        assert refused(tmp_path, ENTITIES, content) == came
    else:
        assert told(back(tmp_path, ENTITIES, content)) == [came]


def test_unanswerable_is_said_in_so_many_words(tmp_path: Path) -> None:
    content = "id,question,context,answer,state\na#2,Who?,Ada.,,Unanswerable\n"
    label = {"text": [], "answer_start": []}
    assert told(back(tmp_path, ASKED, content)) == [("a#2", "labelled", label, None)]


def test_a_text_that_changed_is_shown_in_both_versions(tmp_path: Path) -> None:
    what, row = refused(tmp_path, CLASSED, "id,text,label\nc#1,Naive?,yes\n")
    assert (what, row) == (
        "c#1: text changed on the way: 'Naïve?' was sent, 'Naive?' came back",
        2,
    )


def test_line_ends_that_a_spreadsheet_wrote_its_way_change_nothing(tmp_path: Path) -> None:
    item = Item("c#1", {"text": "a\r\nb\rc\nd"})
    batch = Batch("text-classification", ("yes",), (item,))
    assert told(back(tmp_path, batch, 'id,text,label\nc#1,"a\nb\nc\nd",yes\n')) == [
        ("c#1", "labelled", "yes", None)
    ]


def test_true_is_read_as_a_spreadsheet_shows_it(tmp_path: Path) -> None:
    batch = Batch("text-classification", ("true", "false"), CLASSED.items)
    assert told(back(tmp_path, batch, "id,text,label\nc#1,Naïve?,TRUE\n")) == [
        ("c#1", "labelled", "true", None)
    ]


def test_case_that_tells_labels_apart_counts(tmp_path: Path) -> None:
    batch = Batch("text-classification", ("Yes", "yes"), CLASSED.items)
    assert refused(tmp_path, batch, "id,text,label\nc#1,Naïve?,YES\n")[0].endswith("'YES'")


def test_errors_tell_the_row_of_the_spreadsheet_whatever_lines_a_cell_holds(
    tmp_path: Path,
) -> None:
    content = 'id,text,label\nc#2,"a, b; c\nd",yes\n\n,Naïve?,yes\n'
    error, answer = back(tmp_path, CLASSED, content)
    assert isinstance(error, InputError)
    assert (error.what, error.line) == ("the row has no id", 4)
    assert isinstance(answer, Answer)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "there is nothing in it"),
        (b"\xff\xfe", "there is nothing in it"),
        (b"id,text\nc#1,x\n", "the header lacks label; it has: 'id, text'"),
        (b"id,text,label,label\n", "two columns are called label"),
        (b'id,text,label\nc#1,"x" y,yes\n', "no CSV after row 1: ',' expected after '\"'"),
        (b'id,text,label\nc#1,"x', "no CSV after row 1: unexpected end of data"),
        ("id,text,label\nc#1,Naïve?,yes\n".encode("cp1252"), "byte 7 of the line (0xEF) is not"),
    ],
)
def test_a_file_that_is_no_sheet_is_refused_as_a_whole(
    content: bytes, what: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        back(tmp_path, CLASSED, content)
    assert caught.value.what.startswith(what)
    assert caught.value.file == str(tmp_path / "back.csv")


def test_a_row_with_more_cells_than_columns_is_refused(tmp_path: Path) -> None:
    content = "id,text,label\nc#2,a, b; c,yes\nc#1,Naïve?,yes,,\n"
    error, answer = back(tmp_path, CLASSED, content)
    assert isinstance(error, InputError)
    assert (error.what, error.line) == ("c#2: there are 4 cells for 3 columns", 2)
    assert isinstance(answer, Answer)


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("before", ["", " ", "'", "''", "a;", "a; ", "a\n", "a\r\n\u00a0", "a\t"])
def test_nothing_that_a_spreadsheet_would_run_begins_a_cell(trigger: str, before: str) -> None:
    text = f"{before}{trigger}cmd|' /C calc'!A0"
    item = Item(text, {"text": text}, label=text, language=text)
    dumped = dump(Batch("text-classification", (text,), (item,)))
    for delimiter in (",", ";", "\t"):
        # Also as a program that expects another separator takes it apart, cells and lines.
        table = csv.reader(io.StringIO(dumped.decode("utf-8-sig"), newline=""), delimiter=delimiter)
        cells = [cell for row in table for cell in row]
        assert not [cell for cell in cells if cell.lstrip().startswith(FORMULAS)]
        assert delimiter != "," or not [cell for cell in cells if cell.startswith(TRIGGERS)]


@given(st.lists(st.sampled_from([*HOSTILE, *TRIGGERS, "'", "\n", " ", ";", "1"])).map("".join))
def test_what_is_shown_is_meant_to_the_letter(text: str) -> None:
    assert meant(shown(text)) == text


@pytest.mark.parametrize(
    "text", ["1.50", "007", "3/4", "1-2", "MAR1", "5. Mai", "1E5", "3:30", "5 %", "True", "WAHR"]
)
def test_what_a_spreadsheet_would_change_is_kept_from_it(text: str) -> None:
    assert shown(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["2024", "0", "'tis", "Ada", "a/b.conllu#12", "in 1990 in Rome", ""]
)
def test_what_no_spreadsheet_changes_stands_as_it_is(text: str) -> None:
    assert shown(text) == text
    assert meant(text) == text


def test_an_apostrophe_that_a_spreadsheet_swallowed_is_not_missed(tmp_path: Path) -> None:
    items = tuple(
        Item(f"c#{n}", {"text": text}) for n, text in enumerate(("'tis", "=1", "'=1", "plain"))
    )
    batch = Batch("text-classification", ("yes",), items)
    swallowed = [[cell.removeprefix("'") for cell in row] for row in rows(dump(batch))]
    for row in swallowed[1:]:
        row[2] = "yes"
    out = io.StringIO()
    csv.writer(out).writerows(swallowed)
    assert [one.id for one in back(tmp_path, batch, out.getvalue()) if isinstance(one, Answer)] == [
        "c#0",
        "c#1",
        "c#2",
        "c#3",
    ]


def test_classes_of_words_need_no_tags(tmp_path: Path) -> None:
    batch = Batch("token-classification", POS, (Item("w#1", {"tokens": ("我", "去")}),))
    assert told(back(tmp_path, batch, "id,word,label\nw#1,我,noun\nw#1,去,'=CMD\n")) == [
        ("w#1", "labelled", ("NOUN", "=CMD"), None)
    ]


@pytest.mark.parametrize("label", CLASSES)
def test_labels_are_escaped_and_come_back(label: str, tmp_path: Path) -> None:
    item = Item("c#1", {"text": "x"}, label=label)
    batch = Batch("text-classification", CLASSES, (item,))
    assert told(back(tmp_path, batch, dump(batch))) == [("c#1", "labelled", label, None)]


def test_a_text_that_no_cell_holds_is_refused_before_it_is_cut() -> None:
    for text, holds in (("x" * 32_767, True), ("x" * 32_768, False), ("🚀" * 16_384, False)):
        batch = Batch("text-classification", ("yes",), (Item("c#1", {"text": text}),))
        if holds:
            assert len(dump(batch)) > 32_767
            continue
        with pytest.raises(UsageError, match=r"^c#1: text has .* holds 32,767"):
            dump(batch)


def loading(path: Path, count: int) -> float:
    """Seconds for so many rows, five words an example."""
    fields = {"tokens": ("Ada", "went", "to", "Rome", ".")}
    label = ("B-PER", "O", "O", "B-LOC", "O")
    items = tuple(Item(f"p#{number}", fields, label=label) for number in range(count // 5))
    batch = Batch("token-classification", NER, items)
    path.write_bytes(dump(batch))
    begin = time.perf_counter()
    found = sum(isinstance(one, Answer) for one in load(path, batch))
    assert found == len(items)
    return time.perf_counter() - begin


def test_a_hundred_thousand_rows_are_read_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    tenth = min(loading(path, 10_000) for _ in range(3))
    assert loading(path, 100_000) < 40 * tenth + 1


@pytest.mark.parametrize("who", ["ada", "=1+1", "a;=1+1", "label", None])
def test_who_decides_sees_what_each_annotator_said_and_it_is_not_read_back(
    who: str | None, tmp_path: Path
) -> None:
    said = (
        Answer("p#1", {}, "labelled", ("B-PER", "O", "O"), who),
        Answer("p#1", {}, "skipped", None, "bo"),
    )
    item = Item("p#1", ADA.fields, label=("O", "O", "O"), said=said)
    dumped = dump(Batch("token-classification", NER, (item,)))
    head, first, second, _ = rows(dumped)
    assert [head[-2:], first[-2:], second[-2:]] == [
        [shown(f"by {who or 'nobody named'}"), "by bo"],
        ["B-PER", "skipped"],
        ["O", ""],
    ]
    batch = Batch("token-classification", NER, (ADA,))
    assert told(back(tmp_path, batch, dumped)) == [("p#1", "labelled", ("O", "O", "O"), None)]


@pytest.mark.parametrize(("written", "state"), [("Skip", "skipped"), (" reject ", "rejected")])
def test_a_state_is_understood_as_people_write_it(written: str, state: str, tmp_path: Path) -> None:
    content = f"id,text,label,state\nc#1,Naïve?,,{written}\n"
    assert told(back(tmp_path, CLASSED, content)) == [("c#1", state, None, None)]
