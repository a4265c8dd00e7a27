"""Which format a file has."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymux.errors import InputError, UsageError
from polymux.readers import READERS, Reader, Record, read

TOKENS, TEXT, QUESTION = "token-classification", "text-classification", "question-answering"
CONLLU = "1\tone\t_\tNUM\t_\t_\t_\t_\t_\t_\n\n"
COLUMNS = "one\tO\ntwo\tB-X\n\nthree\tO\n"
SQUAD = '{"data": [{"paragraphs": [{"context": "c", "qas": []}]}]}'


@pytest.mark.parametrize(
    ("name", "content", "task", "kind"),
    [
        ("a.conllu", CONLLU, TOKENS, "conllu"),
        ("a.conll", CONLLU, TOKENS, "conllu"),
        ("a.txt", CONLLU, TOKENS, "conllu"),
        ("a", CONLLU, TOKENS, "conllu"),
        ("a.conll", COLUMNS, TOKENS, "columns"),
        ("a.iob2", COLUMNS, TOKENS, "columns"),
        ("a.tsv", COLUMNS, TOKENS, "columns"),
        ("a.txt", COLUMNS, TOKENS, "columns"),
        ("a.txt", "EU NNP B-ORG\nrejects VBZ O\n\n", TOKENS, "columns"),
        ("a.tsv", "one\tNUM\ntwo\tNUM\n\nthree\tNUM\n", TOKENS, "columns"),
        ("train", COLUMNS, TOKENS, "columns"),
        ("a.TXT", "one\ntwo three\n", TEXT, "text"),
        ("a.txt", "a\tb\nno tab\nnone here\n", TEXT, "text"),
        ("a.tsv", "text\tlabel\na b\tx\n", TEXT, "csv"),
        ("a.tsv", "tokens\tlabels\na b\tO O\n\nc\tO\n", TOKENS, "csv"),
        ("a.tsv", "text\na\n", TEXT, "csv"),
        ("a.csv", "text,label\n", TEXT, "csv"),
        ("a.json", SQUAD, QUESTION, "squad"),
        ("a.json", '[{"text": "a"}]', TEXT, "json"),
        ("a.json", '{"text": "a"}\n{"text": "b"}\n', TEXT, "jsonl"),
        ("a", '{"text": "a"}\n{"text": "b"}\n', TEXT, "jsonl"),
        ("a.ndjson", '{"text": "a"}\n', TEXT, "jsonl"),
    ],
)
def test_the_format_is_found_and_told(
    name: str, content: str, task: str, kind: str, tmp_path: Path
):
    path = tmp_path / name
    path.write_text(content)
    assert read(path, task=task).notes == [f"{path}: read as {kind}"]


def test_a_format_that_is_not_clear_is_asked_for(tmp_path: Path):
    (tmp_path / "notes").write_text("some words\nmore words\n")
    with pytest.raises(InputError, match="not clear") as error:
        read(tmp_path / "notes", task=TEXT)
    assert f"FORMAT:{tmp_path / 'notes'}" in error.value.hint
    for pool in (
        read(f"text:{tmp_path / 'notes'}", task=TEXT),
        read(tmp_path / "notes", task=TEXT, format="text"),
    ):
        assert [e.fields["text"] for e in pool] == ["some words", "more words"]


def test_source_and_target_may_have_formats_of_their_own(tmp_path: Path):
    (tmp_path / "a.x").write_text(COLUMNS)
    (tmp_path / "b.x").write_text(CONLLU)
    pool = read(f"columns:{tmp_path / 'a.x'}", f"conllu:{tmp_path / 'b.x'}", task=TOKENS)
    assert [e.id for e in pool] == ["a.x#1", "a.x#2", "b.x#1"]


@pytest.mark.parametrize("name", ["a.conllu", "a.txt", "a.jsonl", "a.csv", "a.json", "a"])
@pytest.mark.parametrize("content", ["", "\n\n", " \n"])
def test_an_empty_file_is_refused_by_name(name: str, content: str, tmp_path: Path):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=r"the file is empty|no example in this file") as error:
        list(read(path, task=TEXT))
    assert error.value.file == str(path)
    (tmp_path / "good.jsonl").write_text('{"text": "a"}\n')
    pool = read(path, tmp_path / "good.jsonl", task=TEXT, on_error="skip")
    assert len(list(pool)) == 1
    assert [bad.file for bad in pool.rejected] == [str(path)]


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003\n\u3000", "\x1f"])
def test_a_file_of_nothing_but_odd_spaces_is_refused(blank: str, tmp_path: Path):
    for name in ("a.json", "a.jsonl", "a.txt", "a.csv", "a"):
        path = tmp_path / name
        path.write_text(blank, encoding="utf-8")
        with pytest.raises(InputError) as error:
            list(read(path, task=TEXT))
        assert error.value.file == str(path)


def test_a_reader_of_the_users_own_joins_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def shout(source, task, fields):
        for number, text in source.lines():
            yield Record(number, {"text": text.upper(), "lang": fields.get("language", "xx")})

    monkeypatch.setitem(READERS, "shout", Reader(shout, "upper case", (".shout",)))
    (tmp_path / "a.shout").write_text("hey\nyou\n")
    assert [e.fields["text"] for e in read(tmp_path, task=TEXT)] == ["HEY", "YOU"]
    assert [e.fields["text"] for e in read(f"shout:{tmp_path / 'a.shout'}", task=TEXT)] == [
        "HEY",
        "YOU",
    ]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"task": "ner"}, "no task 'ner'"),
        ({"task": TEXT, "on_error": "ignore"}, "no way to treat bad examples 'ignore'"),
        ({"task": TEXT, "format": "xml"}, "no format 'xml'"),
    ],
)
def test_arguments_that_cannot_be_are_refused(options: dict[str, str], what: str, tmp_path: Path):
    (tmp_path / "a.txt").write_text("a\n")
    with pytest.raises(UsageError, match=what):
        read(tmp_path / "a.txt", **options)


def test_no_path_is_refused():
    with pytest.raises(UsageError, match="no path"):
        read(task=TEXT)


def test_reading_needs_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, polymux.readers as r; "
        "assert not {'torch', 'transformers', 'pyarrow', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
