"""Lines to sentences: what lies between empty lines, with its comments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from polymux.errors import InputError
from polymux.readers.source import Source

Row = tuple[int, str]

# PADT writes `# sent_id s-p1`, without a sign between.
_BARE = ("sent_id", "text", "newdoc", "newpar")


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one sentence."""

    comments: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def line(self) -> int:
        """The number of its first line."""
        return (self.comments or self.rows)[0][0]


def blocks(source: Source, is_comment: Callable[[str, int], bool]) -> Iterator[Block | InputError]:
    """Sentences; `is_comment` is asked with a line and the number of words before it.

    A line that cannot be decoded makes its whole sentence unusable: the error comes in its place.
    """
    block, broken = Block(), None
    for item in source.lines():
        if isinstance(item, InputError):
            broken = broken or item
            continue
        text = item[1]
        if text and not text.isspace():
            rows = block.comments if is_comment(text, len(block.rows)) else block.rows
            rows.append(item)
        elif "\t" in text:
            block.rows.append(item)  # a word that is white space, not the end of a sentence
        else:
            if broken or block.rows:
                yield broken or block
            block, broken = Block(), None
    if broken or block.rows:
        yield broken or block


def comments(block: Block) -> dict[str, Any]:
    """`# key = value` and `# key: value` by key; other comments as a list under `comments`."""
    found: dict[str, Any] = {}
    others = []
    for _, text in block.comments:
        key, value = _pair(text[1:].strip())
        if key:
            found[key] = value
        else:
            others.append(text)
    if others:
        found["comments"] = others
    return found


def _pair(text: str) -> tuple[str, str]:
    """Key and value of a comment; no key where it has none."""
    # A pattern with white space around what is lazy takes a time cubic in a run of spaces.
    first, rest = (*text.split(maxsplit=1), "", "")[:2]
    if first in _BARE and not rest.startswith(("=", ":")):
        return first, rest
    key, *value = re.split("[=:]", text, maxsplit=1)
    return (key.strip(), value[0].strip()) if value else ("", "")
