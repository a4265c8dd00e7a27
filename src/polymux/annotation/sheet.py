"""A sheet that a person fills in: what stands in its cells, both ways, whatever the file's kind.

Words: a row a word, with an empty row between examples. Texts: a row an example. Questions: a row
an answer; `-` where the context holds none. An empty label still waits; `state` may say skipped or
rejected. Columns are known by their names, wherever they stand; others are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from polymux.annotation.batch import Answer, Batch, Item, State
from polymux.errors import InputError, UsageError
from polymux.records import FIELDS, Label

Row = Sequence[str]
# A row's number in its file, from 1.
Numbered = tuple[int, Row]

STATES: dict[str, State] = {"skipped": "skipped", "rejected": "rejected"}
NO_ANSWER = "-"
WORD, LABEL, ANSWER, START, STATE = "word", "label", "answer", "start", "state"
# What spreadsheets hold in one cell at most.
LONGEST = 32_767
_HEAD = ("id", "rank", "language")
_KEEP = "keep the sheet's first row and its ids as they were"


def columns(batch: Batch) -> tuple[str, ...]:
    """The names of the columns, in the order that they are written in."""
    if batch.task == "token-classification":
        return (*_HEAD, WORD, LABEL, STATE)
    if batch.task == "question-answering":
        return (*_HEAD, "question", "context", ANSWER, START, STATE)
    pair = ("text_pair",) if any("text_pair" in item.fields for item in batch.items) else ()
    return (*_HEAD, "text", *pair, LABEL, STATE)


def rows(batch: Batch) -> Iterator[list[str]]:
    """The rows below the first one.

    Raises:
        UsageError: a text that is longer than a cell may be.
    """
    names = columns(batch)
    for item in batch.items:
        for told in _rows_of(item, batch):
            row = [told.get(name, "") for name in names]
            longest = max(map(len, row))
            if longest > LONGEST:
                raise UsageError(
                    f"{item.id} has a text of {longest:,} characters, a cell holds {LONGEST:,}",
                    "choose another --to, such as jsonl",
                )
            yield row
        if batch.task == "token-classification":
            yield [""] * len(names)


def _rows_of(item: Item, batch: Batch) -> Iterator[dict[str, str]]:
    head = {"id": item.id, "rank": str(item.rank), "language": item.language or ""}
    if batch.task == "token-classification":
        words = item.fields["tokens"]
        labels = item.label if isinstance(item.label, tuple) else ("",) * len(words)
        for word, label in zip(words, labels, strict=True):
            yield head | {WORD: word, LABEL: label}
        return
    texts = {name: str(value) for name, value in item.fields.items()}
    if not isinstance(item.label, dict):
        yield head | texts | {LABEL: item.label if isinstance(item.label, str) else ""}
        return
    marks = list(zip(item.label["text"], item.label["answer_start"], strict=True))
    for text, start in marks:
        # A text that is the mark itself is told from it by its place.
        yield head | texts | {ANSWER: text, START: str(start)}
    if not marks:
        yield head | texts | {ANSWER: NO_ANSWER}


@dataclass(slots=True)
class _Example:
    """The rows of one id."""

    line: int
    rows: list[Mapping[str, str]] = field(default_factory=list)


def answers(table: Iterable[Numbered], batch: Batch) -> Iterator[Answer | InputError]:
    """An answer an example that was filled in; errors have the number of their row.

    Raises:
        InputError: the first row does not name the columns.
    """
    issued = batch.by_id
    for name, example in _examples(table, batch):
        try:
            answer = _answer(name, example, batch, issued.get(name))
        except InputError as error:
            yield InputError(error.what, error.hint, line=error.line or example.line)
            continue
        if answer is not None:
            yield answer


def _examples(table: Iterable[Numbered], batch: Batch) -> Iterator[tuple[str, _Example]]:
    """Rows that follow each other under one id."""
    lines = iter(table)
    number, head = next(lines, (1, ()))
    places = {name.strip().lower(): at for at, name in enumerate(head) if name.strip()}
    missing = [name for name in ("id", *_needed(batch.task)) if name not in places]
    if missing:
        raise InputError(f"there is no column {missing[0]!r}", _KEEP, line=number)
    before: tuple[str, _Example] | None = None
    for number, cells in lines:
        told = {name: cells[at] if at < len(cells) else "" for name, at in places.items()}
        if not any(told.values()):
            continue
        name = told["id"]
        if before is None or before[0] != name:
            if before is not None:
                yield before
            before = name, _Example(number)
        before[1].rows.append(told)
    if before is not None:
        yield before


def _needed(task: str) -> tuple[str, ...]:
    if task == "token-classification":
        return (WORD, LABEL)
    fields = tuple(name for name in FIELDS[task] if not name.endswith("?"))
    return (*fields, ANSWER if task == "question-answering" else LABEL)


def _answer(name: str, example: _Example, batch: Batch, item: Item | None) -> Answer | None:
    if not name:
        raise InputError("a row has no id", _KEEP)
    fields: dict[str, str | tuple[str, ...]]
    if batch.task == "token-classification":
        fields = {"tokens": tuple(row[WORD] for row in example.rows)}
    else:
        known = [one.rstrip("?") for one in FIELDS[batch.task]] if item is None else item.fields
        fields = {one: example.rows[0].get(one, "") for one in known}
    said = {row.get(STATE, "").strip().lower() for row in example.rows} - {""}
    if said:
        return Answer(name, fields, _state(name, said), line=example.line)
    label = _label(name, example, batch)
    if label is None:
        return None
    return Answer(name, fields, "labelled", label, line=example.line)


def _state(name: str, said: set[str]) -> State:
    if len(said) > 1 or not said <= STATES.keys():
        raise InputError(
            f"{name}: there is no state {', '.join(sorted(said))!r}",
            f"write {' or '.join(STATES)}, or leave the column empty",
        )
    return STATES[said.pop()]


def _label(name: str, example: _Example, batch: Batch) -> Label | None:
    if batch.task == "question-answering":
        return _marked(name, example)
    labels = [row[LABEL].strip() for row in example.rows]
    if not any(labels):
        return None
    if batch.task == "text-classification":
        if len(labels) > 1:
            raise InputError(f"{name}: it stands in {len(labels)} rows", "keep one of them")
        return labels[0]
    if "" in labels:
        place = labels.index("")
        raise InputError(
            f"{name}: word {place + 1}, {example.rows[place][WORD]!r}, has no label",
            "give every word one (O: none of these), or write skipped beside one",
            line=example.line + place,
        )
    return tuple(labels)


def _marked(name: str, example: _Example) -> Label | None:
    context = example.rows[0]["context"]
    texts: list[str] = []
    starts: list[int] = []
    told = [(row[ANSWER], row.get(START, "").strip()) for row in example.rows]
    if not any(answer for answer, _ in told):
        return None
    for answer, start in told:
        if answer == NO_ANSWER and not start:
            continue
        texts.append(answer)
        starts.append(_start(name, context, answer, start))
    if texts and len(texts) < len(told):
        raise InputError(f"{name}: it has an answer and the mark {NO_ANSWER}", "keep one of them")
    return {"text": texts, "answer_start": starts}


def _start(name: str, context: str, answer: str, start: str) -> int:
    if start:
        if not start.removesuffix(".0").isdecimal():
            raise InputError(f"{name}: {start!a} is no place", f"write a whole number as {START}")
        return int(start.removesuffix(".0"))
    first = context.find(answer)
    if not answer or first < 0:
        raise InputError(
            f"{name}: the answer {answer!r} does not stand in the context", "copy it from there"
        )
    if context.find(answer, first + 1) >= 0:
        raise InputError(
            f"{name}: the answer {answer!r} stands there more than once",
            f"write where as {START}: how many characters stand before it",
        )
    return first
