"""Known records that travel with a batch and show on their way back what a tool does to texts.

Their texts hold what tools break: signs beyond sixteen bits, combining marks, right-to-left words,
double spaces. From how they come back follows how the whole file has to be read; where nothing
fits, the file is refused, because then every record of it is in doubt.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from polymux.annotation.batch import Answer, Batch, Item, span_kinds
from polymux.annotation.check import checked
from polymux.annotation.words import Span, labels_of, laid_out
from polymux.errors import InputError
from polymux.records import Label

# Answers as they stand in a file or on a server.
Read = Callable[[Batch], Iterable[Answer | InputError]]
Change = Callable[[str], str]

PREFIX = "polymux:canary:"
# Both forms of an accent, Hebrew, Arabic, Devanagari, joined and single emoji; spaces as shown.
_SENTENCES = (
    "🚀 Ada  Lovelace 👩🏽‍🚀 e\u0301te\u0301 Z\u00fcrich .",
    "שלום  مرحبا 🏳️‍🌈 Ada Lovelace नमस्ते na\u0308\u00e4 !",
)
_NAME = "Ada Lovelace"
_TEXT = "{}\nline two:  two spaces"
_QUESTION = "Who? 🚀"

_FORMS: dict[str, Change] = {
    form: partial(unicodedata.normalize, form) for form in ("NFC", "NFD", "NFKC", "NFKD")
}
_SPACES: dict[str, Change] = {
    "double spaces collapsed": lambda text: re.sub("[ \t]+", " ", text),
    "all white space collapsed": lambda text: " ".join(text.split()),
}
_LINES: dict[str, Change] = {"line ends as CRLF": lambda text: text.replace("\n", "\r\n")}
_UNSEEN = (
    "no canary came back with its label (deleted, emptied or, on a server, not submitted yet: "
    "submit them as they are), so what the tool did to texts was not seen"
)
_UTF_16 = "offsets in UTF-16 units"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read."""

    changes: tuple[str, ...] = ()
    """What the tool did to texts and offsets; none: it kept them."""
    note: str = ""
    """What a person should know."""

    def change(self, text: str) -> str:
        """A text as the tool made it."""
        table = _FORMS | _SPACES | _LINES
        for name in self.changes:
            if name in table:
                text = table[name](text)
        return text

    def view(self, batch: Batch) -> Batch:
        """The batch as the tool shows it."""
        unit = "utf-16" if _UTF_16 in self.changes else batch.unit
        return replace(batch, unit=unit, items=tuple(self._item(item) for item in batch.items))

    def back(self, batch: Batch, answer: Answer) -> Answer:
        """An answer to a view's item as one to the item itself.

        Raises:
            InputError: an answer in a context that does not stand in it as it was sent.
        """
        item = batch.by_id[answer.id]
        label = answer.label
        if isinstance(label, dict) and self.changes:
            context = str(item.fields["context"])
            spans = [
                self._span(context, start, text, item.id)
                for start, text in zip(label["answer_start"], label["text"], strict=True)
            ]
            label = {
                "text": [context[start:end] for start, end in spans],
                "answer_start": [start for start, _ in spans],
            }
        return replace(answer, fields=item.fields, label=label)

    def _item(self, item: Item) -> Item:
        fields = {
            name: self.change(value)
            if isinstance(value, str)
            else tuple(self.change(word) for word in value)
            for name, value in item.fields.items()
        }
        surface = None if item.surface is None else self.change(item.surface)
        return replace(item, fields=fields, surface=surface)

    def _span(self, context: str, start: int, text: str, name: str) -> tuple[int, int]:
        places = range(len(context) + 1)
        first, last = (
            bisect_left(places, at, key=lambda place: len(self.change(context[:place])))
            for at in (start, start + len(text))
        )
        if self.change(context[first:last]).strip() != text.strip():
            raise InputError(
                f"{name}: the answer {text!a} cannot be found in the context as it was sent",
                "mark whole words",
            )
        return first, last


