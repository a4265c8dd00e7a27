"""Columns to fields, labels to their one form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polymux.errors import InputError, UsageError
from polymux.readers import read
from polymux.records import FIELDS, SHARD_SIZE, Example

TOKENS, TEXT, QUESTION = FIELDS


def one(folder: Path, record: dict[str, Any], task: str = TEXT, **options: Any) -> Example:
    (folder / "a.jsonl").write_text(json.dumps(record) + "\n")
    [example] = read(folder / "a.jsonl", task=task, **options)
    return example


@pytest.mark.parametrize(
    ("task", "record", "fields", "label"),
    [
        (TEXT, {"sentence": "a", "label": "x"}, {"text": "a"}, "x"),
        (TEXT, {"text": "a", "text_pair": "b"}, {"text": "a", "text_pair": "b"}, None),
        (TEXT, {"text": "a", "text_pair": "", "label": "x"}, {"text": "a"}, "x"),
        (
            QUESTION,
            {"question": "?", "context": "as in [1]", "answers": "[1]"},
            {"question": "?", "context": "as in [1]"},
            {"text": ["[1]"], "answer_start": [6]},
        ),
        (
            TEXT,
            {"premise": "a", "hypothesis": "b", "label": 2},
            {"text": "a", "text_pair": "b"},
            "2",
        ),
        (TEXT, {"sentence1": "a", "sentence2": None}, {"text": "a"}, None),
        (TOKENS, {"tokens": ["a"], "tags": ["X"]}, {"tokens": ("a",)}, ("X",)),
        (TOKENS, {"words": ["a"], "upos": [3]}, {"tokens": ("a",)}, ("3",)),
        (TOKENS, {"tokens": ["a"], "ner_tags": None}, {"tokens": ("a",)}, None),
        (TOKENS, {"tokens": ["a"], "labels": ["B-X"], "tags": ["Z"]}, {"tokens": ("a",)}, ("B-X",)),
        (
            QUESTION,
            {"question": "?", "passage": "a b", "answer": "b"},
            {"question": "?", "context": "a b"},
            {"text": ["b"], "answer_start": [2]},
        ),
        (
            QUESTION,
            {"question": "?", "context": "a b", "answers": {"text": "b", "answer_start": 2}},
            {"question": "?", "context": "a b"},
            {"text": ["b"], "answer_start": [2]},
        ),
    ],
)
def test_usual_names_are_known(
    task: str, record: dict[str, Any], fields: dict[str, Any], label: Any, tmp_path: Path
):
    example = one(tmp_path, record, task)
    assert (example.fields, example.label) == (fields, label)


def test_what_is_no_field_goes_to_extra(tmp_path: Path):
    record = {"id": 7, "lang": "ur", "text": "a", "label": True, "dialect": "x", "n": [1]}
    example = one(tmp_path, record)
    assert (example.source_id, example.language, example.label) == ("7", "ur", "true")
    assert example.extra == {"dialect": "x", "n": [1]}


def test_columns_that_were_guessed_are_told(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"premise": "a", "hypothesis": "b", "label": "x"}\n')
    pool = read(tmp_path / "a.jsonl", task=TEXT)
    list(pool)
    assert pool.notes[-1].endswith("fields: text = premise, text_pair = hypothesis, label = label")


@pytest.mark.parametrize("task", FIELDS)
def test_d35_any_names_read_for_every_task(task: str, tmp_path: Path):
    record = {
        "w": ["a"],
        "t": ["X"],
        "s": "a",
        "c": "x",
        "q": "?",
        "p": "a b",
        "a": ["b"],
        "l": "u",
    }
    fields = {
        TOKENS: {"tokens": "w", "labels": "t"},
        TEXT: {"text": "s", "text_pair": "p", "label": "c"},
        QUESTION: {"question": "q", "context": "p", "answers": "a"},
    }[task]
    example = one(tmp_path, record, task, fields=fields, language="l")
    assert set(example.fields) == {name.rstrip("?") for name in FIELDS[task]}
    assert example.label in (("X",), "x", {"text": ["b"], "answer_start": [2]})
    assert example.language == "u"


def test_a_field_that_is_missing_names_those_there_are_and_the_nearest(tmp_path: Path):
    with pytest.raises(InputError, match="no field for 'text'; the fields are: txt, kind") as error:
        one(tmp_path, {"txt": "a", "kind": "x"})
    assert error.value.hint == "say which it is: --field text=txt"
    assert error.value.line == 1
    with pytest.raises(InputError, match="no field 'knid'") as error:
        one(tmp_path, {"text": "a", "kind": "x"}, fields={"label": "knid"})
    assert error.value.hint == "say which it is: --field label=kind"
    with pytest.raises(InputError, match="no field 'langauge'") as error:
        one(tmp_path, {"text": "a", "language": "x"}, language="langauge")
    assert error.value.hint == "say which it is: --field language=language"


def test_a_name_that_is_no_field_of_the_task_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="'lable' is no field of text-classification") as error:
        one(tmp_path, {"text": "a"}, fields={"lable": "x"})
    assert "did you mean --field label=x?" in error.value.hint


@pytest.mark.parametrize(
    ("task", "record", "what"),
    [
        (TOKENS, {"tokens": []}, "no word in this example"),
        (TOKENS, {"tokens": ["a", ""]}, "word 2 is empty"),
        (TOKENS, {"tokens": ["a", 5]}, "no list of texts"),
        (TOKENS, {"tokens": [" ", "\u200b", "\ufeff"]}, "nothing that can be seen"),
        (TOKENS, {"tokens": ["a", "b\x00"]}, "NUL"),
        (TOKENS, {"tokens": ["a", "b"], "labels": ["O"]}, "1 labels for 2 words"),
        (TOKENS, {"tokens": ["a"], "labels": [None]}, "a label cannot be null"),
        (TOKENS, {"tokens": ["a"], "labels": [""]}, "label of word 1 is empty"),
        (TOKENS, {"tokens": ["a"], "labels": 5}, "no list"),
        (TEXT, {"text": "a", "label": ["x", "y"]}, r"a label cannot be \[\"x\", \"y\"\]"),
        (TEXT, {"text": "a", "text_pair": "\u2060"}, "text_pair holds nothing"),
        (QUESTION, {"question": "", "context": "c"}, "question holds nothing"),
        (QUESTION, {"question": "?", "context": "c", "answers": 5}, "neither a list nor"),
        (QUESTION, {"question": "?", "context": "c", "answers": [{}]}, "an answer has no text"),
        (
            QUESTION,
            {"question": "?", "context": "c", "answers": {"text": ["c"], "answer_start": []}},
            "not as many starts as texts",
        ),
        (
            QUESTION,
            {"question": "?", "context": "c", "answers": [{"text": "c", "answer_start": "0"}]},
            "an answer_start is '0'",
        ),
        (QUESTION, {"question": "?", "context": "c", "answers": "[1]"}, "an answer has no text"),
    ],
)
def test_what_nobody_can_use_is_refused(
    task: str, record: dict[str, Any], what: str, tmp_path: Path
):
    with pytest.raises(InputError, match=what) as error:
        one(tmp_path, record, task)
    assert error.value.hint


def test_visible_means_any_script_and_private_use_too(tmp_path: Path):
    for text in ("\ue000", "\u0600", "😀", "ꯍ", ".", "\ufffd"):
        assert one(tmp_path, {"text": text}).fields["text"] == text


@pytest.mark.parametrize(
    ("name", "language"),
    [("ur.train.jsonl.gz", "ur"), ("zh-min.jsonl", "zh-min"), ("de_ba.conllu", "de_ba")],
)
def test_the_file_says_its_language_before_the_first_dot(name: str, language: str, tmp_path: Path):
    (tmp_path / name).write_text('{"text": "a", "language": "xx"}\n')
    pool = read(tmp_path / name, task=TEXT, language="file", format="jsonl")
    assert [e.language for e in pool] == [language]


@pytest.mark.parametrize(
    ("task", "fields", "added"),
    [
        (TOKENS, {"tokens": ["a", "b"]}, {"labels": ["O", "B-X"]}),
        (TEXT, {"text": "a", "text_pair": "b"}, {"label": "x"}),
        (
            QUESTION,
            {"question": "?", "context": "a b"},
            {"answers": {"text": ["b"], "answer_start": [2]}},
        ),
    ],
)
def test_what_polymux_wrote_is_a_training_file_once_labels_are_added(
    task: str, fields: dict[str, Any], added: dict[str, Any], tmp_path: Path
):
    written = {
        "rank": 1,
        "id": "ur/train.jsonl#7",
        "source_id": "s7",
        "file": "ud/ur/train.jsonl",
        "line": 7,
        "language": "ur",
        **fields,
        "uncertainty": -0.5,
        "distance": 1.5,
        "nearest": [{"id": "t#1", "distance": 1.0}],
        "prediction": {"labels": ["O"], "scores": [0.5]},
    }
    before = one(tmp_path, written, task)
    nulled = one(tmp_path, {**written, next(iter(added)): None}, task)
    after = one(tmp_path, {**written, **added}, task)
    assert (before.label, nulled.label) == (None, None)
    label = list(after.label) if isinstance(after.label, tuple) else after.label
    assert label == next(iter(added.values()))
    assert before.fields == nulled.fields == after.fields
    assert (after.id, after.source_id) == ("a.jsonl#1", "ur/train.jsonl#7")
    assert (after.language, after.extra["rank"]) == ("ur", 1)


def test_what_was_counted_stays_where_a_later_reading_stops_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text(
        "".join(json.dumps({"text": f"line {n}"}) + "\n" for n in range(SHARD_SIZE + 40)), "utf-8"
    )
    pool = read(path, task="token-classification")
    count = len(list(pool))
    told = [*pool.notes]
    assert any(note.endswith(f": {count}") for note in told)
    begun = pool.shards()
    next(begun)
    begun.close()
    assert pool.notes == told
