"""Text and numbers as a page shows them: cleaned, cut between graphemes, rounded."""

from __future__ import annotations

import json
import math
from typing import Any

import regex

# What HTML cannot hold (controls, NUL) or UTF-8 cannot write (lone surrogates).
_UNPRINTABLE = regex.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# A tower of combining marks is one grapheme and would cover the page; no script stacks nine.
_TOWER = regex.compile(r"(\p{M}{8})\p{M}+")
# An emoji of a family has eleven code points.
_LARGEST_GRAPHEME = 12
_LANGUAGE_TAG = regex.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


def cut(text: str, graphemes: int) -> str:
    """The text, cleaned, with an ellipsis after at most so many graphemes."""
    room = graphemes * _LARGEST_GRAPHEME
    cleaned = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _TOWER.sub(r"\1", text[:room]))
    found = regex.match(rf"\X{{{graphemes}}}", cleaned)
    end: int = found.end() if found else len(cleaned)
    shown: str = cleaned[:end]
    if len(text) <= room and end == len(cleaned):
        return shown
    return shown.rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def language_tag(language: str | None) -> str:
    """The language as an HTML `lang`, if it looks like one: it chooses the right letter shapes."""
    return language if language and _LANGUAGE_TAG.fullmatch(language) else ""


def number(value: float | int) -> str:
    """Three or four digits and a true minus sign."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    shown = f"{abs(value):,.0f}" if abs(value) >= 1000 else f"{abs(value):.3g}"
    return f"\N{MINUS SIGN}{shown}" if value < 0 else shown


def count(value: int, noun: str = "") -> str:
    """`1,234 examples`, `1 example` or `1,234`."""
    shown = f"{value:,}"
    return f"{shown} {noun}{'' if value == 1 else 's'}" if noun else shown


def percent(share: float) -> str:
    """A share of one, so that only nothing is 0 % and only all of it 100 %."""
    if 0 < share < 0.01:
        return "under 1 %"
    return f"{math.floor(100 * share) if share > 0.99 else round(100 * share)} %"


def prediction(value: Any) -> str:
    """What a model says, on one line: labels, with their scores where there is one each."""
    match value:
        case str():
            return value
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return number(value)
        case list():
            return " ".join(prediction(item) for item in value)
        case {"labels": [*labels], "scores": [*scores], **rest} if len(labels) == len(scores):
            pairs = [
                f"{prediction(a)} {prediction(b)}" for a, b in zip(labels, scores, strict=True)
            ]
            return " · ".join([*pairs, prediction(rest)] if rest else pairs)
        case {"label": label, "score": score}:
            return f"{prediction(label)} {prediction(score)}"
        case dict():
            return ", ".join(f"{name}: {prediction(item)}" for name, item in value.items())
        case _:
            return json.dumps(value, ensure_ascii=False)
