"""SQuAD files as labelling tools export them, and what is wrong with some."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polymux.annotation import FORMATS, Answer, Batch, Item, checked
from polymux.errors import InputError

CONTEXT = "🚀 Ada Lovelace wrote notes in 1843."
BATCH = Batch(
    "question-answering",
    (),
    tuple(Item(f"q#{n}", {"question": "When?", "context": CONTEXT}) for n in (1, 2, 3)),
)
# The keys that Haystack's annotation tool writes beside SQuAD's own.
HAYSTACK = {
    "data": [
        {
            "paragraphs": [
                {
                    "qas": [
                        {
                            "question": "When?",
                            "id": "q#1",
                            "answers": [
                                {
                                    "answer_id": 107,
                                    "document_id": 212,
                                    "question_id": 43,
                                    "text": "1843",
                                    "answer_start": 30,
                                    "answer_end": 34,
                                    "answer_category": None,
                                }
                            ],
                            "is_impossible": False,
                        }
                    ],
                    "context": CONTEXT,
                    "document_id": 212,
                }
            ]
        }
    ]
}


def back(tmp_path: Path, told: Any) -> list[Answer | InputError]:
    path = tmp_path / "back.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
    return list(checked(BATCH, FORMATS["squad"].load(path, BATCH), path))


def questions(*told: dict[str, Any]) -> dict[str, Any]:
    asked = [{"question": "When?", **one} for one in told]
    return {"data": [{"paragraphs": [{"context": CONTEXT, "qas": asked}]}]}


def test_an_export_with_more_keys_is_read(tmp_path: Path) -> None:
    (answer,) = back(tmp_path, HAYSTACK)
    assert isinstance(answer, Answer)
    assert answer.label == {"text": ["1843"], "answer_start": [30]}


def test_no_answer_is_an_answer_only_if_it_says_so(tmp_path: Path) -> None:
    told = questions(
        {"id": "q#1", "answers": [], "is_impossible": True},
        {"id": "q#2", "answers": []},
        {"id": "q#3", "answers": [], "state": "skipped"},
    )
    first, last = back(tmp_path, told)
    assert isinstance(first, Answer)
    assert isinstance(last, Answer)
    assert first.label == {"text": [], "answer_start": []}
    assert (last.id, last.state) == ("q#3", "skipped")


def test_what_does_not_fit_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    told = questions(
        {"id": "q#1", "answers": [{"text": "1843", "answer_start": 31}]},
        {"id": "q#2", "answers": [{"text": "1843"}]},
        {"id": "q#3", "answers": [{"text": "Ada", "answer_start": 2}]},
        {"answers": []},
    )
    moved, bare, right, nameless = back(tmp_path, told)
    assert isinstance(right, Answer)
    for error, said in (
        (moved, "q#1: the answer '1843' does not stand at 31"),
        (bare, "q#2:"),
        (nameless, "a question has no id"),
    ):
        assert isinstance(error, InputError)
        assert said in error.what


def test_another_context_shows_both_versions(tmp_path: Path) -> None:
    told = questions({"id": "q#1", "answers": [], "is_impossible": True})
    told["data"][0]["paragraphs"][0]["context"] = CONTEXT.replace("notes", "books")
    (error,) = back(tmp_path, told)
    assert isinstance(error, InputError)
    assert "notes" in error.what
    assert "books" in error.what
