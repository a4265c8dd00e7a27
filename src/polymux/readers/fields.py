"""Records, as a format spells them, to examples; what nobody can read is refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import regex

from polymux.errors import InputError
from polymux.readers import labels, words
from polymux.readers.plans import Plan, plan
from polymux.readers.source import Source
from polymux.records import FIELDS, LABEL_FIELD, Example, Label

# Said by the place of a file, not by a column of it.
PLACES = ("folder", "file")

_FATAL = re.compile("[\x00\ud800-\udfff]")
# Control characters and U+FFFD are kept (tokenizers drop them) and told.
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_VISIBLE = regex.compile(r"[^\p{Z}\p{Cc}\p{Default_Ignorable_Code_Point}]")


@dataclass(frozen=True, slots=True)
class Record:
    """One example as its format spells it: columns by name."""

    line: int
    values: dict[str, Any]


def examples(
    source: Source,
    records: Iterable[Record | InputError],
    task: str,
    *,
    fields: Mapping[str, str],
    language: str | None,
    split: words.Words | None,
) -> Iterator[Example | InputError]:
    """Examples of a task from the records of a file, numbered from 1; bad ones are yielded."""
    if language is not None and language not in PLACES:
        fields = {**fields, "language": language}
    place = _place(source, language)
    plans: dict[tuple[str, ...], Plan] = {}
    counts: Counter[str] = Counter()
    number = 0
    try:
        for record in _caught(records):
            number += 1
            if isinstance(record, InputError):
                yield record
                continue
            names = tuple(record.values)
            try:
                if names not in plans:
                    plans[names] = plan(names, task, fields)
                    _tell(source, plans[names], fields)
                yield _example(source, record, number, task, plans[names], place, split, counts)
            except InputError as error:
                yield source.bad(error.what, error.hint, record.line)
    finally:
        for what, count in counts.items():
            source.tell(what, count)
    if number == 0:
        yield source.bad(
            "there is no example in this file", "leave it out, or look whether it is the right one"
        )


def _caught(records: Iterable[Record | InputError]) -> Iterator[Record | InputError]:
    """The records; an error that ends their reading is the last of them."""
    try:
        yield from records
    except InputError as error:
        yield error


def _tell(source: Source, plan: Plan, fields: Mapping[str, str]) -> None:
    """Say which columns were taken where a name is not the field's own."""
    if "language" in fields and "language" not in plan.columns:
        source.tell(f"there is no field {fields['language']!r} that says the language")
    if plan.split:
        column = plan.columns["text"]
        source.tell(f"fields: words made from {column}")
    elif any(field != column for field, column in plan.columns.items()):
        pairs = (f"{field} = {column}" for field, column in plan.columns.items())
        source.tell(f"fields: {', '.join(pairs)}")


def _place(source: Source, language: str | None) -> str | None:
    """The language that the place of the file says, if it is to say one."""
    if language in PLACES and source.location.startswith("hf://"):
        name, _, split = source.key.partition(":")
        return split if language == "file" else name.rpartition("/")[2]
    if language == "folder":
        return PurePosixPath(source.location).parent.name
    if language == "file":
        return PurePosixPath(source.location).name.split(".")[0]
    return None


def _example(
    source: Source,
    record: Record,
    number: int,
    task: str,
    plan: Plan,
    place: str | None,
    split: words.Words | None,
    counts: Counter[str],
) -> Example:
    values, columns = record.values, plan.columns
    read = _READ[task]
    fields = read(values, plan, split, counts)
    for name, value in fields.items():
        _legible(name, value, counts)
    label_column = columns.get(LABEL_FIELD[task])
    label = None
    if label_column is not None:
        label = _label(task, values[label_column], fields, counts)
    return Example(
        id=f"{source.key}#{number}",
        file=source.path,
        line=record.line,
        fields=fields,
        label=label,
        language=_optional(values, columns.get("language")) if place is None else place,
        source_id=_optional(values, columns.get("id")),
        extra={name: value for name, value in values.items() if name not in plan.used},
    )


