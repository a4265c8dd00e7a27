"""Which column of a record is which field of an example: as told, or by the usual names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from polymux.errors import InputError, UsageError
from polymux.records import FIELDS, LABEL_FIELD

# The names under which corpora keep each field, the first that is there wins.
USUAL: dict[str, tuple[str, ...]] = {
    "tokens": ("tokens", "words", "FORM"),
    "text": ("text", "sentence", "sentence1", "premise"),
    "text_pair": ("text_pair", "sentence2", "hypothesis"),
    "question": ("question",),
    "context": ("context", "passage"),
    "labels": ("labels", "tags", "ner_tags", "pos_tags", "upos", "UPOS"),
    "label": ("label", "category", "intent"),
    "answers": ("answers", "answer"),
    "language": ("language", "lang"),
    "id": ("id", "sent_id"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Which column of a record is which field."""

    columns: Mapping[str, str]
    used: frozenset[str]
    split: bool
    """The words of a token task are to be made from the text."""


def check(task: str, fields: Mapping[str, str]) -> None:
    """Refuse a `--field NAME=COLUMN` whose NAME is no field of the task."""
    names = _names(task)
    if task == "token-classification":
        names.insert(1, "text")
    for name in fields:
        if name not in names:
            near = get_close_matches(name, names, 1, 0.4)
            raise UsageError(
                f"{name!r} is no field of {task}",
                (f"did you mean --field {near[0]}={fields[name]}? " if near else "")
                + f"the fields are: {', '.join(names)}",
            )


def plan(names: Sequence[str], task: str, fields: Mapping[str, str]) -> Plan:
    """Which of these columns is which field of a task: as told, or by the usual names."""
    columns: dict[str, str] = {}
    for field in _names(task):
        if field in fields:
            if field == "language" and not _near(names, fields[field]):
                continue  # a target has none, as a rule, where its source has
            if fields[field] not in names:
                raise _missing(field, names, f"there is no field {fields[field]!r}", fields[field])
            columns[field] = fields[field]
        else:
            found = next((name for name in USUAL[field] if name in names), None)
            if found is not None:
                columns[field] = found
    split = task == "token-classification" and _split_text(names, fields, columns)
    for field in FIELDS[task]:
        if not field.endswith("?") and field not in columns and not split:
            raise _missing(field, names, f"there is no field for {field!r}", *USUAL[field])
    used = frozenset(column for field, column in columns.items() if field != "text" or not split)
    return Plan(columns, used, split)


def _split_text(names: Sequence[str], fields: Mapping[str, str], columns: dict[str, str]) -> bool:
    """Whether words must be made from a text; then `columns` says which."""
    if "text" in fields and "tokens" not in fields:
        columns.pop("tokens", None)
        if fields["text"] not in names:
            raise _missing("text", names, f"there is no field {fields['text']!r}", fields["text"])
    if "tokens" in columns:
        return False
    text = fields.get("text") or next((name for name in USUAL["text"] if name in names), None)
    if text is None:
        return False
    columns["text"] = text
    if "labels" not in fields:  # a label of the whole text says nothing of its words
        columns.pop("labels", None)
    return True


def _names(task: str) -> list[str]:
    return [field.rstrip("?") for field in FIELDS[task]] + [LABEL_FIELD[task], "language", "id"]


def _near(names: Sequence[str], *wanted: str) -> list[str]:
    return [match for name in wanted for match in get_close_matches(name, names, 1, 0.6)]


def _missing(field: str, names: Sequence[str], what: str, *wanted: str) -> InputError:
    near = _near(names, *wanted)
    listed = ", ".join(str(name)[:40] for name in names[:20])
    return InputError(
        f"{what}; the fields are: {listed or 'none'}",
        f"say which it is: --field {field}={near[0] if near else 'COLUMN'}",
    )
