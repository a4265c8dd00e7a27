"""JSON: a record a line, an array of records, and SQuAD's nested documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from polymux.errors import InputError
from polymux.readers.fields import Record
from polymux.readers.source import Source

_SPACE = re.compile(r"[ \t\r\n]*")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def jsonl(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record a line, each a JSON object; empty lines are passed over."""
    for item in source.lines():
        if isinstance(item, InputError):
            yield item
            continue
        number, text = item
        if not text or text.isspace():
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield source.bad(
                f"not JSON, {_reason(error)}", "a line is one JSON object", number, text
            )
            continue
        yield _record(source, number, value, text)


def array(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record an element of one JSON array."""
    text = whole(source)
    if isinstance(text, InputError):
        yield text
        return
    decoder = json.JSONDecoder()
    position, line, seen = _skip(text, 0), 1, 0
    if text[position : position + 1] != "[":
        if position < len(text):
            yield source.bad(
                "neither an array of examples nor SQuAD's {'data': [{'paragraphs': ...}]}",
                "write [{...}, {...}] or a JSON object a line (as jsonl:PATH)",
                1 + text.count("\n", 0, position),
                text[position : position + 100].partition("\n")[0],
            )
        return
    position = _skip(text, position + 1)
    while text[position : position + 1] != "]":
        line, seen = line + text.count("\n", seen, position), position
        try:
            value, end = decoder.raw_decode(text, position)
            yield _record(source, line, value, text[position:end])
            position = _skip(text, end)
            if text[position : position + 1] == ",":
                position = _skip(text, position + 1)
            elif text[position : position + 1] != "]":
                raise json.JSONDecodeError("expecting a comma or the end", text, position)
        except (ValueError, RecursionError) as error:
            yield _broken(source, text, position, error)
            return
    end = _skip(text, position + 1)
    if end < len(text):
        yield _broken(source, text, end, ValueError("there is more after the end of the array"))


def squad(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record a question of SQuAD v1, SQuAD v2 or TyDiQA-GoldP."""
    text = whole(source)
    if isinstance(text, InputError):
        yield text
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield _broken(source, text, 0, error)
        return
    place = _Place(text)
    for article in _list(source, document, "data", place.line):
        if isinstance(article, InputError):
            yield article
            continue
        for paragraph in _list(source, article, "paragraphs", place.line):
            if isinstance(paragraph, InputError):
                yield paragraph
                continue
            for question in _list(source, paragraph, "qas", place.line):
                if isinstance(question, InputError):
                    yield question
                    continue
                line = place.find(question.get("question"))
                yield _question(source, line, article, paragraph, question)


def whole(source: Source) -> str | InputError:
    """The text of a document, which is read at once; or why it cannot be."""
    parts = []
    for item in source.lines(keep_ends=True):
        if isinstance(item, InputError):
            return item
        parts.append(item[1])
    text = "".join(parts)
    source.tell("characters of JSON documents, each read at once: {count}", len(text))
    return text


def _question(
    source: Source,
    line: int,
    article: dict[str, Any],
    paragraph: dict[str, Any],
    question: dict[str, Any],
) -> Record | InputError:
    values = {name: value for name, value in article.items() if name != "paragraphs"}
    values |= {name: value for name, value in paragraph.items() if name != "qas"}
    values |= question
    if question.get("is_impossible") is True:
        values["answers"] = []
    return _checked(source, line, values, str(question.get("question")))


def _list(
    source: Source, holder: Any, name: str, line: int
) -> Iterator[dict[str, Any] | InputError]:
    """The objects of a list in a SQuAD document."""
    values = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(values, list):
        yield source.bad(
            f"not SQuAD: {name!r} is no list",
            "it must be {'data': [{'paragraphs': [{'context': ..., 'qas': [{'question': ...}]}]}]}",
            line,
        )
        return
    for value in values:
        if isinstance(value, dict):
            yield value
        else:
            yield source.bad(
                f"not SQuAD: {name!r} holds something that is no object", "take it out", line
            )


class _Place:
    """Lines of questions in the text of a document: the parser does not tell them."""

    def __init__(self, text: str) -> None:
        self.line = 1
        self._text = text if "\n" in text.strip() else ""
        self._position = 0

    def find(self, question: Any) -> int:
        """The line where the next question of this text stands."""
        if self._text:
            found = [
                self._text.find(json.dumps(question, ensure_ascii=ascii_only), self._position)
                for ascii_only in (False, True)
            ]
            position = max(found)
            if position >= 0:
                self.line += self._text.count("\n", self._position, position)
                self._position = position + 1
        return self.line


def _record(source: Source, line: int, value: Any, text: str) -> Record | InputError:
    if not isinstance(value, dict):
        return source.bad(
            "not a JSON object", "an example is {...}; an array is read as json:PATH", line, text
        )
    if _ESCAPED_SURROGATE.search(text):
        return _checked(source, line, value, text)
    return Record(line, value)


def _checked(source: Source, line: int, values: dict[str, Any], text: str) -> Record | InputError:
    """The record, unless a string in it holds half a surrogate pair: it could not be written."""
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return source.bad(
            "half a surrogate pair, which is no character",
            "write the character itself, or both halves",
            line,
            ascii(text),
        )
    return Record(line, values)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()


def _broken(source: Source, text: str, position: int, error: Exception) -> InputError:
    position = error.pos if isinstance(error, json.JSONDecodeError) else position
    line = 1 + text.count("\n", 0, position)
    near = text[max(0, position - 40) : position + 40].replace("\n", " ")
    return source.bad(f"not JSON, {_reason(error)}", "mend the file there", line, near)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (column {error.colno})"
    return str(error)
