"""Every format gives back what was dumped, whatever the text is, and refuses what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotation.tools import FINISH
from tests.annotation.worlds import TASKS, accepted, bare, batches

from polymux.annotation import FORMATS, Answer, Batch, Item, checked, format_of
from polymux.errors import InputError, UsageError

WRITTEN = [name for name, made in FORMATS.items() if made.dump is not None]
# What a format has no place for, by its own nature.
LACKS = {
    name: {kind for kind, (task, _) in TASKS.items() if made.tasks and task not in made.tasks}
    for name, made in FORMATS.items()
}
PAIRS = [(name, kind) for name in WRITTEN for kind in TASKS if kind not in LACKS[name]]


def came_back(name: str, batch: Batch, finished: bytes) -> list[Answer | InputError]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"back{FORMATS[name].suffix}"
        path.write_bytes(finished)
        return list(checked(batch, FORMATS[name].load(path, batch), path))


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@given(data=st.data())
def test_what_was_dumped_and_agreed_with_comes_back(name: str, kind: str, data) -> None:
    batch = data.draw(batches(kind))
    made = FORMATS[name]
    assert made.dump is not None
    back = came_back(name, batch, FINISH[name](made.dump(batch), batch))
    assert bare(back) == accepted(batch)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@given(data=st.data())
def test_an_answer_to_another_batch_is_refused_and_the_rest_is_kept(
    name: str, kind: str, data
) -> None:
    batch = data.draw(batches(kind))
    made = FORMATS[name]
    assert made.dump is not None
    finished = FINISH[name](made.dump(batch), batch)
    asked = replace(batch, items=batch.items[1:])
    back = came_back(name, asked, finished)
    errors = [one for one in back if isinstance(one, InputError)]
    assert [bool(batch.items[0].id in error.what) for error in errors] == [True]
    assert errors[0].file is not None
    assert bare([one for one in back if isinstance(one, Answer)]) == accepted(asked)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_something_else_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    batch = Batch("text-classification", ("yes",), ())
    for content in (b"\x00\xff\xfe\x00garbage", b"{", b"[1, 2]\n", b'{"id": 3}\n'):
        path = tmp_path / f"x{FORMATS[name].suffix}"
        path.write_bytes(content)
        try:
            back = list(checked(batch, FORMATS[name].load(path, batch), path))
        except InputError as error:
            back = [error]
        assert back
        assert all(isinstance(one, InputError) for one in back)
        assert all(one.file == str(path) for one in back)
        assert all(one.hint for one in back)


def test_a_name_tells_its_format_where_it_is_but_one() -> None:
    told = {end: format_of(Path(f"round{end}")) for end in (".csv", ".XLSX", ".conll", ".tsv")}
    assert told == {".csv": "csv", ".XLSX": "xlsx", ".conll": "conll", ".tsv": "webanno"}
    assert format_of(Path("round.jsonl")) == "jsonl"
    for name, said in (("a.json", "label-studio, squad, argilla"), ("a.txt", "jsonl, csv")):
        with pytest.raises(UsageError, match="does not tell its format") as error:
            format_of(Path(name))
        assert said in error.value.hint


@pytest.mark.parametrize("seconds", ["-600", "1e300", "9" * 400, "NaN", '"5"'])
def test_time_that_nobody_took_is_refused(seconds: str, tmp_path: Path) -> None:
    batch = Batch("text-classification", ("yes",), (Item("c#1", {"text": "So?"}),))
    path = tmp_path / "back.jsonl"
    path.write_text(
        f'{{"id": "c#1", "text": "So?", "label": "yes", "seconds": {seconds}}}\n', "utf-8"
    )
    (error,) = checked(batch, FORMATS["jsonl"].load(path, batch), path)
    assert isinstance(error, InputError)


def test_an_answer_before_the_context_begins_stands_nowhere() -> None:
    fields = {"question": "Who?", "context": "hello world"}
    batch = Batch("question-answering", (), (Item("q#1", fields),))
    answer = Answer("q#1", fields, "labelled", {"text": ["wor"], "answer_start": [-5]})
    (error,) = checked(batch, [answer], "back.json")
    assert isinstance(error, InputError)
    assert "does not stand at -5" in error.what
