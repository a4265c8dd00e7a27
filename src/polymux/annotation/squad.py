"""SQuAD v2: questions under their contexts, as annotation tools for questions read and write it.

`answer_start` counts code points. A question with no answer says so (`is_impossible`); one that has
neither still waits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polymux.annotation import told as tool
from polymux.annotation.batch import Answer, Batch, Item
from polymux.errors import InputError
from polymux.records import Label

_AS_IT_IS = "give SQuAD's JSON: data, paragraphs, qas with the ids they were issued with"


def dump(batch: Batch) -> bytes:
    """A paragraph an item; a label that there is stands where an answer would."""
    paragraphs = [
        {"context": item.fields["context"], "qas": [_question(item)]} for item in batch.items
    ]
    told = {"version": "v2.0", "data": [{"title": "polymux", "paragraphs": paragraphs}]}
    return (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode()


def _question(item: Item) -> dict[str, Any]:
    told: dict[str, Any] = {"id": item.id, "question": item.fields["question"], "rank": item.rank}
    if item.language is not None:
        told["language"] = item.language
    answers: list[dict[str, Any]] = []
    if isinstance(item.label, dict):
        marks = zip(item.label["text"], item.label["answer_start"], strict=True)
        answers = [{"text": text, "answer_start": start} for text, start in marks]
        told["is_impossible"] = not answers
    return told | {"answers": answers}


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """An answer a question that was answered, or called unanswerable; extra keys are left alone.

    `"state": "skipped"` or `"rejected"` beside a question says that nobody can answer it.
    """
    issued = batch.by_id
    for context, told in _questions(path):
        try:
            answer = _answer(context, told, batch, issued)
        except InputError as error:
            yield InputError(error.what, error.hint, file=str(path))
            continue
        if answer is not None:
            yield answer


def _questions(path: Path) -> Iterator[tuple[Any, Any]]:
    try:
        told = json.loads(path.read_bytes().decode("utf-8-sig"))
        for article in told["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield paragraph["context"], question
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"this is no SQuAD file: {error}", _AS_IT_IS, file=str(path)) from error


def _answer(context: Any, told: Any, batch: Batch, issued: Mapping[str, Item]) -> Answer | None:
    name = told.get("id") if isinstance(told, dict) else None
    if not isinstance(name, str):
        raise InputError("a question has no id", _AS_IT_IS)
    fields = tool.texts({"question": told.get("question"), "context": context})
    state = told.get("state")
    if state in ("skipped", "rejected"):
        return Answer(name, fields, state)
    answers = told.get("answers") or []
    if not answers and told.get("is_impossible") is not True:
        return None
    label: Label = {"text": [], "answer_start": []}
    item = issued.get(name)
    # What does not fit is told by the check, which shows both versions.
    if item is not None and fields == dict(item.fields):
        label = _label(answers, str(context), name, batch.unit)
    return Answer(name, fields, "labelled", label)


def _label(answers: Any, context: str, name: str, unit: str) -> Label:
    texts, starts = [], []
    for one in answers if isinstance(answers, list) else [answers]:
        text = one.get("text") if isinstance(one, dict) else None
        start = one.get("answer_start") if isinstance(one, dict) else None
        if not isinstance(text, str) or type(start) is not int:
            shown = json.dumps(one)[:80]
            raise InputError(f"{name}: {shown} is no answer with a text and a start", _AS_IT_IS)
        begin, _ = tool.in_points(context, start, start, unit)
        texts.append(text)
        starts.append(begin)
    return {"text": texts, "answer_start": starts}
