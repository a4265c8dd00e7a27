"""Where words stand in a text: tags of words as spans of characters, and back.

Characters are Unicode code points, an end is one after the last.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from polymux.annotation.batch import Batch, Item
from polymux.errors import InputError

OUTSIDE = "O"
# Labels that a hint names.
_SHOWN = 20
_WHOLE = "mark whole words; a span may not cut one"


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled stretch of a text."""

    start: int
    end: int
    label: str


def laid_out(item: Item) -> tuple[str, list[tuple[int, int]]]:
    """The sentence of an item's words, and (start, end) of each word in it.

    The sentence is the one of the source where all words stand in it in their order; otherwise the
    words with a space between.
    """
    words = item.fields["tokens"]
    places: list[tuple[int, int]] = []
    if item.surface is not None:
        at = 0
        for word in words:
            at = item.surface.find(word, at)
            if at < 0:
                break
            places.append((at, at + len(word)))
            at += len(word)
        if len(places) == len(words) and not _between(item.surface, places).strip():
            return item.surface, places
    places, at = [], 0
    for word in words:
        places.append((at, at + len(word)))
        at += len(word) + 1
    return " ".join(words), places


def _between(text: str, places: Sequence[tuple[int, int]]) -> str:
    """What of a text stands in no word."""
    ends = [0, *(end for _, end in places)]
    starts = [*(start for start, _ in places), len(text)]
    return "".join(text[end:start] for end, start in zip(ends, starts, strict=True))


def spans_of(
    labels: Sequence[str], places: Sequence[tuple[int, int]], *, tagged: bool
) -> list[Span]:
    """The spans that labels of words make: runs of one kind, or each word with its class."""
    if not tagged:
        return [Span(start, end, label) for (start, end), label in zip(places, labels, strict=True)]
    found: list[Span] = []
    open_kind: str | None = None
    for label, (start, end) in zip(labels, places, strict=True):
        letter, kind = label[:1], label[2:]
        if label == OUTSIDE:
            open_kind = None
        elif letter in "IELM" and kind == open_kind:
            found[-1] = Span(found[-1].start, end, kind)
        else:
            found.append(Span(start, end, kind))
        open_kind = None if label == OUTSIDE or letter in "ELSU" else kind
    return found


def labels_of(item: Item, spans: Iterable[Span], batch: Batch) -> tuple[str, ...]:
    """One label a word from spans of characters; white space at their ends does not count.

    Raises:
        InputError: a span lies outside the text, holds no word or cuts one, or two overlap; where
            every word has a class, one that has none.
    """
    text, places = laid_out(item)
    labels: list[str | None] = [None] * len(places)
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        covered = _covered(item.id, text, places, span)
        for place, word in enumerate(covered):
            if labels[word] is not None:
                raise InputError(
                    f"{item.id}: two spans overlap at {text[slice(*places[word])]!r}",
                    "keep one of them",
                )
            tag = f"{letter(batch, place, len(covered))}-{span.label}"
            labels[word] = tag if batch.tagged else span.label
    if not batch.tagged and None in labels:
        word = labels.index(None)
        raise InputError(
            f"{item.id}: word {word + 1}, {text[slice(*places[word])]!r}, has no label",
            "give every word one, or skip the whole example",
        )
    return tuple(OUTSIDE if label is None else label for label in labels)


def letter(batch: Batch, place: int, count: int) -> str:
    """The letter of a word in a span, in the scheme that the batch's labels are of."""
    letters = {label[0] for label in batch.labels if label[1:2] == "-"}
    single, last, inside = (
        ("U", "L", "I") if "U" in letters else ("S", "E", "M" if "M" in letters else "I")
    )
    if count == 1 and single in letters:
        return single
    if place == 0 and "B" in letters:
        return "B"
    return last if place == count - 1 and last in letters else inside


def _covered(name: str, text: str, places: Sequence[tuple[int, int]], span: Span) -> list[int]:
    """The words of a span, which it must hold from their beginnings to their ends."""
    start, end = span.start, span.end
    if not 0 <= start < end <= len(text):
        raise InputError(
            f"{name}: the span {start} to {end} ({span.label}) is not in the text of {len(text)} "
            "characters",
            "look whether the tool counts something else than characters",
        )
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    covered = [i for i, (s, e) in enumerate(places) if s < end and start < e]
    if not covered:
        raise InputError(f"{name}: the span {text[span.start : span.end]!r} holds no word", _WHOLE)
    if places[covered[0]][0] < start or places[covered[-1]][1] > end:
        whole = text[places[covered[0]][0] : places[covered[-1]][1]]
        raise InputError(f"{name}: the span {text[start:end]!r} cuts {whole!r}", _WHOLE)
    return covered


def labels_like(wrong: str, labels: Sequence[str]) -> str:
    """A hint at the label that was meant, among those that may be given."""
    near = difflib.get_close_matches(wrong, labels, n=1)
    more = f", ... ({len(labels)} in all)" if len(labels) > _SHOWN else ""
    known = f"known here: {', '.join(labels[:_SHOWN])}{more}"
    return f"did you mean {near[0]}? {known}" if near else known
