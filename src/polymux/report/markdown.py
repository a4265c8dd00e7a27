"""Tables and texts as Markdown that shows them as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from polymux.report import words
from polymux.report.table import Table

_LONGEST = 1000
# What Markdown, GitHub's tables or its mathematics would read as more than itself.
_MARKS = re.compile(r"[\\`*_\[\]#|~$]")
_LIST = re.compile(r"^(\d*)([-+=.)])(?=\s|$|[-=])")


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
