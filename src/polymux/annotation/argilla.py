"""Argilla 2, read only: records as `Record.to_dict()` or `records.to_list(flatten=True)` tell them.

Argilla's page counts UTF-16 units where its SDK counts code points (argilla-io/argilla#5729), and a
span tells no text. After an emoji a span is therefore read both ways: what fits the words in one
way only is taken, what fits in both ways and differs is refused.

Only the flattened form tells whether a response was discarded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from polymux.annotation import told as tool
from polymux.annotation.batch import Answer, Batch, Item, State
from polymux.annotation.words import Span
from polymux.errors import InputError
from polymux.readers import labels
from polymux.records import LABEL_FIELD, Label

# A draft is no answer yet; `to_dict` tells no status.
STATES: dict[str | None, State | None] = {
    "submitted": "labelled",
    "discarded": "skipped",
    "draft": None,
    None: "labelled",
}
_RESPONSES = ".responses"
_AS_IT_IS = "give the records as Argilla's SDK exports them"


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """An answer a response, from a JSON array of records or JSON lines; suggestions are none.

    The id is `metadata.polymux_id`, or the record's own; the question is the one named as
    polymux names the label (`labels`, `label`, `answers`), or the only one that has responses.
    """
    return tool.answers(path, partial(_read, batch=batch, issued=batch.by_id))


def _read(
    told: dict[str, Any], line: int | None, batch: Batch, issued: Mapping[str, Item]
) -> Iterator[Answer | InputError]:
    metadata = told.get("metadata")
    kept = metadata if isinstance(metadata, dict) else told
    name = kept.get("polymux_id") or told.get("id")
    if not isinstance(name, str):
        raise InputError("the record has no id", _AS_IT_IS)
    item = issued.get(name)
    fields = {} if item is None else tool.texts(_fields(told, item, batch.task))
    for response in _responses(told, name, batch.task):
        try:
            state = _state(response, name)
            if state is None:
                continue
            label = None
            # What does not fit is told by the check, which shows both versions.
            if state == "labelled" and item is not None and fields == item.fields:
                label = _label(response.get("value"), item, batch)
        except InputError as error:
            yield error
            continue
        yield Answer(name, fields, state, label, _user(response), None, line)


def _fields(told: dict[str, Any], item: Item, task: str) -> Mapping[str, str | tuple[str, ...]]:
    """The fields as they came back; a sentence that is another one in place of the words."""
    nested = told.get("fields")
    given: Mapping[str, Any] = nested if isinstance(nested, dict) else told
    if task == "token-classification":
        return tool.words_in(given.get("text"), item)
    return {name: given[name] for name in item.fields if given.get(name) is not None}


def _responses(told: dict[str, Any], name: str, task: str) -> list[dict[str, Any]]:
    """The responses to the question that asks for the label."""
    questions = told.get("responses")
    if not isinstance(questions, dict):
        questions = {
            key.removesuffix(_RESPONSES): _unflattened(told, key)
            for key in told
            if key.endswith(_RESPONSES)
        }
    answered = {question: found for question, found in questions.items() if found}
    wanted = LABEL_FIELD[task]
    if wanted not in answered and len(answered) > 1:
        raise InputError(
            f"{name}: there are responses to {', '.join(answered)}, and to no question {wanted!r}",
            f"call the question that asks for the label {wanted!r}",
        )
    found = answered.get(wanted, next(iter(answered.values()), []))
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(f"{name}: the responses are no list of objects", _AS_IT_IS)
    return found


def _unflattened(told: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = told[key] or []
    if not isinstance(values, list):
        raise InputError(f"{key} is no list", _AS_IT_IS)
    columns = {
        "value": values,
        "user_id": told.get(f"{key}.users") or [None] * len(values),
        "status": told.get(f"{key}.status") or [None] * len(values),
    }
    if not all(isinstance(c, list) and len(c) == len(values) for c in columns.values()):
        raise InputError(f"{key} has not as many users and states as values", _AS_IT_IS)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _state(response: dict[str, Any], name: str) -> State | None:
    status = response.get("status")
    if not isinstance(status, str | None) or status not in STATES:
        known = ", ".join(one for one in STATES if one is not None)
        raise InputError(f"{name}: there is no status {status!r}", f"Argilla writes {known}")
    return STATES[status]


def _user(response: dict[str, Any]) -> str | None:
    # `to_dict` writes str(None) for a response without a user.
    user = response.get("user_id")
    return None if user in (None, "None") else str(user)


def _label(value: Any, item: Item, batch: Batch) -> Label:
    if batch.task == "text-classification":
        one = value[0] if isinstance(value, list) and len(value) == 1 else value
        label = None if isinstance(one, list) else labels.of_text(one)
        if label is None:
            raise InputError(
                f"{item.id}: the response is {ascii(value)[:80]}", "one label has to be chosen"
            )
        return label
    if batch.task == "question-answering" and isinstance(value, str):
        return _standing(value, item)
    text = tool.text_of(item)
    found = tool.spans(value, text, item.id)
    return _read_both_ways(text, found, lambda spans: tool.label_of(item, spans, batch), item.id)


def _standing(answer: str, item: Item) -> Label:
    """An answer that was written, not marked, where its text stands only once."""
    context = str(item.fields["context"])
    start = context.find(answer)
    if not answer or start < 0 or context.find(answer, start + 1) >= 0:
        raise InputError(
            f"{item.id}: the answer {answer!r} does not stand in the context exactly once",
            "let answers be marked (SpanQuestion) in place of written",
        )
    return {"text": [answer], "answer_start": [start]}


def _read_both_ways(
    text: str, found: Sequence[Span], label_of: Callable[[Sequence[Span]], Label], name: str
) -> Label:
    units = tool.code_points(text)
    try:
        as_units = [Span(units[span.start], units[span.end], span.label) for span in found]
        by_units = label_of(as_units)
    except (KeyError, InputError):
        return label_of(found)
    try:
        by_points = label_of(found)
    except InputError:
        return by_units
    if by_units != by_points:
        raise InputError(
            f"{name}: its spans fit in code points and in UTF-16 units, and differ",
            "Argilla counts an emoji as two (argilla-io/argilla#5729); label it in another tool",
        )
    return by_points
