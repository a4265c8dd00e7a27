"""JSON lines, arrays and SQuAD."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.errors import InputError
from polymux.readers import read
from polymux.records import Example, Pool

TEXT, QUESTION = "text-classification", "question-answering"


def lines(folder: Path, content: str, **options: Any) -> Pool:
    path = folder / "a.jsonl"
    path.write_bytes(content.encode())
    return read(path, task=TEXT, **options)


def document(folder: Path, content: Any, task: str = QUESTION, **options: Any) -> Pool:
    path = folder / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return read(path, task=task, **options)


def squad(*questions: dict[str, Any], context: str = "Ada was born in 1815.") -> dict[str, Any]:
    return {
        "version": "v2.0",
        "data": [{"title": "Ada", "paragraphs": [{"context": context, "qas": list(questions)}]}],
    }


def asked(folder: Path, *answers: Any, **more: Any) -> Example:
    question = {"id": "q", "question": "When?", "answers": list(answers), **more}
    [example] = document(folder, squad(question))
    return example


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ('{"text": "a"}\n\n{"text": "b"\n', 3, r"not JSON.*: \{\"text\": \"b\""),
        ('{"text": "a"}\n["b"]\n', 2, "not a JSON object"),
        ('{"text": "a"}\n{"text": 5}\n', 2, "text is no text: 5"),
        ('{"text": "a"}\n{"text": null}\n', 2, "text is no text: null"),
        ('{"text": "\\ud83d"}\n', 1, "half a surrogate pair"),
        ('{"text": "a", "note": "\\ude00"}\n', 1, "half a surrogate pair"),
        ('{"text": "a\\u0000b"}\n', 1, "NUL"),
        ('{"text": " \\u200b\\ufeff\\u2060\\u00ad"}\n', 1, "nothing that can be seen"),
        ('{"text": ""}\n', 1, "nothing that can be seen"),
        ("[" * 100_000 + "\n", 1, "not JSON"),
    ],
)
def test_a_bad_line_is_named_and_shown(content: str, line: int, what: str, tmp_path: Path):
    with pytest.raises(InputError, match=what) as error:
        list(lines(tmp_path, content))
    assert error.value.line == line
    assert len(error.value.what) < 200


def test_both_halves_of_a_surrogate_pair_are_one_character(tmp_path: Path):
    assert [e.fields["text"] for e in lines(tmp_path, '{"text": "\\ud83d\\ude00"}\n')] == ["😀"]


def test_control_characters_are_kept_and_counted(tmp_path: Path):
    pool = lines(tmp_path, '{"text": "a\\u0008b"}\n{"text": "c\\ufffd"}\n{"text": "d\\te"}\n')
    for _ in range(2):
        assert [e.fields["text"] for e in pool] == ["a\x08b", "c\ufffd", "d\te"]
        assert any(note.endswith("U+FFFD, kept as they are: 2") for note in pool.notes)


def test_lines_of_an_array_are_those_of_its_elements(tmp_path: Path):
    pool = document(tmp_path, '[{"text": "a"}, {"text": "b"},\n\n {"text":\n"c"}\n]\n', TEXT)
    assert [(e.line, e.id) for e in pool] == [(1, "a.json#1"), (1, "a.json#2"), (3, "a.json#3")]
    assert "characters of JSON documents, each read at once: 49" in pool.notes[-1]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ('[{"text": "a"},\n{"text": "b"', 2, "not JSON"),
        ('[{"text": "a"}\n{"text": "b"}]', 2, "comma"),
        ('[{"text": "a"}]\n more', 2, "more after the end"),
        ('{"one":\n 1}', 1, "neither an array of examples nor SQuAD"),
        ("[]", None, "no example in this file"),
    ],
)
def test_a_broken_array_is_refused_with_its_line(
    content: str, line: int | None, what: str, tmp_path: Path
):
    with pytest.raises(InputError, match=what) as error:
        list(document(tmp_path, content, TEXT))
    assert error.value.line == line


def test_json_lines_under_the_name_of_json_are_seen(tmp_path: Path):
    pool = document(tmp_path, '{"text": "a"}\n{"text": "b"}\n', TEXT)
    assert [e.line for e in pool] == [1, 2]


def test_squad_becomes_questions_with_all_their_answers(tmp_path: Path):
    twice = [{"text": "1815", "answer_start": 16}, {"text": "in 1815", "answer_start": 13}]
    example = asked(tmp_path, *twice)
    assert example.fields == {"question": "When?", "context": "Ada was born in 1815."}
    assert example.label == {"text": ["1815", "in 1815"], "answer_start": [16, 13]}
    assert (example.source_id, example.extra) == ("q", {"title": "Ada"})


def test_squad_2_says_that_there_is_no_answer(tmp_path: Path):
    nothing = {"text": [], "answer_start": []}
    assert asked(tmp_path, is_impossible=True).label == nothing
    lying = {"text": "Ada", "answer_start": 0}
    assert asked(tmp_path, lying, is_impossible=True).label == nothing
    assert asked(tmp_path).label == nothing


def test_a_wrong_start_is_mended_where_the_text_stands_once(tmp_path: Path):
    assert asked(tmp_path, {"text": "1815", "answer_start": 3}).label == {
        "text": ["1815"],
        "answer_start": [16],
    }


def test_a_wrong_start_that_cannot_be_mended_costs_the_answer_and_not_the_example(tmp_path: Path):
    content = squad(
        {"question": "a?", "answers": [{"text": "a", "answer_start": 1}]},
        {"question": "b?", "answers": [{"text": "b", "answer_start": 8}, {"text": "zz"}]},
        {"question": "c?", "answers": [{"text": "", "answer_start": 0}]},
    )
    pool = document(tmp_path, content)
    assert [e.label for e in pool] == [None, {"text": ["b"], "answer_start": [8]}, None]
    assert any(note.endswith("answer_start says: 2") for note in pool.notes)
    assert any(note.endswith("they are empty: 1") for note in pool.notes)


def test_starts_count_code_points(tmp_path: Path):
    question = {"question": "?", "answers": [{"text": "😀", "answer_start": 3}]}
    [example] = document(tmp_path, squad(question, context="\ufeff😀 😀"))
    assert example.label == {"text": ["😀"], "answer_start": [3]}


@pytest.mark.parametrize("context", ["", " \u200b\n"])
def test_d26_an_empty_context_is_refused_by_its_line(context: str, tmp_path: Path):
    with pytest.raises(InputError, match="context holds nothing that can be seen") as error:
        list(document(tmp_path, squad({"question": "?", "answers": []}, context=context)))
    assert error.value.line == 1


def test_d26_two_questions_with_one_id_stay_two_examples(tmp_path: Path):
    pool = document(tmp_path, squad({"id": "1", "question": "a?"}, {"id": "1", "question": "b?"}))
    assert [(e.id, e.source_id, e.label) for e in pool] == [
        ("a.json#1", "1", None),
        ("a.json#2", "1", None),
    ]


def test_the_line_of_a_question_is_found_in_a_document_of_many_lines(tmp_path: Path):
    content = squad({"question": 'Who is "Ada"?'}, {"question": "é?"}, {"question": "é?"})
    text = json.dumps(content, indent=1)
    expected = [i for i, line in enumerate(text.split("\n"), 1) if '"question"' in line]
    assert [e.line for e in document(tmp_path, text)] == expected


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"data": [{"paragraphs": [{"context": "c", "qas": {}}]}]}, "'qas' is no list"),
        ({"data": [{"paragraphs": [5]}]}, "'paragraphs' holds something that is no object"),
        ({"data": [{"paragraphs": [{"context": "c", "qas": [{}]}]}]}, "no field for 'question'"),
        ('{"data": [{"paragraphs": [', "not JSON"),
    ],
)
def test_what_is_not_squad_is_refused(content: Any, what: str, tmp_path: Path):
    with pytest.raises(InputError, match=what):
        list(document(tmp_path, content, format="squad"))


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
VISIBLE = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])).map(
    lambda text: text + "."
)


@given(rows=st.lists(st.tuples(VISIBLE, VALUE, st.booleans()), min_size=1, max_size=4))
def test_any_record_reads_back(
    rows: list[tuple[str, Any, bool]], tmp_path_factory: pytest.TempPathFactory
):
    content = "".join(
        json.dumps({"text": text, "more": value}, ensure_ascii=ascii_only) + "\n"
        for text, value, ascii_only in rows
    )
    pool = lines(tmp_path_factory.mktemp("jsonl"), content)
    assert [(e.fields["text"], e.extra["more"]) for e in pool] == [row[:2] for row in rows]


def test_a_long_file_is_streamed(tmp_path: Path):
    pool = lines(tmp_path, '{"text": "a"}\n' * 4500 + "{cut\n")
    shards = pool.shards()
    assert len(next(shards).examples) == 4096
    with pytest.raises(InputError) as error:
        next(shards)
    assert error.value.line == 4501
