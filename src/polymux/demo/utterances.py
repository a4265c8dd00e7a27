"""Utterances of a health assistant, from templates and word lists that people wrote.

A language is a file in `languages/`. Spaces stand between words. A template names its slots in
braces: `{TIME}`, or a form of it that the grammar asks for: `{TIME.past}`, `{DOCTOR.dative}`; the
word list of that name fills it. In an entry of a list, square brackets hold what is tagged where
that is not all of it: `the [dentist]`. Where a language writes no spaces (`spaces = false`), the
spaces of the file vanish from the text and `_` is a space that is written.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from random import Random

# Slots of the token task; B- and I- of each, and O, are its labels.
SLOTS = ("BODY_PART", "DOCTOR", "DURATION", "MEDICINE", "PLACE", "SYMPTOM", "TIME")
# Labels of the text task.
INTENTS = (
    "ask_opening_hours",
    "book_appointment",
    "cancel_appointment",
    "refill",
    "report_symptom",
    "set_reminder",
)
HOLE = re.compile(r"\{([A-Z_]+)(?:\.[a-z]+)?\}")
_TAGGED = re.compile(r"\[(.+?)\]")
# A word, or a mark that stands by itself in every script; `8.30` and `Dr.` are words.
_PIECE = re.compile(r"\s+|_|[?!,;¿¡،؛؟，？！、]|[^\s_?!,;¿¡،؛؟，？！、]+")
# A word list has so many entries: draws that gave nothing new before a language counts as empty.
_PATIENCE = 5_000


@dataclass(frozen=True, slots=True)
class Utterance:
    """What somebody says to the assistant, and what they mean by it."""

    language: str
    intent: str
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    """BIO, one a token."""
    text: str
    """As it is written."""


@dataclass(frozen=True, slots=True)
class Language:
    """Templates and word lists of one language."""

    code: str
    name: str
    spaces: bool
    """Whether it writes spaces between words."""
    templates: Mapping[str, tuple[str, ...]]
    """By intent."""
    words: Mapping[str, tuple[str, ...]]
    """By slot, or slot and form."""


def language(code: str) -> Language:
    """Read the templates and word lists of a language."""
    place = files(__package__) / "languages" / f"{code}.toml"
    found = tomllib.loads(place.read_text(encoding="utf-8"))
    words = {
        (slot if form == "plain" else f"{slot}.{form}"): tuple(entries)
        for slot, forms in found["words"].items()
        for form, entries in _forms(forms)
    }
    templates = {intent: tuple(lines) for intent, lines in found["templates"].items()}
    return Language(code, found["name"], found.get("spaces", True), templates, words)


def _forms(given: list[str] | dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """A list alone is the only form of its slot."""
    yield from [("plain", given)] if isinstance(given, list) else given.items()


def utterances(spoken: Language, count: int, *, seed: int) -> list[Utterance]:
    """So many different utterances, fewer if there are no more; intents are equally likely."""
    draw = Random(f"{seed} {spoken.code}")
    made: dict[tuple[str, ...], Utterance] = {}
    failed = 0
    while len(made) < count and failed < _PATIENCE:
        intent = draw.choice(INTENTS)
        one = _filled(spoken, intent, draw.choice(spoken.templates[intent]), draw)
        failed = failed + 1 if one.tokens in made else 0
        made.setdefault(one.tokens, one)
    return list(made.values())


def _filled(spoken: Language, intent: str, template: str, draw: Random) -> Utterance:
    """A template with its slots filled, no entry twice."""
    segments: list[tuple[str, str | None]] = []
    used: set[str] = set()
    end = 0
    for hole in HOLE.finditer(template):
        segments.append((template[end : hole.start()], None))
        entry = draw.choice([e for e in spoken.words[hole[0][1:-1]] if e not in used])
        used.add(entry)
        segments += _entry_segments(entry, hole[1])
        end = hole.end()
    segments.append((template[end:], None))
    tokens, tags, text = _tokens(segments, spaces=spoken.spaces)
    return Utterance(spoken.code, intent, tokens, tags, text)


def _entry_segments(entry: str, slot: str) -> Iterator[tuple[str, str | None]]:
    match = _TAGGED.search(entry)
    if match is None:
        yield entry, slot
        return
    yield entry[: match.start()], None
    yield match[1], slot
    yield entry[match.end() :], None


def _tokens(
    segments: list[tuple[str, str | None]], *, spaces: bool
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Tokens, tags and text of pieces of text, each tagged as a whole or not at all."""
    tokens: list[str] = []
    tags: list[str] = []
    text = ""
    for segment, slot in segments:
        inside = False
        for piece in _PIECE.findall(segment):
            if piece.isspace() or piece == "_":
                text += " " if spaces or piece == "_" else ""
                continue
            text += piece.removeprefix("+")
            if piece.startswith("+"):
                tokens[-1] += piece[1:]
                continue
            tokens.append(piece)
            tags.append("O" if slot is None else f"{'I' if inside else 'B'}-{slot}")
            inside = True
    return tuple(tokens), tuple(tags), text