def _tokens(
    values: dict[str, Any], plan: Plan, split: words.Words | None, counts: Counter[str]
) -> dict[str, str | tuple[str, ...]]:
    if plan.split:
        return {"tokens": _split(_text("text", values[plan.columns["text"]]), split, counts)}
    value = values[plan.columns["tokens"]]
    if isinstance(value, str):
        value = labels.decoded(value)
        value = value.split() if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"the words are no list of texts: {_cut(value)}", "give a list of words")
    if not value:
        raise InputError("there is no word in this example", "leave it out")
    if "" in value:
        raise InputError(
            f"word {value.index('') + 1} is empty", "take it out, together with its label"
        )
    return {"tokens": tuple(value)}


def _split(text: str, split: words.Words | None, counts: Counter[str]) -> tuple[str, ...]:
    if split is not None:
        counts["texts split into words by the function given: {count}"] += 1
        found = tuple(split(text))
        if not found or "" in found:
            raise InputError(
                f"the function given makes no words, or empty ones, of {_cut(text)}",
                "it must return a list of words, none of them empty",
            )
        return found
    counts["texts split into words by Unicode word boundaries: {count}"] += 1
    if words.spaceless(text):
        counts[
            "warning: Unicode word boundaries cut scripts without spaces into pieces, give a "
            "function that knows better (--words FUNCTION); texts: {count}"
        ] += 1
    return tuple(words.unicode_words(text))


def _texts(
    values: dict[str, Any],
    plan: Plan,
    split: words.Words | None,
    counts: Counter[str],
    *,
    names: tuple[str, ...],
) -> dict[str, str | tuple[str, ...]]:
    fields: dict[str, str | tuple[str, ...]] = {}
    for name in names:
        field = name.rstrip("?")
        column = plan.columns.get(field)
        if column is None or (name.endswith("?") and values[column] in (None, "")):
            continue
        fields[field] = _text(field, values[column])
    return fields


_READ: dict[str, Callable[..., dict[str, str | tuple[str, ...]]]] = {
    "token-classification": _tokens,
    "text-classification": partial(_texts, names=FIELDS["text-classification"]),
    "question-answering": partial(_texts, names=FIELDS["question-answering"]),
}


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise InputError(f"{name} is no text: {_cut(value)}", "write it in quotes")


def _legible(name: str, value: str | tuple[str, ...], counts: Counter[str]) -> None:
    """Refuse what no tokenizer and no person can read; count what is odd and harmless."""
    text = value if isinstance(value, str) else " ".join(value)
    if not _VISIBLE.search(text):
        raise InputError(
            f"{name} holds nothing that can be seen: {text[:40]!a}", "leave the example out"
        )
    if not _ODD.search(text):
        return
    fatal = _FATAL.search(text)
    if fatal is None:
        counts["texts with control characters or U+FFFD, kept as they are: {count}"] += 1
    elif fatal[0] == "\x00":
        raise InputError(
            f"{name} holds a NUL byte: {text[:40]!a}",
            "take it out; a file full of them may be UTF-16 without its mark: "
            "iconv -f UTF-16LE -t UTF-8 OLD > NEW",
        )
    else:
        raise InputError(
            f"{name} holds half a surrogate pair, which is no character: {text[:40]!a}",
            "write the character itself, or both halves",
        )


def _label(
    task: str,
    value: Any,
    fields: Mapping[str, str | tuple[str, ...]],
    counts: Counter[str],
) -> Label | None:
    if task == "token-classification":
        return labels.of_words(value, len(fields["tokens"]))
    if task == "text-classification":
        return labels.of_text(value)
    return labels.of_question(value, str(fields["context"]), counts)


def _optional(values: Mapping[str, Any], column: str | None) -> str | None:
    value = None if column is None else values[column]
    return None if value is None or value == "" else str(value)


def _cut(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:80]
