"""Cells of CSV files that people open in a spreadsheet."""

from __future__ import annotations

import re

# What starts a formula, also in full width, and also after white space, which some cut away.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")


def inert(text: str) -> str:
    """A text that no spreadsheet runs: what would be a formula begins with an apostrophe."""
    return "'" + text if _FORMULA.match(text) else text
