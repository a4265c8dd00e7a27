"""What tools tell, read strictly: objects of JSON, spans of a text, offsets in UTF-16 units.

Offsets are Unicode code points, an end is one after the last, unless they are said to be UTF-16.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from itertools import accumulate
from pathlib import Path
from typing import Any

from polymux.annotation.batch import Answer, Batch, Item
from polymux.annotation.words import Span, labels_of, laid_out
from polymux.errors import InputError
from polymux.readers.source import Source
from polymux.records import Label

Fields = Mapping[str, str | tuple[str, ...]]
Read = Callable[[dict[str, Any], int | None], Iterable[Answer | InputError]]
_BOM = b"\xef\xbb\xbf"
_OTHER = "give the tool's export as it is, and its format: --from csv, xlsx, conll, ..."
_ASTRAL = 0x10000
_DASHES = re.compile("—+")
_SHORTEST_RULE = 8


def answers(path: Path, read: Read) -> Iterator[Answer | InputError]:
    """What `read` finds in each object of JSON lines or of one JSON array, and its line.

    Raises:
        InputError: nothing in the file is JSON.
    """
    return answers_in(_some(_objects(path), path), read, str(path))


def _some(
    objects: Iterable[tuple[int | None, Any]], path: Path
) -> Iterator[tuple[int | None, Any]]:
    """The objects, unless there are none: an error a line would hide that it is another file."""
    bad: list[tuple[int | None, Any]] = []
    found = False
    for line, one in objects:
        if not found and isinstance(one, InputError):
            bad.append((line, one))
            continue
        if not found:
            yield from bad
        found = True
        yield line, one
    if bad and not found:
        line, error = bad[0]
        what = f"nothing in it is JSON; line {line or 1}: {error.what}"
        raise InputError(what, _OTHER, file=str(path))


def answers_in(
    objects: Iterable[tuple[int | None, Any]], read: Read, file: str
) -> Iterator[Answer | InputError]:
    """What `read` finds in each object.

    An error that is raised ends its object, one that is handed over does not; both get their place.
    """
    for line, told in objects:
        try:
            if isinstance(told, InputError):
                raise told
            if not isinstance(told, dict):
                raise InputError("this is no JSON object", "give the tool's export as it is")
            for one in read(told, line):
                yield _placed(one, file, line) if isinstance(one, InputError) else one
        except InputError as error:
            yield _placed(error, file, line)


def source_of(path: Path) -> Source:
    """A file that came back, as the readers of pools read one."""

    def opener(place: str) -> BufferedReader:
        return Path(place).open("rb")

    return Source(str(path), path.name, str(path), opener)


def _placed(error: InputError, file: str, line: int | None) -> InputError:
    return InputError(error.what, error.hint, file=file, line=line)


def _objects(path: Path) -> Iterator[tuple[int | None, Any]]:
    """Values with their lines, which an array has not; an error for what is no JSON."""
    data = path.read_bytes().removeprefix(_BOM)
    array = data.lstrip().startswith(b"[")
    parts: Iterable[tuple[int | None, bytes]] = (
        [(None, data)] if array else enumerate(data.split(b"\n"), start=1)
    )
    for line, part in parts:
        if not part.strip():
            continue
        try:
            value = json.loads(part.decode())
        except (ValueError, RecursionError) as error:
            yield line, InputError(f"no JSON: {error}", "give the tool's export as it is")
            continue
        yield from ((None, one) for one in value) if array else [(line, value)]


def text_of(item: Item) -> str:
    """The text that spans count in: the sentence of the words, or the context of a question."""
    return laid_out(item)[0] if "tokens" in item.fields else str(item.fields["context"])


def words_in(text: Any, item: Item) -> Fields:
    """The words where their sentence came back as it was, else what came in their place."""
    return item.fields if text == text_of(item) else {"tokens": text}


def pair_shown(fields: Fields) -> str:
    """What a person reads of a text, or of a pair: a rule longer than any in it parts them."""
    text, pair = str(fields["text"]), fields.get("text_pair")
    if pair is None:
        return text
    longest = max(map(len, _DASHES.findall(f"{text}\n{pair}")), default=0)
    return f"{text}\n{'—' * max(_SHORTEST_RULE, longest + 1)}\n{pair}"


def pair_in(text: Any, item: Item) -> Fields:
    """The pair that was shown, or the text where there is no rule on a line of its own."""
    if "text_pair" in item.fields and isinstance(text, str):
        rule = max(_DASHES.findall(text), key=len, default="")
        first, found, second = text.partition(f"\n{rule}\n")
        if rule and found:
            return {"text": first, "text_pair": second}
    return {"text": text}


def texts(given: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    """Fields as a tool told them, lists of words as tuples; what is missing is left out.

    Raises:
        InputError: one is neither a text nor words.
    """
    fields: dict[str, str | tuple[str, ...]] = {}
    for name, value in given.items():
        words = value if isinstance(value, list | tuple) else [value]
        if value is None:
            continue
        if not all(isinstance(word, str) for word in words):
            raise InputError(f"{name} is no text", "give the tool's export as it is")
        fields[name] = value if isinstance(value, str) else tuple(words)
    return fields


def spans(value: Any, text: str, name: str, unit: str = "code points") -> list[Span]:
    """Spans of the item `name` from objects with start, end and label, which count in `unit`.

    Raises:
        InputError: it is no such list, or a span tells another text than stands there.
    """
    if not isinstance(value, list):
        raise InputError(f"{name}: the spans are no list", "give the tool's export as it is")
    found = []
    for one in value:
        if not isinstance(one, dict) or not _is_span(one):
            shown = json.dumps(one, ensure_ascii=True)[:80]
            raise InputError(f"{name}: {shown} is no span", "it has a start, an end and a label")
        span = Span(*in_points(text, one["start"], one["end"], unit), one["label"])
        there = text[span.start : span.end]
        if one.get("text", there) != there:
            raise InputError(
                f"{name}: the span {span.start} to {span.end} ({span.label}) tells "
                f"{one['text']!a}, but {there!a} stands there",
                "look whether the tool counts something else than characters",
            )
        found.append(span)
    return found


def _is_span(one: dict[str, Any]) -> bool:
    numbers = all(type(one.get(name)) is int for name in ("start", "end"))
    return numbers and isinstance(one.get("label"), str)


def label_of(item: Item, found: Sequence[Span], batch: Batch) -> Label:
    """The labels of the words of a sentence, or the answers that are marked in a context.

    Raises:
        InputError: a span does not fit the words, lies outside the context or marks white space.
    """
    if batch.task == "token-classification":
        return labels_of(item, found, batch)
    context = text_of(item)
    texts, starts = [], []
    for span in found:
        marked = context[span.start : span.end]
        if not 0 <= span.start < span.end <= len(context) or not marked.strip():
            raise InputError(
                f"{item.id}: the span {span.start} to {span.end} marks nothing in the context of "
                f"{len(context)} characters",
                "look whether the tool counts something else than characters",
            )
        texts.append(marked.strip())
        starts.append(span.start + len(marked) - len(marked.lstrip()))
    return {"text": texts, "answer_start": starts}


def in_points(text: str, start: int, end: int, unit: str) -> tuple[int, int]:
    """A start and an end in code points; -1 for what is between two of them."""
    if unit == "code points":
        return start, end
    points = code_points(text)
    return points.get(start, -1), points.get(end, -1)


def code_points(text: str) -> dict[int, int]:
    """Where each code point begins, and the text ends, in UTF-16 units: units to code points."""
    widths = (2 if ord(character) >= _ASTRAL else 1 for character in text)
    return {unit: point for point, unit in enumerate(accumulate(widths, initial=0))}
