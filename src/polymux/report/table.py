"""What a text and a page are both made of: sections, sentences, tables and how a number looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

NONE = "–"
# JSON writes a float without a fraction as either.
Number = float | int
# Rows beside the systems'.
MAJORITY, TEACHERS = "majority tag", "teachers"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under one header, the first cell of each naming it."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: bool = False
    """Whether a page shows it on demand only."""
    worded: bool = False
    """Whether it holds sentences, not numbers."""


@dataclass(frozen=True, slots=True)
class Section:
    """One heading, what is said under it and its tables."""

    key: str
    title: str
    said: Sequence[str] = ()
    tables: Sequence[Table] = ()
    listed: Sequence[str] = ()


def point(score: Number) -> str:
    """A share as points of 100, with one decimal."""
    return NONE if math.isnan(score) else _minus(f"{100 * score:.1f}")


def spread(values: Sequence[Number], show: Callable[[float], str]) -> str:
    """The mean over seeds and, of two or more, ± their sample standard deviation."""
    if not values:
        return NONE
    mean = show(float(np.mean(values)))
    if len(values) < 2 or mean == NONE:
        return mean
    return f"{mean} ± {show(float(np.std(values, ddof=1)))}"


def signed(difference: Number) -> str:
    """A difference of shares as points of 100, with its sign."""
    return _minus(f"{100 * difference:+.1f}")


def share(part: Number) -> str:
    """With one decimal, so that only nothing is 0 %."""
    if 0 < part < 0.0005:
        return "under 0.1 %"
    return NONE if math.isnan(part) else f"{100 * part:.1f} %"


def three(value: Number) -> str:
    """With three decimals."""
    return NONE if math.isnan(value) else f"{value:.3f}"


def two(value: Number) -> str:
    """With two decimals."""
    return NONE if math.isnan(value) else f"{value:,.2f}"


def _minus(shown: str) -> str:
    return shown.replace("-", "\N{MINUS SIGN}")
