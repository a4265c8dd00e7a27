"""Whether an answer is to what was asked: the same text, known labels, answers that stand there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from polymux.annotation.batch import Answer, Batch, Item
from polymux.annotation.differences import both
from polymux.annotation.words import labels_like
from polymux.errors import InputError
from polymux.records import Label


def checked(
    batch: Batch, answers: Iterable[Answer | InputError], file: str | Path
) -> Iterator[Answer | InputError]:
    """Each answer that fits its item, an error for each other one; the good ones go through.

    What is refused: an id that was not issued, a text that changed on the way (both versions are
    shown), a label that nobody may give, another number of labels than words, an answer that does
    not stand in its context, and a second answer of one annotator.
    """
    issued = batch.by_id
    seen: set[tuple[str, str | None]] = set()
    for answer in answers:
        if isinstance(answer, InputError):
            yield answer
            continue
        try:
            item = issued.get(answer.id)
            if item is None:
                raise InputError(
                    f"{answer.id!r} was not issued in this batch",
                    "import what this batch exported, with its ids untouched",
                )
            if (answer.id, answer.annotator) in seen:
                who = "" if answer.annotator is None else f" of {answer.annotator}"
                raise InputError(f"{answer.id}: a second answer{who}", "keep one of them")
            _same_text(item, answer)
            if answer.state == "labelled" and answer.label is None:
                raise InputError(f"{answer.id}: there is no label", "give one, or skip it")
            _fits(batch, item, answer.label)
        except InputError as error:
            place = str(file) if answer.page is None else answer.page
            yield InputError(error.what, error.hint, file=place, line=answer.line)
            continue
        seen.add((answer.id, answer.annotator))
        yield replace(answer, fields=item.fields)


def _same_text(item: Item, answer: Answer) -> None:
    for name, sent in item.fields.items():
        back = answer.fields.get(name)
        if back == sent:
            continue
        what, shown = name, both(sent, back)
        if isinstance(sent, tuple) and isinstance(back, tuple):
            what, shown = _word(sent, back)
        raise InputError(
            f"{item.id}: {what} changed on the way: {shown}",
            "put it back as it was sent; only labels and states are for people to change",
        )


def _word(sent: tuple[str, ...], back: tuple[str, ...]) -> tuple[str, str]:
    """What the first word is called that is not as it was, and both versions of it."""
    place = next(n for n, (a, b) in enumerate(zip_longest(sent, back), start=1) if a != b)
    count = "" if len(sent) == len(back) else f" ({len(sent)} words were sent, {len(back)} came)"
    one, other = (part[place - 1] if place <= len(part) else None for part in (sent, back))
    return f"word {place}{count}", both(one, other)


def _fits(batch: Batch, item: Item, label: Label | None) -> None:
    if label is None:
        return
    if isinstance(label, dict):
        context = item.fields["context"]
        for text, start in zip(label["text"], label["answer_start"], strict=True):
            if start < 0 or context[start : start + len(text)] != text or not text:
                raise InputError(
                    f"{item.id}: the answer {text!r} does not stand at {start}",
                    "mark the answer in the context",
                )
        return
    given = (label,) if isinstance(label, str) else label
    if not isinstance(label, str) and len(label) != len(item.fields["tokens"]):
        raise InputError(
            f"{item.id}: {len(label)} labels for {len(item.fields['tokens'])} words",
            "give one label a word",
        )
    for one in given:
        if one not in batch.labels:
            raise InputError(
                f"{item.id}: nobody may give the label {one!r}",
                labels_like(one, batch.labels),
            )