def canaries(batch: Batch) -> tuple[Item, ...]:
    """Known records for the batch's task, with the labels that they have to come back with."""
    return tuple(
        _canary(batch, number, sentence) for number, sentence in enumerate(_SENTENCES, start=1)
    )


def _canary(batch: Batch, number: int, sentence: str) -> Item:
    name = f"{PREFIX}{number}"
    if batch.task == "token-classification":
        item = Item(name, {"tokens": tuple(sentence.split())}, surface=sentence)
        return replace(item, label=_word_labels(batch, item))
    text = _TEXT.format(sentence)
    if batch.task == "question-answering":
        # A name of one space, so that marking it is the same to all who collapse them.
        context = text.replace("Ada  Lovelace", _NAME)
        answer: Label = {"text": [_NAME], "answer_start": [context.index(_NAME)]}
        return Item(name, {"question": _QUESTION, "context": context}, label=answer)
    # Never a pair: a canary is the same whatever else a file holds.
    return Item(name, {"text": text}, label=batch.labels[-number % len(batch.labels)])


def _word_labels(batch: Batch, item: Item) -> Label:
    _, places = laid_out(item)
    if not batch.tagged:
        return tuple(batch.labels[at % len(batch.labels)] for at in range(len(places)))
    words = item.fields["tokens"]
    first = words.index("Ada")
    span = Span(places[first][0], places[first + 1][1], span_kinds(batch.labels)[0])
    return labels_of(item, [span], batch)


def reading_of(read: Read, place: str, batch: Batch, anew: str) -> Reading:
    """How answers have to be read, from the canaries among them.

    `anew` is the command that exports the round without them.

    Raises:
        InputError: they came back as nothing that is known explains.
    """
    sent = replace(batch, items=canaries(batch))
    first = _came_back(read, place, sent, Reading())
    if not first:
        return Reading(note=_UNSEEN)
    for changes in _hypotheses():
        reading = Reading(changes)
        found = first if not changes else _came_back(read, place, sent, reading)
        if len(found) >= len(first) and all(one is True for one in found.values()):
            return replace(reading, note=_told(changes))
    wrong = next((one for one in first.values() if one is not True and one != ""), "")
    if all(one is True or one == "" for one in first.values()):
        return Reading(note="a canary came back with another label: leave them as they are")
    raise InputError(
        f"the tool changed what it was given: {wrong}",
        "nothing of the file is taken: give the tool's own export; if the canaries alone were "
        f"touched, {anew} writes the round without them",
        file=place,
    )


def _came_back(
    read: Read, place: str, sent: Batch, reading: Reading
) -> dict[tuple[str, str | None], bool | str]:
    """Of each canary and annotator: True, as sent; "", with another label; else what is wrong."""
    view = reading.view(sent)
    names = [item.id for item in sent.items]
    found: dict[tuple[str, str | None], bool | str] = {}
    for one in checked(view, read(view), place):
        if isinstance(one, InputError):
            for name in names:
                # Errors that checks and formats raise begin with the id of their record.
                if one.what.startswith((f"{name}:", f"{name!r}")):
                    found[name, one.what] = one.what
        elif one.state == "labelled":
            found[one.id, one.annotator] = _as_sent(sent, reading, one)
    return found


def _as_sent(sent: Batch, reading: Reading, answer: Answer) -> bool | str:
    try:
        return reading.back(sent, answer).label == sent.by_id[answer.id].label or ""
    except InputError as error:
        return error.what


def _hypotheses() -> Iterator[tuple[str, ...]]:
    """What tools do, alone and together, the simplest first."""
    every = product(
        [(), (_UTF_16,)],
        [(), *((name,) for name in _FORMS)],
        [(), *((name,) for name in _SPACES)],
        [(), *((name,) for name in _LINES)],
    )
    joined = [tuple(name for part in parts for name in part) for parts in every]
    return iter(sorted(joined, key=len))


def _told(changes: Sequence[str]) -> str:
    return f"the tool's changes were undone: {', '.join(changes)}" if changes else ""
