"""What people write into the cells of a sheet: labels, tags, answers with where they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from polymux.annotation.batch import Answer, Batch, Item, span_kinds
from polymux.annotation.words import OUTSIDE, labels_like, letter
from polymux.errors import InputError
from polymux.records import Label

# The number of a row and its cells by column.
Filled = tuple[int, Mapping[str, str]]


def same(back: str, sent: str) -> bool:
    """Whether a cell is what was sent, but for what spreadsheets do to any text.

    They write all ends of lines in one way, and some swallow an apostrophe that a text begins with.
    """
    if back in (sent, sent.removeprefix("'")):
        return True
    return _one_line_end(back) in (_one_line_end(sent), _one_line_end(sent.removeprefix("'")))


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def places(context: str, text: str) -> list[int]:
    """Where a text stands in its context, in code points; places may overlap."""
    found = []
    start = context.find(text)
    while start >= 0 and text:
        found.append(start)
        start = context.find(text, start + 1)
    return found


def shown_labels(answer: Answer) -> tuple[str, ...]:
    """An answer as a cell a row: a tag a word, a class, or all texts of a question in one."""
    label = answer.label
    if label is None:
        return (answer.state,)
    if isinstance(label, dict):
        return (" | ".join(label["text"]) or "unanswerable",)
    return (label,) if isinstance(label, str) else label


def _named(written: str, known: Sequence[str]) -> str:
    """The label that was meant: spaces around it and its case do not count where one fits."""
    if written in known:
        return written
    stripped = written.strip()
    if stripped in known:
        return stripped
    # Spreadsheets make TRUE of true.
    alike = [label for label in known if label.casefold() == stripped.casefold()]
    return alike[0] if len(alike) == 1 else stripped


def _of_text(rows: Sequence[Filled], item: Item, batch: Batch) -> Label:
    return _named(rows[0][1]["label"], batch.labels)


def _of_words(rows: Sequence[Filled], item: Item, batch: Batch) -> Label:
    """A label a word; where tags make spans, all of an example may be bare kinds instead.

    Words that follow each other with one kind are then one span. Where two of a kind meet, only
    tags can tell them apart: B-PER, I-PER, B-PER.
    """
    for number, cells in rows:
        if not cells["label"].strip():
            raise InputError(
                f"the word {cells['word']!r} has no label while others have one",
                f"write {OUTSIDE} where there is none" if batch.tagged else "give it one",
                line=number,
            )
    kinds = [kind for kind in span_kinds(batch.labels) if kind not in batch.labels]
    known = (*batch.labels, *kinds)
    given = [_named(cells["label"], known) for _, cells in rows]
    for (number, cells), label in zip(rows, given, strict=True):
        if label not in known:
            raise InputError(
                f"nobody may give the label {label!r} (the word {cells['word']!r})",
                labels_like(label, known),
                line=number,
            )
    bare = [label in kinds for label in given]
    if batch.tagged and any(bare):
        for (number, _), label, is_bare in zip(rows, given, bare, strict=True):
            if not is_bare and label != OUTSIDE:
                raise InputError(
                    f"{label!r} stands in one example with {given[bare.index(True)]!r}",
                    "write tags at all of its words (B-, I-), or at none",
                    line=number,
                )
        return _tags(given, batch)
    return tuple(given)


def _tags(kinds: Sequence[str], batch: Batch) -> tuple[str, ...]:
    """Runs of one kind as tags, in the scheme of the batch."""
    tags: list[str] = []
    for kind, run in groupby(kinds):
        count = len(list(run))
        tags += [
            OUTSIDE if kind == OUTSIDE else f"{letter(batch, place, count)}-{kind}"
            for place in range(count)
        ]
    return tuple(tags)


def _of_question(rows: Sequence[Filled], item: Item, batch: Batch) -> Label:
    context = str(item.fields["context"])
    found = [
        _placed(context, cells["answer"], cells.get("start", "").strip(), number)
        for number, cells in rows
        if cells["answer"].strip()
    ]
    return {"text": [text for text, _ in found], "answer_start": [start for _, start in found]}


def _placed(context: str, written: str, told: str, row: int) -> tuple[str, int]:
    """An answer as it stands in the context, and where."""
    ends = _one_line_end(written)
    forms = (written, written.strip(), ends, ends.replace("\n", "\r\n"))
    text = next((form for form in forms if form and form in context), None)
    if text is None:
        raise InputError(
            f"the answer {written[:120]!r} does not stand in the context",
            "copy it from there, to the letter",
            line=row,
        )
    found = places(context, text)
    where = ", ".join(map(str, found[:10]))
    if not told and len(found) > 1:
        raise InputError(
            f"the answer {text[:120]!r} stands in the context {len(found)} times",
            f"write into start which one is meant: {where}",
            line=row,
        )
    if told and (told.lstrip("0") or "0") not in map(str, found):
        raise InputError(
            f"the answer {text[:120]!r} does not stand at {told!r}",
            f"characters count from 0; it stands at {where}",
            line=row,
        )
    return text, int(told) if told else found[0]


LABEL_READERS: dict[str, Callable[[Sequence[Filled], Item, Batch], Label]] = {
    "token-classification": _of_words,
    "text-classification": _of_text,
    "question-answering": _of_question,
}
