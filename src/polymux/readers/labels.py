"""Labels as files write them, to the one form each task has."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from polymux.errors import InputError

_ANSWERS_HINT = (
    'write answers as {"text": [...], "answer_start": [...]} '
    'or [{"text": ..., "answer_start": ...}], null where there are none yet'
)


def decoded(value: Any) -> Any:
    """A cell of a table that holds JSON, as what it holds; anything else as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def name(value: Any) -> str:
    """One label as text: JSON's numbers and truth values too."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return json.dumps(value)
    raise InputError(
        f"a label cannot be {json.dumps(value, ensure_ascii=False, default=str)[:80]}",
        "a label is a text or a number",
    )


def of_text(value: Any) -> str | None:
    """The label of a text; null, an empty cell and a table's NaN are none."""
    missing = value is None or value == "" or value != value
    return None if missing else name(value)


def of_words(value: Any, words: int) -> tuple[str, ...] | None:
    """One label a word; null, an empty cell and an empty list are none."""
    if value is None or value in ("", []):
        return None
    value = decoded(value)
    parts = value.split() if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise InputError("the labels of the words are no list", "give one label a word")
    if len(parts) != words:
        raise InputError(
            f"there are {len(parts)} labels for {words} words",
            "give one label a word, O where there is none",
        )
    labels = tuple(name(part) for part in parts)
    if "" in labels:
        raise InputError(
            f"the label of word {labels.index('') + 1} is empty",
            "give every word a label, or write null for the whole example",
        )
    return labels


def of_question(value: Any, context: str, counts: Counter[str]) -> dict[str, list[Any]] | None:
    """SQuAD's answers, each at a place where it stands; what cannot be placed is counted.

    An empty list says that the context holds no answer (SQuAD v2); null says that nobody looked.
    """
    if value is None or value == "":
        return None
    try:
        pairs = _pairs(decoded(value))
    except InputError:
        # An answer may read like JSON, as "[1]" does.
        if not isinstance(value, str) or value not in context:
            raise
        pairs = [(value, None)]
    placed = []
    for text, start in pairs:
        if not text:
            counts["answers left out, they are empty: {count}"] += 1
        elif start is not None and context[start : start + len(text)] == text:
            placed.append((text, start))
        elif context.count(text) == 1:
            counts["answers moved to the one place where their text stands: {count}"] += 1
            placed.append((text, context.index(text)))
        else:
            counts["answers left out, their text is not where answer_start says: {count}"] += 1
    if pairs and not placed:
        return None
    return {"text": [text for text, _ in placed], "answer_start": [start for _, start in placed]}


def _pairs(value: Any) -> list[tuple[str, int | None]]:
    """Answer texts with the start that the file gives, from any of the usual shapes."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, dict):
        texts, starts = value.get("text"), value.get("answer_start")
        if isinstance(texts, str):
            texts, starts = [texts], [starts]
        if not isinstance(texts, list):
            raise InputError("the answers have no list of texts", _ANSWERS_HINT)
        starts = [None] * len(texts) if starts is None else starts
        if not isinstance(starts, list) or len(starts) != len(texts):
            raise InputError("the answers have not as many starts as texts", _ANSWERS_HINT)
        pairs = list(zip(texts, starts, strict=True))
    elif isinstance(value, list):
        pairs = [
            (item.get("text"), item.get("answer_start")) if isinstance(item, dict) else (item, None)
            for item in value
        ]
    else:
        raise InputError("the answers are neither a list nor a pair of lists", _ANSWERS_HINT)
    for text, start in pairs:
        if not isinstance(text, str):
            raise InputError("an answer has no text", _ANSWERS_HINT)
        if start is not None and (not isinstance(start, int) or start < 0):
            raise InputError(f"an answer_start is {start!r}", _ANSWERS_HINT)
    return pairs
