"""Two texts side by side, as people read them: only what would not be seen is shown as code."""

from __future__ import annotations

import unicodedata

import regex

Value = str | tuple[str, ...] | None

# Longer texts are cut to where they differ.
_SHOWN = 120
# Controls, formats, surrogates, private and unassigned signs, ends of lines and odd spaces.
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# Scripts that share the looks of letters.
_LETTERS_ALIKE = {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"}


def both(sent: Value, back: Value) -> str:
    """What was sent and what came back; which sign is another one, where the two look alike."""
    one, other = _text(sent), _text(back)
    place = _differs(one, other)
    told = f"{_shown(one, place, sent)} was sent, {_shown(other, place, back)} came back"
    if sent is None or back is None or not _alike(one, other, place):
        return told
    return (
        f"{told} (they look alike: at sign {place + 1} {_code(one, place)} was sent, "
        f"{_code(other, place)} came)"
    )


def _text(value: Value) -> str:
    return " ".join(value) if isinstance(value, tuple) else value or ""


def _differs(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _shown(text: str, place: int, value: Value) -> str:
    if value is None:
        return "nothing"
    start = max(0, min(place - _SHOWN // 2, len(text) - _SHOWN))
    end = start + _SHOWN
    # Each text goes left to right in its quotes, whatever stands beside it.
    inside = "".join(map(_seen, text[start:end]))
    return f"{'...' * (start > 0)}'{inside}'{'...' * (end < len(text))}"


def _seen(sign: str) -> str:
    kind = unicodedata.category(sign)
    if kind not in _UNSEEN and (kind != "Zs" or sign == " ") and sign not in "\\'":
        return sign
    return sign.encode("unicode_escape").decode() if sign != "'" else "\\'"


def _alike(one: str, other: str, place: int) -> bool:
    """Whether two texts may be read as the same: forms of one sign, letters of kindred scripts."""
    if _bare(one) == _bare(other):
        return True
    scripts = {_script(text[place : place + 1]) for text in (one, other)}
    return len(scripts) > 1 and scripts <= _LETTERS_ALIKE


def _bare(text: str) -> str:
    normal = unicodedata.normalize("NFKC", text)
    return "".join(sign for sign in normal if unicodedata.category(sign) not in _UNSEEN)


def _script(sign: str) -> str | None:
    """The first word of a letter's name: LATIN, CYRILLIC, GREEK."""
    return unicodedata.name(sign, "").split(" ")[0] if sign.isalpha() else None


def _code(text: str, place: int) -> str:
    """The code points of a sign with all marks on it."""
    sign = regex.compile(r"\X").match(text, place)
    return " ".join(f"U+{ord(point):04X}" for point in sign[0]) if sign else "nothing"
