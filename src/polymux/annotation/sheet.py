"""What stands in the rows of a sheet that people fill in, whatever program keeps it.

Words: a row a word, its label beside it. Texts: a row an example. Questions: a row an answer, one
more row with the same id for each further one. A cell that nobody filled in is no answer yet: the
example waits. `state` says that an example was skipped or rejected, or that a question has no
answer in its context (unanswerable). `annotator` says who answered, in each row or in the first one
of an example.

Rows may be sorted: `position` keeps the order of words. Columns may be moved, and others may stand
between. What is wrong is told with the number that the spreadsheet shows before the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from polymux.annotation.batch import Answer, Batch, Item, State
from polymux.annotation.cells import LABEL_READERS, places, same, shown_labels
from polymux.errors import InputError, UsageError

Cells = Mapping[str, str]
Fields = Mapping[str, str | tuple[str, ...]]

UNANSWERABLE = "unanswerable"
_STATES: dict[str, State] = {
    "labelled": "labelled",
    "skipped": "skipped",
    "rejected": "rejected",
    UNANSWERABLE: "labelled",
}
# What people write instead.
_ALIASES = {"skip": "skipped", "reject": "rejected"}
# By task: what a person reads and where the answer goes. Those ending in "?" may be missing.
_COLUMNS = {
    "token-classification": ("position?", "word", "label"),
    "text-classification": ("text", "text_pair?", "label"),
    "question-answering": ("question", "context", "answer", "start?"),
}
_AROUND = ("id", "language?"), ("state?", "annotator?")
# Excel's: it cuts a longer cell, or pours it into the next row, without a word.
LONGEST_CELL = 32_767
MOST_ROWS = 1_048_576


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read."""

    number: int
    """As the spreadsheet shows it: from 1, the header included."""
    cells: Cells
    """By column; those of no column of ours are left out."""
    error: InputError | None = None
    """What is wrong with a cell that counts."""


@dataclass(slots=True)
class _Group:
    """The rows of one answer."""

    id: str
    annotator: str
    rows: list[Row] = field(default_factory=list)
    positions: set[str] = field(default_factory=set)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self.positions.add(row.cells.get("position", ""))

    def values(self, column: str) -> list[str]:
        """What stands in a column, without empty cells."""
        return [value for row in self.rows if (value := row.cells.get(column, ""))]

    def filled(self, column: str) -> bool:
        """Whether a person wrote anything into a column."""
        return any(value.strip() for value in self.values(column))


def states(task: str) -> tuple[str, ...]:
    """What a person may write into `state`."""
    usual = ("skipped", "rejected")
    return (*usual, UNANSWERABLE) if task == "question-answering" else usual


def columns(batch: Batch) -> tuple[str, ...]:
    """The columns that a batch needs, in the order they are written."""
    empty = set()
    if all(item.language is None for item in batch.items):
        empty.add("language")
    if not any("text_pair" in item.fields for item in batch.items):
        empty.add("text_pair")
    said = dict.fromkeys(_by(answer) for item in batch.items for answer in item.said)
    return (*(name for name in _named(batch.task) if name not in empty), *said)


def _by(answer: Answer) -> str:
    """The column of what an annotator said, for one who decides; it is not read back."""
    return f"by {answer.annotator or 'nobody named'}"


def _named(task: str) -> dict[str, bool]:
    """All columns of a task, and whether each has to be there."""
    first, last = _AROUND
    return {n.rstrip("?"): n[-1] != "?" for n in (*first, *_COLUMNS[task], *last)}


def examples(batch: Batch) -> Iterator[list[dict[str, str]]]:
    """The rows of each example, cells by column; labels that there are stand where people write.

    Raises:
        UsageError: a sheet cannot hold that much in a cell, or that many rows.
    """
    rows_of = {
        "token-classification": _rows_of_words,
        "text-classification": _rows_of_text,
        "question-answering": _rows_of_question,
    }[batch.task]
    count = 1
    for item in batch.items:
        rows = rows_of(item)
        rows[0] |= {"language": item.language or ""}
        for answer in item.said:
            for row, text in zip(rows, shown_labels(answer), strict=False):
                row[_by(answer)] = text
        for row in rows:
            row["id"] = item.id
            for name, text in row.items():
                _fits(item, name, text)
        # One more for the empty row that may follow.
        count += len(rows) + 1
        if count > MOST_ROWS:
            raise UsageError(
                f"a spreadsheet holds {MOST_ROWS:,} rows, this round needs more",
                "choose a smaller budget a round, or another format",
            )
        yield rows


