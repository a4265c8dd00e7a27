"""CoNLL columns: a word and its tag a line, sentences between empty lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from polymux.errors import InputError
from polymux.readers import schemes
from polymux.readers.blocks import Block, Row, blocks, comments
from polymux.readers.fields import Record
from polymux.readers.source import Source

_DOCUMENT = "-DOCSTART-"
# Lines that are looked at before the first sentence is read: enough to tell IOB1 from BIO.
_LOOK = 4_000
_HINT = "a line is a word and its tag, the same number of columns everywhere; an empty line ends "
_HINT += "a sentence"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file lays out its columns, found from its first lines."""

    tabs: bool
    """Only tabs separate; otherwise runs of spaces and tabs do."""
    width: int
    token: int
    tag: int | None
    counted: bool
    """The first column counts the words of a sentence from 1 (xSID)."""
    scheme: str | None


def columns(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record a sentence: words, tags where there is a second column, `# key = value` comments."""
    layout = look(source, fields)
    if layout is None:
        yield from (item for item in source.lines() if isinstance(item, InputError))
        return
    source.tell(f"tag scheme: {layout.scheme or 'none'}" if layout.tag is not None else "no tags")
    names = fields.get("tokens", "tokens"), fields.get("labels", "labels")
    for block in blocks(source, partial(is_comment, layout)):
        if isinstance(block, InputError):
            yield block
            continue
        if block.rows[0][1].startswith(_DOCUMENT):
            block = Block(block.comments, block.rows[1:])
        if block.rows:
            record = _sentence(source, block, layout, names)
            if task == "text-classification" and isinstance(record, Record):
                record.values.setdefault("text", " ".join(record.values[names[0]]))
            yield record


def cells(text: str, *, tabs: bool) -> list[str]:
    """The columns of a line; a space inside a column survives where tabs separate."""
    return text.split("\t") if tabs else re.split("[ \t]+", text.strip(" \t"))


def is_comment(layout: Layout, text: str, words: int) -> bool:
    """Whether a line with so many words of its sentence before it is a comment, not a word."""
    if words or not text.startswith("#"):
        return False
    if layout.counted:
        return True
    parts = cells(text, tabs=layout.tabs)
    if layout.tabs or len(parts) != layout.width:
        return len(parts) != layout.width if layout.width > 1 else text.startswith("# ")
    if layout.width == 1:
        return False
    return layout.scheme is not None and schemes.tag(parts[-1]) is None


def look(source: Source, fields: Mapping[str, str]) -> Layout | None:
    """The layout of a file; None where it has no line of columns."""
    lines = [item for item in islice(source.lines(), _LOOK) if not isinstance(item, InputError)]
    rows = [
        (number, text)
        for number, text in lines
        if text.strip(" ") and text[:2] != "# " and not text.startswith(_DOCUMENT)
    ]
    if not rows:
        return None
    tabs = 2 * sum("\t" in text for _, text in rows) > len(rows)
    split = {number: cells(text, tabs=tabs) for number, text in rows}
    width = Counter(len(parts) for parts in split.values()).most_common(1)[0][0]
    sentences = _grouped(lines, split, width)
    counted = _counted(sentences, width)
    token = _column(source, fields, "tokens", width)
    token = int(counted) if token is None else token
    tag = _column(source, fields, "labels", width)
    if tag is None and width - 1 > token:
        tag = width - 1
    scheme = None
    if tag is not None:
        tags = [[parts[tag] for parts in sentence] for sentence in sentences]
        _one_word_a_line(source, rows[0], tags)
        scheme = schemes.detect(tags)
    return Layout(tabs, width, token, tag, counted, scheme)


def _grouped(
    lines: Sequence[Row], split: Mapping[int, list[str]], width: int
) -> list[list[list[str]]]:
    """Sentences of the lines looked at, without those that do not fit; the last may be cut."""
    sentences: list[list[list[str]]] = [[]]
    for number, _ in lines:
        if number not in split:
            sentences.append([])
        elif len(split[number]) == width:
            sentences[-1].append(split[number])
    return [sentence for sentence in sentences if sentence]


def _counted(sentences: Sequence[Sequence[Sequence[str]]], width: int) -> bool:
    """Whether the first column counts from 1, in more sentences than not."""
    if width < 2 or (width == 2 and max(len(sentence) for sentence in sentences) < 2):
        return False
    counting = sum(
        all(parts[0] == str(position) for position, parts in enumerate(sentence, 1))
        for sentence in sentences
    )
    return 2 * counting > len(sentences)


def _column(source: Source, fields: Mapping[str, str], field: str, width: int) -> int | None:
    """The column that `--field tokens=2` names, from 0."""
    if field not in fields:
        return None
    name = fields[field]
    if name.isdecimal() and 1 <= int(name) <= width:
        return int(name) - 1
    raise source.bad(
        f"there is no column {name!r}; columns have no names here, only numbers from 1 to {width}",
        f"say which it is: --field {field}=NUMBER",
    )


def _one_word_a_line(source: Source, row: Row, tags: Sequence[Sequence[str]]) -> None:
    """Refuse files that keep a sentence, with all its tags, on one line (ATIS)."""
    several = sum(" " in text for sentence in tags for text in sentence)
    if 2 * several > sum(len(sentence) for sentence in tags):
        raise source.bad(
            "a whole sentence on one line, with its tags at the end",
            "write one word and its tag a line, and an empty line between sentences",
            *row,
        )


def _sentence(
    source: Source, block: Block, layout: Layout, names: tuple[str, str]
) -> Record | InputError:
    words, tags = [], []
    for position, (number, text) in enumerate(block.rows, 1):
        parts = cells(text, tabs=layout.tabs)
        if len(parts) != layout.width:
            what = f"{len(parts)} columns where the others have {layout.width}"
            return source.bad(what, _HINT, number, text)
        if layout.counted and parts[0] != str(position):
            what = f"word {parts[0]!r} where {position} should be"
            return source.bad(what, _HINT, number, text)
        if not parts[layout.token]:
            return source.bad("the word is empty", "take the line out", number, text)
        words.append(parts[layout.token])
        if layout.tag is not None:
            tags.append(parts[layout.tag])
    values: dict[str, Any] = {**comments(block), names[0]: words, names[1]: None}
    if any(tags):
        values[names[1]] = tags
        wrong = (tags.index(""), "the tag is empty") if "" in tags else None
        if layout.scheme is not None:
            wrong = wrong or schemes.impossible(layout.scheme, tags)
        if wrong is not None:
            row = block.rows[wrong[0]]
            return source.bad(wrong[1], "mend the tag, or leave the sentence out", *row)
    return Record(block.line, values)
