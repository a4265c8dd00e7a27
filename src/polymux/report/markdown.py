"""Tables and texts as Markdown that shows them as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from polymux.report import words
from polymux.report.table import Section, Table

_LONGEST = 1000
# What Markdown, GitHub's tables or its mathematics would read as more than itself.
_MARKS = re.compile(r"[\\`*_\[\]#|~$]")
_LIST = re.compile(r"^(\d*)([-+=.)])(?=\s|$|[-=])")


def document(title: str, said: Iterable[str], sections: Iterable[Section]) -> str:
    """A whole text: what is said of all, then its sections."""
    parts = [f"# {plain(title)}", *map(paragraph, said)]
    for section in sections:
        parts += [f"## {plain(section.title)}", *map(paragraph, section.said)]
        if section.listed:
            parts.append("\n".join(f"- {paragraph(item)}" for item in section.listed))
        for one in section.tables:
            parts += [f"**{plain(one.caption)}**"] if one.caption else []
            parts.append(table(one))
    return "\n\n".join(parts) + "\n"


def table(shown: Table) -> str:
    """A table without its caption."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(map(plain, cells))} |"

    rule = ["---", *("---" if shown.worded else "--:" for _ in shown.header[1:])]
    return "\n".join([line(shown.header), f"| {' | '.join(rule)} |", *map(line, shown.rows)])


def paragraph(text: str) -> str:
    """A text that begins no list, rule or heading."""
    return _LIST.sub(r"\1\\\2", plain(text))


def plain(text: str) -> str:
    """A text on one line that Markdown shows as it is."""
    shown = " ".join(words.cut(text, _LONGEST).split())
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(lambda mark: "\\" + mark[0], shown)
