"""Tag schemes of columns: which one a file uses, and what cannot be in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

_TAG = re.compile(r"([BIESLUM])(?:-(.+))?")

# A tag as its letter and its type; what is outside has neither.
_Tag = tuple[str, str]
_OUTSIDE: _Tag = ("O", "")


@lru_cache(maxsize=1 << 14)
def tag(text: str) -> _Tag | None:
    """The letter and the type of a tag; None where it is no tag of any scheme."""
    if text == "O":
        return _OUTSIDE
    match = _TAG.fullmatch(text)
    return None if match is None else (match[1], match[2] or "")


def detect(sentences: Iterable[Sequence[str]]) -> str | None:
    """The scheme of tagged sentences: `BIO`, `IOB1`, `BILOU`, `BIOES`, `BMES`, or None for none.

    BIO (also called IOB2) opens every entity with B; IOB1 only where it must.
    """
    letters: set[str] = set()
    known = unknown = opened_b = opened_i = 0
    for sentence in sentences:
        before = _OUTSIDE
        for text in sentence:
            parsed = tag(text)
            if parsed is None:
                unknown += 1
                before = _OUTSIDE
                continue
            known += parsed != _OUTSIDE
            letters.add(parsed[0])
            if before[0] == "O" or before[1] != parsed[1]:
                opened_b += parsed[0] == "B"
                opened_i += parsed[0] == "I"
            before = parsed
    if unknown > known or not letters - {"O"}:
        return None
    for marks, name in (("LU", "BILOU"), ("M", "BMES"), ("ES", "BIOES")):
        if letters & set(marks):
            return name
    return "IOB1" if opened_i > opened_b else "BIO"


def impossible(scheme: str, tags: Sequence[str]) -> tuple[int, str] | None:
    """The first position that cannot be in this scheme, and why; None where all can."""
    before = "O"
    for position, after in enumerate(tags):
        if not _follows(scheme, before, after):
            if tag(after) is None:
                return position, f"{after!r} is no {scheme} tag"
            return position, f"{after!r} cannot follow {before!r} in {scheme}"
        before = after
    if not _follows(scheme, before, "O"):
        return len(tags) - 1, f"{before!r} cannot end a sentence in {scheme}"
    return None


@lru_cache(maxsize=1 << 16)  # a corpus has few pairs of tags and millions of words
def _follows(scheme: str, before: str, after: str) -> bool:
    first, second = tag(before), tag(after)
    return first is not None and second is not None and _RULES[scheme](first, second)


def _bio(before: _Tag, after: _Tag) -> bool:
    return after[0] in "BO" or (after[0] == "I" and before[0] in "BI" and before[1] == after[1])


def _iob1(before: _Tag, after: _Tag) -> bool:
    return after[0] in "IO" or (after[0] == "B" and before[0] in "BI" and before[1] == after[1])


def _closing(inside: str, end: str, single: str) -> Callable[[_Tag, _Tag], bool]:
    """Schemes that mark the end of an entity and entities of one word."""

    def follows(before: _Tag, after: _Tag) -> bool:
        if after[0] not in {"B", inside, end, single, "O"}:
            return False
        going_on = before[0] in {"B", inside}
        continues = after[0] in {inside, end}
        return going_on == continues and (not continues or before[1] == after[1])

    return follows


_RULES: dict[str, Callable[[_Tag, _Tag], bool]] = {
    "BIO": _bio,
    "IOB1": _iob1,
    "BILOU": _closing("I", "L", "U"),
    "BIOES": _closing("I", "E", "S"),
    "BMES": _closing("M", "E", "S"),
}
