"""What every format of READERS promises; a new one joins by being in the table, with a writer."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from polymux.errors import InputError, UsageError
from polymux.readers import READERS, read
from polymux.records import FIELDS, LABEL_FIELD, Example, Pool, content_hashes

TOKENS, TEXT, QUESTION = "token-classification", "text-classification", "question-answering"
HOSTILE = (
    "e\u0301te\u0301 ọ̀rọ̀",
    "میں «اردو» ۔\u200f",
    "👩‍👩‍👧 👍🏽 🏳️‍🌈",
    "say \"yes\", 'no'",
    "=SUM(A1)",
    "a\u2028b\u0085c\x1cd",
    "\ufeffใน\u200bบ้าน",
    "#Aszkarov",
    "tab\tinside",
    "two\nlines\r\nthree",
    "# text = no comment",
    "1",
    "_",
    '"',
    "a,b;c|d",
    "[not json",
    "null",
)
ROWS: dict[str, list[dict[str, Any]]] = {
    TOKENS: [
        {"tokens": ["start", text, "\u00a0", "end"], "labels": ["O", "B-X", "I-X", "O"]}
        for text in HOSTILE
    ],
    TEXT: [{"text": text, "label": f"class {i % 3}"} for i, text in enumerate(HOSTILE)],
    QUESTION: [
        {
            "question": text,
            "context": f"before {text} after",
            "answers": {"text": [text], "answer_start": [7]},
        }
        for text in HOSTILE
    ],
}


def comments(row: dict[str, Any]) -> list[str]:
    return [f"# {name} = {row[name]}\n" for name in ("text", "label", "lang") if name in row]


def conllu(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for row in rows:
            tokens = row.get("tokens", ["word"])
            labels = row.get("labels", ["_"] * len(tokens))
            file.writelines(comments(row))
            for i, (token, label) in enumerate(zip(tokens, labels, strict=True), 1):
                file.write(f"{i}\t{token}\t_\t{label}" + "\t_" * 6 + "\n")
            file.write("\n")


def columns(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for row in rows:
            tokens = row.get("tokens", ["word", "word"])
            labels = row.get("labels", [""] * len(tokens))
            file.writelines(comments(row))
            file.writelines(f"{t}\t{label}\n" for t, label in zip(tokens, labels, strict=True))
            file.write("\n")


def answers(row: dict[str, Any]) -> dict[str, Any]:
    if "answers" not in row:
        return {}
    pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
    return {"answers": [{"text": text, "answer_start": start} for text, start in pairs]}


def squad(path: Path, rows: list[dict[str, Any]]) -> None:
    paragraphs = [
        {
            "context": row["context"],
            "qas": [
                {
                    "id": f"q{i}",
                    **{name: row[name] for name in ("question", "lang") if name in row},
                    **answers(row),
                }
            ],
        }
        for i, row in enumerate(rows)
    ]
    path.write_text(
        json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}, indent=1), "utf-8"
    )


def jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=i % 2 == 0) + "\n" for i, row in enumerate(rows))
    path.write_bytes("".join(lines).encode())


def array(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), "utf-8", newline="")


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()})


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def arrow(path: Path, rows: list[dict[str, Any]]) -> None:
    content = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, content.schema) as writer:
        writer.write_table(content)


def text(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines((row.get("text") or " ".join(row["tokens"])) + "\n" for row in rows)


WRITE: dict[str, tuple[str, Callable[[Path, list[dict[str, Any]]], None]]] = {
    "conllu": (".conllu", conllu),
    "columns": (".bio", columns),
    "squad": (".json", squad),
    "jsonl": (".jsonl", jsonl),
    "json": (".json", array),
    "csv": (".csv", table),
    "parquet": (".parquet", parquet),
    "arrow": (".arrow", arrow),
    "text": (".txt", text),
}
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}
# What may not stand inside a value of a format that has no quotes.
ILLEGAL = {"conllu": "\t\n", "columns": "\t\n", "text": "\n"}
PAIRS = [(name, task) for name in WRITE for task in READERS[name].tasks]


def legal(name: str, task: str) -> list[dict[str, Any]]:
    """The hostile rows that the format can hold."""
    kept = []
    for row in ROWS[task]:
        values = [row["tokens"][1]] if task == TOKENS else [row["text"]] if task == TEXT else []
        if not any(mark in value for value in values for mark in ILLEGAL.get(name, "")):
            kept.append(row)
    return kept


def write(folder: Path, name: str, rows: list[dict[str, Any]], compression: str = "") -> Path:
    suffix, writer = WRITE[name]
    path = folder / f"mine{suffix}"
    writer(path, rows)
    if compression:
        packed = path.with_name(path.name + compression)
        packed.write_bytes(COMPRESS[compression](path.read_bytes()))
        path.unlink()
        path = packed
    return path


def fields_of(pool: Pool) -> list[dict[str, Any]]:
    return [
        {k: list(v) if isinstance(v, tuple) else v for k, v in example.fields.items()}
        for example in pool
    ]


def labels_of(examples: Iterable[Example]) -> list[Any]:
    return [list(e.label) if isinstance(e.label, tuple) else e.label for e in examples]


def test_every_format_has_a_writer_here():
    assert set(WRITE) == set(READERS) - {"hf"}


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_what_is_written_is_read(name: str, task: str, compression: str, tmp_path: Path):
    rows = legal(name, task)
    pool = read(write(tmp_path, name, rows, compression), task=task)
    names = [field for field in FIELDS[task] if field in rows[0]]
    if name == "text" and task == TOKENS:
        assert [e.extra["text"] for e in pool] == [" ".join(row["tokens"]) for row in rows]
        return
    assert fields_of(pool) == [{field: row[field] for field in names} for row in rows]
    if name != "text":
        assert labels_of(pool) == [row[LABEL_FIELD[task]] for row in rows]


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_reading_twice_and_elsewhere_gives_the_same(name: str, task: str, tmp_path: Path):
    folder = tmp_path / "here"
    folder.mkdir()
    path = write(folder, name, legal(name, task))
    pool = read(path, task=task)
    first, second = list(pool), list(pool)
    assert first == second
    shutil.copytree(folder, tmp_path / "there")
    moved = list(read(tmp_path / "there" / path.name, task=task))
    assert [e.id for e in moved] == [e.id for e in first]
    assert (content_hashes(moved) == content_hashes(first)).all()
    assert [e.id for e in first] == [f"{path.name}#{i + 1}" for i in range(len(first))]


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_the_language_is_said_by_folder_file_or_field(name: str, task: str, tmp_path: Path):
    rows = [{**row, "lang": f"l{i}"} for i, row in enumerate(legal(name, task))]
    (tmp_path / "ur").mkdir()
    path = write(tmp_path / "ur", name, rows, ".gz")
    assert {e.language for e in read(path, task=task, language="folder")} == {"ur"}
    assert {e.language for e in read(tmp_path, task=task, language="file")} == {"mine"}
    if name == "text":
        assert {e.language for e in read(path, task=task)} == {None}
        pool = read(path, task=task, language="dialect")
        assert {e.language for e in pool} == {None}
        assert f"{path}: there is no field 'dialect' that says the language" in pool.notes
    else:
        said = [e.language for e in read(path, task=task, language="lang")]
        assert said == [f"l{i}" for i in range(len(rows))]


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_d09_no_label_is_needed_and_labels_change_no_example(name: str, task: str, tmp_path: Path):
    rows = legal(name, task)
    bare = [{k: v for k, v in row.items() if k != LABEL_FIELD[task]} for row in rows]
    for folder in ("labelled", "bare"):
        (tmp_path / folder).mkdir()
    labelled = list(read(write(tmp_path / "labelled", name, rows), task=task))
    unlabelled = list(read(write(tmp_path / "bare", name, bare), task=task))
    assert labels_of(unlabelled) == [None] * len(rows)
    assert [(e.id, e.fields) for e in unlabelled] == [(e.id, e.fields) for e in labelled]


def append(more: bytes) -> Callable[[Path], int | None]:
    def change(path: Path) -> int:
        content = path.read_bytes()
        path.write_bytes(content + more)
        return content.count(b"\n") + 1

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def squad_without_question(path: Path) -> int:
    document = json.loads(path.read_text("utf-8"))
    document["data"][0]["paragraphs"].append({"context": "c", "qas": [{"id": "1"}]})
    path.write_text(json.dumps(document, indent=1), "utf-8")
    return path.read_text("utf-8").count("\n", 0, path.read_text("utf-8").rindex('"question"')) + 1


def array_with_a_number(path: Path) -> int:
    content = path.read_text("utf-8").rstrip().removesuffix("]").rstrip()
    path.write_text(content + ",\n5\n]\n", "utf-8", newline="")
    return content.count("\n") + 2


BREAK: dict[str, Callable[[Path], int | None]] = {
    "conllu": append(b"1\tone\t_\n\n"),
    "columns": append(b"one\tO\tmore\n\n"),
    "squad": squad_without_question,
    "jsonl": append(b'{"text": "cut\n'),
    "json": array_with_a_number,
    "csv": append(b'"a"b,c\n'),
    "parquet": cut,
    "arrow": cut,
    "text": append(b"nul \x00 byte\n"),
}


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_a_bad_example_stops_with_file_and_line_or_is_counted(name: str, task: str, tmp_path: Path):
    rows = legal(name, task)
    path = write(tmp_path, name, rows)
    good = list(read(path, task=task))
    line = BREAK[name](path)
    with pytest.raises(InputError) as error:
        list(read(path, task=task))
    assert (error.value.file, error.value.line) == (str(path), line)
    assert error.value.hint
    skipping = read(path, task=task, on_error="skip")
    if line is None:
        with pytest.raises(InputError, match="1 were rejected"):
            list(skipping)
    else:
        assert list(skipping) == good
    assert [(bad.file, bad.line) for bad in skipping.rejected] == [(str(path), line)]


@pytest.mark.parametrize(
    "name", [name for name in READERS if set(READERS[name].tasks) != set(FIELDS)]
)
def test_a_format_that_has_nothing_for_the_task_says_which_have(name: str, tmp_path: Path):
    task = next(task for task in FIELDS if task not in READERS[name].tasks)
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(UsageError, match=f"the format {name} has no examples for {task}") as error:
        read(f"{name}:{tmp_path / 'x.txt'}", task=task)
    assert "jsonl" in error.value.hint


@pytest.mark.parametrize("task", FIELDS)
def test_a_data_set_of_the_hub_reads_as_its_rows(
    task: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    asked = []

    def load_dataset(*args: Any, **options: Any) -> datasets.Dataset:
        asked.append((*args, options["split"]))
        return datasets.Dataset.from_list(ROWS[task])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    pool = read("hf://owner/name/ur:train", task=task, language="folder")
    examples = list(pool)
    assert asked == [("owner/name", "ur", "train")]
    assert labels_of(examples) == [row[LABEL_FIELD[task]] for row in ROWS[task]]
    assert examples[0].id == "owner/name/ur:train#1"
    assert {e.language for e in examples} == {"ur"}
    assert examples == list(pool)