def _fits(item: Item, column: str, text: str) -> None:
    if len(text) > LONGEST_CELL // 2 and len(text.encode("utf-16-le")) // 2 > LONGEST_CELL:
        raise UsageError(
            f"{item.id}: {column} has {len(text):,} characters, a cell of a spreadsheet holds "
            f"{LONGEST_CELL:,}",
            "choose another format, such as jsonl",
        )


def _rows_of_words(item: Item) -> list[dict[str, str]]:
    words = item.fields["tokens"]
    given = item.label if isinstance(item.label, tuple) else ("",) * len(words)
    pairs = zip(words, given, strict=True)
    return [
        {"position": str(number), "word": word, "label": label}
        for number, (word, label) in enumerate(pairs, start=1)
    ]


def _rows_of_text(item: Item) -> list[dict[str, str]]:
    label = item.label if isinstance(item.label, str) else ""
    return [{name: str(text) for name, text in item.fields.items()} | {"label": label}]


def _rows_of_question(item: Item) -> list[dict[str, str]]:
    """The question and its context stand in the first row only, whatever the answers are."""
    first = {name: str(text) for name, text in item.fields.items()}
    if not isinstance(item.label, dict):
        return [first]
    if not item.label["text"]:
        return [first | {"state": UNANSWERABLE}]
    context = first["context"]
    rows = [
        {"answer": text, "start": str(start) if len(places(context, text)) > 1 else ""}
        for text, start in zip(item.label["text"], item.label["answer_start"], strict=True)
    ]
    return [first | rows[0], *rows[1:]]


def header(cells: Sequence[str], batch: Batch) -> dict[str, int]:
    """The place of each column of ours, by its name in the header.

    Raises:
        InputError: one is missing or there twice.
    """
    named = [cell.strip().lower() for cell in cells]
    asked = _named(batch.task)
    found = {name: named.index(name) for name in asked if name in named}
    missing = [name for name, needed in asked.items() if needed and name not in found]
    if missing:
        shown = ", ".join(cell[:40] for cell in cells[:12])
        raise InputError(
            f"the header lacks {', '.join(missing)}; it has: {shown!a}",
            f"keep the columns as they were exported: {', '.join(asked)}",
        )
    twice = [name for name in found if named.count(name) > 1]
    if twice:
        raise InputError(f"two columns are called {twice[0]}", "rename one")
    return found


def answers(rows: Iterable[Row], batch: Batch, path: Path) -> Iterator[Answer | InputError]:
    """An answer an example that a person filled in, an error for each that cannot be read."""
    issued = batch.by_id
    for group in _groups(path, rows, batch.task):
        if isinstance(group, InputError):
            yield group
            continue
        try:
            answer = _answer(group, issued.get(group.id), batch)
        except InputError as error:
            line = error.line or group.rows[0].number
            yield InputError(f"{group.id}: {error.what}", error.hint, file=str(path), line=line)
            continue
        if answer is not None:
            yield answer


def _groups(path: Path, rows: Iterable[Row], task: str) -> Iterator[_Group | InputError]:
    groups: dict[tuple[str, str, int], _Group] = {}
    before: _Group | None = None
    for row in rows:
        if row.error is None and not any(value.strip() for value in row.cells.values()):
            continue
        name, who = row.cells["id"], row.cells.get("annotator", "").strip()
        if not name:
            error = row.error or InputError("the row has no id", "keep the ids as they were")
            yield InputError(error.what, error.hint, file=str(path), line=row.number)
            continue
        if before is None or who or before.id != name or _begins_anew(before, row, task):
            # Of a text each row is an answer of its own.
            alone = row.number if task == "text-classification" else 0
            before = groups.setdefault((name, who, alone), _Group(name, who))
        before.add(row)
    yield from groups.values()


