"""doccano: the JSON lines that it reads, and the zip of JSON lines that it exports.

Words are spans ("Sequence labeling"), classes are labels ("Text classification"). Of a pair the
person reads both texts with a rule of dashes on a line between them, longer than any run of dashes
in the two. There is no type of project for questions with answers in a context.

Offsets are UTF-16 units (doccano/doccano#2290): "Count grapheme clusters as one character" has to
be off, as it is unless chosen. Export with "Export only approved documents": without it, what
nobody has looked at comes along, and looks as if its suggestions had been agreed with.
"""

from __future__ import annotations

import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast

from polymux.annotation import told as tool
from polymux.annotation.batch import Answer, Batch, Item
from polymux.annotation.words import Span, labels_of, laid_out, spans_of
from polymux.errors import InputError
from polymux.records import Label

# What the zip of a member's file raises where it is cut or changed.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)
# What a project in which all share their labels is exported as.
_SHARED = "all"
_SUFFIXES = (".jsonl", ".json")
_ENCRYPTED = 0x1
_AS_IT_IS = "export JSONL from doccano, and leave it as it is"
_UNITS = "switch off that doccano counts grapheme clusters as one character, and label it again"


def dump(batch: Batch) -> bytes:
    """A line an item: its text, its label where there is one, its id, rank and language."""
    lines = (_line(item, batch) for item in batch.items)
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _line(item: Item, batch: Batch) -> dict[str, Any]:
    label: list[Any] = []
    if isinstance(item.label, str):
        label = [item.label]
    elif isinstance(item.label, tuple):
        text, places = laid_out(item)
        units = list(tool.code_points(text))
        spans = spans_of(item.label, places, tagged=batch.tagged)
        label = [[units[span.start], units[span.end], span.label] for span in spans]
    return {
        "text": tool.text_of(item) if "tokens" in item.fields else tool.pair_shown(item.fields),
        "label": label,
        "polymux_id": item.id,
        "rank": item.rank,
        # Also where it is not known: a key that only some lines have is NaN to doccano.
        "language": item.language,
    }


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """An answer a line, of a file or of all files in a zip; the name of a file tells who answered.

    doccano calls a member's file as the member, and the one of a project that shares its labels
    `all`, which is nobody.
    """
    read = partial(_read, batch=batch, issued=batch.by_id)
    if not zipfile.is_zipfile(path):
        yield from tool.answers(path, partial(read, who=_who(path.stem)))
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for name in _members(archive):
                # It reads as a path does, and is called ZIP/MEMBER.
                inside = cast("Path", zipfile.Path(archive, name))
                yield from tool.answers(inside, partial(read, who=_who(PurePosixPath(name).stem)))
    except _DAMAGE as error:
        yield InputError(f"the zip cannot be read: {error}", _AS_IT_IS, file=str(path))


def _members(archive: zipfile.ZipFile) -> list[str]:
    """The files of JSON in it, without those that a Mac hides there."""
    found = []
    for member in archive.infolist():
        name = PurePosixPath(member.filename)
        if name.suffix not in _SUFFIXES or name.name.startswith("."):
            continue
        if member.flag_bits & _ENCRYPTED:
            raise zipfile.BadZipFile(f"{name} is encrypted")
        found.append(member.filename)
    if not found:
        raise zipfile.BadZipFile("there are no JSON lines in it")
    return found


def _who(stem: str) -> str | None:
    return None if stem == _SHARED else stem


def _read(
    told: dict[str, Any],
    line: int | None,
    batch: Batch,
    issued: Mapping[str, Item],
    who: str | None,
) -> list[Answer]:
    name = told.get("polymux_id")
    if not isinstance(name, str):
        raise InputError(
            "there is no polymux_id", "import the lines into doccano as they were made"
        )
    item = issued.get(name)
    back = tool.words_in if batch.task == "token-classification" else tool.pair_in
    fields = {} if item is None else tool.texts(back(told.get("text"), item))
    label = None
    # What does not fit is told by the check, which shows both versions.
    if item is not None and fields == item.fields:
        label = _label(told.get("label"), item, batch)
    return [Answer(name, fields, "labelled", label, who, None, line)]


def _label(told: Any, item: Item, batch: Batch) -> Label:
    if not isinstance(told, list):
        raise InputError(
            f"{item.id}: there is no list of labels",
            "take a project for sequence labelling without relations, or for text classification",
        )
    if batch.task == "token-classification":
        units = tool.code_points(tool.text_of(item))
        return labels_of(item, [_span(one, units, item.id) for one in told], batch)
    if len(told) != 1 or not isinstance(told[0], str):
        raise InputError(f"{item.id}: it was given {told!a}", "choose one label")
    return told[0]


def _span(told: Any, units: Mapping[int, int], name: str) -> Span:
    if not isinstance(told, list) or [type(part) for part in told] != [int, int, str]:
        raise InputError(f"{name}: {json.dumps(told)[:80]} is no span", _AS_IT_IS)
    start, end, label = told
    if start not in units or end not in units:
        raise InputError(
            f"{name}: the span {start} to {end} ({label}) is not in the text, or cuts a character",
            _UNITS,
        )
    return Span(units[start], units[end], label)
