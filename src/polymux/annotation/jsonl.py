"""JSON lines: an example a line in polymux's own words, the label beside the fields."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from polymux.annotation.batch import LONGEST, Answer, Batch, Item
from polymux.annotation.told import answers, texts
from polymux.errors import InputError
from polymux.readers import labels
from polymux.records import FIELDS, LABEL_FIELD, Label

STATES = ("labelled", "skipped", "rejected")


def dump(batch: Batch) -> bytes:
    """A line an item: id, rank, language, its fields, the label where there is one.

    In `said` stands what annotators answered, where they disagree.
    """
    return "".join(
        json.dumps(_told(batch.task, item), ensure_ascii=False) + "\n" for item in batch.items
    ).encode()


def _told(task: str, item: Item) -> dict[str, Any]:
    told: dict[str, Any] = {"id": item.id, "rank": item.rank}
    if item.language is not None:
        told["language"] = item.language
    told |= dict(item.fields)
    if item.surface is not None:
        told["surface"] = item.surface
    if item.score is not None:
        told["score"] = item.score
    told[LABEL_FIELD[task]] = item.label
    if item.said:
        told["said"] = [_said(task, one) for one in item.said]
    return told


def _said(task: str, answer: Answer) -> dict[str, Any]:
    who: dict[str, Any] = {"annotator": answer.annotator}
    if answer.label is None:
        return who | {"state": answer.state}
    return who | {LABEL_FIELD[task]: answer.label}


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """A line an answer: a label, or `"state": "skipped"` or `"rejected"`; others wait still.

    Raises:
        InputError: no line is JSON.
    """
    yield from answers(path, partial(_answers, batch.task))


def _answers(task: str, told: dict[str, Any], line: int | None) -> Iterator[Answer]:
    answer = _answer(told, task, line)
    if answer is not None:
        yield answer


def _answer(told: dict[str, Any], task: str, line: int | None) -> Answer | None:
    if not isinstance(told.get("id"), str):
        raise InputError("the line is no object with an id", "keep the lines as they were issued")
    fields = texts({name.rstrip("?"): told.get(name.rstrip("?")) for name in FIELDS[task]})
    label = _label(told.get(LABEL_FIELD[task]), task, fields)
    state = told.get("state", "labelled" if label is not None else None)
    if state is None:
        return None
    if state not in STATES:
        raise InputError(f"there is no state {state!r}", f"write one of: {', '.join(STATES)}")
    if state == "labelled" and label is None:
        raise InputError("it is called labelled and has no label", "give one, or leave out `state`")
    who, seconds = told.get("annotator"), told.get("seconds")
    if not isinstance(who, str | None):
        raise InputError(f"the annotator {who!r} is no name", "write a name, or nothing")
    if type(seconds) not in (int, float, type(None)) or not 0 <= (seconds or 0) < LONGEST:
        raise InputError(f"{seconds!r} is no number of seconds", "write a number, or nothing")
    return Answer(
        told["id"], fields, state, label if state == "labelled" else None, who, seconds, line
    )


def _label(value: Any, task: str, fields: dict[str, Any]) -> Label | None:
    if task == "token-classification":
        words = fields.get("tokens", ())
        return labels.of_words(value, len(words)) if isinstance(words, tuple) else None
    if task == "text-classification":
        return labels.of_text(value)
    moved: Counter[str] = Counter()
    answers = labels.of_question(value, str(fields.get("context", "")), moved)
    if moved:
        raise InputError(
            "the text of an answer is not where answer_start says", "give answers as they stand"
        )
    return answers
