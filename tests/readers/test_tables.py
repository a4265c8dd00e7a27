"""CSV and TSV: delimiters, quotes, headers."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.errors import InputError
from polymux.readers import read
from polymux.records import Pool

TEXT, TOKENS = "text-classification", "token-classification"


def table(folder: Path, content: str, suffix: str = ".csv", **options: Any) -> Pool:
    path = folder / f"a{suffix}"
    path.write_bytes(content.encode())
    return read(path, **{"task": TEXT, **options})


def rows(pool: Pool) -> list[tuple[Any, Any]]:
    return [(e.fields["text"], e.label) for e in pool]


@pytest.mark.parametrize("mark", ["\t", ",", ";", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_the_delimiter_is_found(mark: str, suffix: str, tmp_path: Path):
    content = f'text{mark}label\n"a, b; c | d\te"{mark}x\n"say ""yes"""{mark}y\n'
    assert rows(table(tmp_path, content, suffix)) == [("a, b; c | d\te", "x"), ('say "yes"', "y")]


def test_quotes_that_quote_nothing_are_text(tmp_path: Path):
    content = 'text\tlabel\n"Yes" is what he said\tx\n6" of "snow\ty\n"\tz\nplain\tx\n'
    pool = table(tmp_path, content, ".tsv")
    assert [text for text, _ in rows(pool)] == [
        '"Yes" is what he said',
        '6" of "snow',
        '"',
        "plain",
    ]
    assert any("cells between tabs, not quoted" in note for note in pool.notes)


def test_quoted_tsv_gives_the_clean_text(tmp_path: Path):
    content = 'index_id\tcategory\ttext\n7\tpolitics\t"""Yes,"" he said."\n8\ttravel\tNo.\n'
    pool = table(tmp_path, content, ".tsv")
    assert rows(pool) == [('"Yes," he said.', "politics"), ("No.", "travel")]
    assert [e.extra for e in pool] == [{"index_id": "7"}, {"index_id": "8"}]


def test_a_quoted_cell_may_hold_lines_and_the_first_counts(tmp_path: Path):
    pool = table(tmp_path, 'text,label\n"one\r\ntwo",x\n\nthree,y\n')
    assert [(e.line, e.fields["text"]) for e in pool] == [(2, "one\r\ntwo"), (5, "three")]


def test_a_table_of_one_column_is_not_split(tmp_path: Path):
    assert [e.fields["text"] for e in table(tmp_path, "text\na, b; c\td\n\ne\n")] == [
        "a, b; c\td",
        "e",
    ]


def test_words_in_a_cell_are_json_or_between_spaces(tmp_path: Path):
    content = 'tokens\tlabels\n["a b", "c"]\t["O", "B-X"]\nd e\tO B-X\n[UNK] f\t\n'
    pool = table(tmp_path, content, ".tsv", task=TOKENS)
    assert [(e.fields["tokens"], e.label) for e in pool] == [
        (("a b", "c"), ("O", "B-X")),
        (("d", "e"), ("O", "B-X")),
        (("[UNK]", "f"), None),
    ]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("text,label\na,x\nb\n", 3, "1 cells where the header has 2: b"),
        ("text,label\na,x\nb,y,z\n", 3, "3 cells where the header has 2"),
        ('text,label\n"a",x\n"b" c,y\n"d",z\n"e",z\n', 3, "not a table"),
        ('text,label\n"a",x\n"b\nc,d\n', 3, "not a table"),
        ("text,text\na,x\n", 1, "two columns have one name"),
        ("text,label\na\x00b,x\n", 2, "NUL"),
        (f"text,label\n{'a' * 131_073},x\n", 2, "larger than field limit"),
        ("text,label\n,x\n", 2, "nothing that can be seen"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(content: str, line: int, what: str, tmp_path: Path):
    with pytest.raises(InputError, match=what) as error:
        list(table(tmp_path, content))
    assert error.value.line == line


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_cell_that_is_too_long_is_told_from_quotes_that_do_not_fit(quote: str, tmp_path: Path):
    with pytest.raises(InputError) as error:
        list(table(tmp_path, f"text,label\n{quote}{'a' * 131_073}{quote},x\n"))
    assert "JSON lines" in error.value.hint


def test_a_header_alone_is_an_empty_file(tmp_path: Path):
    with pytest.raises(InputError, match="no example in this file"):
        list(table(tmp_path, "text,label\n"))


@given(
    texts=st.lists(
        st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])).map(
            lambda text: text + "."
        ),
        min_size=1,
        max_size=5,
    ),
    mark=st.sampled_from("\t,;|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_any_table_that_csv_writes_reads_back(
    texts: list[str], mark: str, quoting: Any, tmp_path_factory: pytest.TempPathFactory
):
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=mark, quoting=quoting)
    writer.writerow(["text", "label"])
    writer.writerows([text, "x"] for text in texts)
    pool = table(tmp_path_factory.mktemp("csv"), buffer.getvalue())
    assert rows(pool) == [(text, "x") for text in texts]
