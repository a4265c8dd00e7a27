"""The Unicode script of a text, which says something of it where nobody gave a language."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import regex

# Scripts that living languages are written in, the commonest first: the first that fits counts.
_NAMES = (
    *("Latin", "Cyrillic", "Arabic", "Han", "Devanagari", "Hangul", "Hiragana", "Katakana"),
    *("Greek", "Hebrew", "Thai", "Bengali", "Tamil", "Telugu", "Kannada", "Malayalam"),
    *("Gujarati", "Gurmukhi", "Oriya", "Sinhala", "Georgian", "Armenian", "Ethiopic", "Khmer"),
    *("Lao", "Myanmar", "Tibetan", "Mongolian", "Cherokee", "Thaana", "Syriac", "Tifinagh"),
    *("Nko", "Ol_Chiki", "Javanese", "Balinese", "Canadian_Aboriginal", "Meetei_Mayek"),
)
_SCRIPTS = regex.compile("|".join(rf"(?P<{name}>\p{{Script={name}}})" for name in _NAMES))
_LETTER = regex.compile(r"\p{L}")
OTHER = "other"
# No spaces between words, and often one sign a syllable or a word.
UNSPACED = frozenset({"Han", "Hiragana", "Katakana", "Thai", "Khmer", "Lao", "Myanmar", "Tibetan"})


@lru_cache(maxsize=1 << 16)
def _of_letter(letter: str) -> str:
    found = _SCRIPTS.match(letter)
    return OTHER if found is None else str(found.lastgroup)


def scripts_in(text: str) -> frozenset[str]:
    """Every script that a letter of it is in."""
    return frozenset(map(_of_letter, _LETTER.findall(text)))


def script_of(text: str) -> str | None:
    """The script of most of its letters (ties: the first seen); None without a letter."""
    counts = Counter(map(_of_letter, _LETTER.findall(text)))
    return counts.most_common(1)[0][0] if counts else None
