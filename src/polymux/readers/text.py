"""Plain text: an example a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from polymux.errors import InputError
from polymux.readers.fields import Record
from polymux.readers.source import Source


def text(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record a line; lines of white space alone separate nothing and are passed over."""
    for item in source.lines():
        if isinstance(item, InputError):
            yield item
            continue
        number, line = item
        if "\r" in line:
            yield source.bad(
                "a carriage return inside the line",
                "only line feeds end a line: tr '\\r' '\\n' < OLD > NEW",
                number,
                line.replace("\r", "\\r"),
            )
        elif line and not line.isspace():
            yield Record(number, {"text": line})
