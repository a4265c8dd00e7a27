"""CoNLL-U: ten tab-separated columns a word, sentences between empty lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from polymux.errors import InputError
from polymux.readers.blocks import Block, Row, blocks, comments
from polymux.readers.fields import Record
from polymux.readers.source import Source

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")

# Where `_` says that nobody filled the column in; elsewhere it may be a value.
_TAGS = ("UPOS", "XPOS")
_RANGE = re.compile(r"[0-9]+-[0-9]+")
_EMPTY_NODE = re.compile(r"[0-9]+\.[0-9]+")
_GLUED = "SpaceAfter=No"


def conllu(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record a sentence: FORM and UPOS, or the columns that `fields` names, and its comments.

    Multiword ranges and empty nodes are no words: the ranges give the surface text its spelling.
    """
    wanted = [COLUMNS.index(name) for name in _wanted(source, fields)]
    for block in blocks(source, lambda text, rows: rows == 0 and text[0] == "#"):
        yield block if isinstance(block, InputError) else _sentence(source, block, wanted)


def _wanted(source: Source, fields: Mapping[str, str]) -> list[str]:
    names = [fields.get("tokens", "FORM"), fields.get("labels", "UPOS")]
    for field, name in zip(("tokens", "labels"), names, strict=True):
        if name not in COLUMNS:
            raise source.bad(
                f"CoNLL-U has no column {name!r}",
                f"say which it is: --field {field}=COLUMN, one of {', '.join(COLUMNS)}",
            )
    return list(dict.fromkeys(names))


def _sentence(source: Source, block: Block, wanted: list[int]) -> Record | InputError:
    words: list[list[str]] = []
    ranges: dict[int, list[str]] = {}
    for number, text in block.rows:
        cells = text.split("\t")
        if len(cells) != len(COLUMNS):
            return _bad(source, (number, text), f"{len(cells)} columns instead of ten")
        index = cells[0]
        if index == str(len(words) + 1):
            if not cells[1]:
                return _bad(source, (number, text), f"word {index} is empty")
            words.append(cells)
        elif index.startswith(f"{len(words) + 1}-") and _RANGE.fullmatch(index):
            ranges[len(words)] = cells
        elif not _EMPTY_NODE.fullmatch(index):
            return _bad(source, (number, text), f"ID {index!r} where {len(words) + 1} should be")
    values: dict[str, Any] = comments(block)
    for column in wanted:
        name = COLUMNS[column]
        cells = [word[column] for word in words]
        values[name] = None if name in _TAGS and set(cells) == {"_"} else cells
    if "text" not in values:
        values["text"] = _surface(words, ranges)
    return Record(block.line, values)


def _surface(words: list[list[str]], ranges: dict[int, list[str]]) -> str:
    """The text that the words were, from multiword ranges and SpaceAfter."""
    parts = []
    position = 0
    while position < len(words):
        cells = ranges.get(position)
        if cells is None:
            cells = words[position]
            position += 1
        else:
            position = max(position + 1, int(cells[0].partition("-")[2]))
        parts.append(cells[1] if _GLUED in cells[9].split("|") else cells[1] + " ")
    return "".join(parts).removesuffix(" ")


def _bad(source: Source, row: Row, what: str) -> InputError:
    return source.bad(
        f"not CoNLL-U, {what}",
        "a word is a line of ten columns with tabs between, IDs count from 1, an empty line ends "
        "a sentence; a file with fewer columns is read as columns:PATH",
        *row,
    )