def _begins_anew(group: _Group, row: Row, task: str) -> bool:
    """Whether a row without an annotator cannot belong to the rows before it."""
    position = row.cells.get("position", "")
    return task == "text-classification" or (position != "" and position in group.positions)


def _answer(group: _Group, item: Item | None, batch: Batch) -> Answer | None:
    for row in group.rows:
        if row.error is not None:
            raise InputError(row.error.what, row.error.hint, line=row.number)
    told = _state(group, batch.task)
    filled = group.filled("answer" if batch.task == "question-answering" else "label")
    if told is None and not filled:
        return None
    state = _STATES.get(told or "", "labelled")
    answer = partial(
        Answer, state=state, annotator=group.annotator or None, line=group.rows[0].number
    )
    if item is None:
        return answer(group.id, {})
    rows = _in_order(group.rows) if batch.task == "token-classification" else group.rows
    fields = _words(rows, item) if "tokens" in item.fields else _texts(group, item)
    # What does not fit is told by the check, which shows both versions.
    if fields != item.fields:
        return answer(item.id, fields, line=_changed(rows, item))
    if state != "labelled":
        if filled and ("tokens" not in item.fields or all(map(_has_label, rows))):
            raise InputError(
                f"it is {told} and has labels",
                "delete one of the two: a state counts for the whole example, not for a word",
            )
        return answer(item.id, fields)
    if told == UNANSWERABLE:
        if filled:
            raise InputError("it is called unanswerable and has an answer", "delete one of the two")
        return answer(item.id, fields, label={"text": [], "answer_start": []})
    read = LABEL_READERS[batch.task]
    label = read([(row.number, row.cells) for row in rows], item, batch) if filled else None
    return answer(item.id, fields, label=label)


def _has_label(row: Row) -> bool:
    return bool(row.cells.get("label", "").strip())


def _state(group: _Group, task: str) -> str | None:
    written = {value.strip().lower() for value in group.values("state")} - {""}
    given = {_ALIASES.get(value, value) for value in written}
    known = ("labelled", *states(task))
    unknown = sorted(given.difference(known))
    if unknown:
        raise InputError(
            f"there is no state {unknown[0]!r}",
            f"leave it empty, or write one of: {', '.join(states(task))}",
        )
    if len(given) > 1:
        raise InputError(f"it is both {' and '.join(sorted(given))}", "keep one state")
    return next(iter(given), None)


def _in_order(rows: Sequence[Row]) -> list[Row]:
    """The words of an example by `position`; as they stand where there is none."""
    found: dict[int, Row] = {}
    for row in rows:
        told = row.cells.get("position", "").strip()
        if not told:
            return list(rows)
        if not told.isascii() or not told.isdigit() or len(told) > len(str(MOST_ROWS)):
            raise InputError(
                f"{told!r} is no position", "keep positions as they were", line=row.number
            )
        if int(told) in found:
            raise InputError(
                f"word {told} stands in rows {found[int(told)].number} and {row.number}",
                "delete one, or say in the column annotator whose they are",
                line=row.number,
            )
        found[int(told)] = row
    return [found[position] for position in sorted(found)]


def _words(rows: Sequence[Row], item: Item) -> Fields:
    sent = item.fields["tokens"]
    back = tuple(row.cells["word"] for row in rows)
    fits = len(back) == len(sent) and all(map(same, back, sent))
    return item.fields if fits else {"tokens": back}


def _changed(rows: Sequence[Row], item: Item) -> int:
    """The row of the first word that is not as it was sent."""
    sent = item.fields.get("tokens", ())
    pairs = zip(rows, sent, strict=False)
    changed = (row for row, word in pairs if not same(row.cells["word"], word))
    # Of words that are too many the first; of too few the last that is there.
    last = rows[min(len(sent), len(rows) - 1)] if sent else rows[0]
    return next(changed, last).number


def _texts(group: _Group, item: Item) -> Fields:
    """The fields as they came back; further rows of a question may leave them out."""
    fields: dict[str, str | tuple[str, ...]] = {}
    for name, sent in item.fields.items():
        back = group.values(name) or [""]
        other = [value for value in back if not same(value, str(sent))]
        fields[name] = other[0] if other else sent
    return fields
