"""The plain record of an experiment's page. Scores and differences are in points of 100."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from polymux.report.table import Section

Role = Literal["untouched", "random", "baseline", "rival", "reference"]


class Bar(TypedDict):
    """One strategy's mean difference from what it is compared with."""

    name: str
    value: float
    low: float | None
    high: float | None
    won: str
    """In how many cells."""


class Forest(TypedDict):
    """Differences of all strategies from one."""

    key: str
    title: str
    against: str
    bars: Sequence[Bar]


class Line(TypedDict):
    """A learning curve: labels, score, and the spread over seeds where there is one."""

    name: str
    role: Role
    points: Sequence[tuple[int, float, float | None]]


class Panel(TypedDict):
    """The learning curves of one target."""

    key: str
    title: str
    metric: str
    lines: Sequence[Line]


class Stack(TypedDict):
    """What was chosen by language: a row a strategy."""

    key: str
    title: str
    rows: Mapping[str, Mapping[str, float]]


class Plane(TypedDict):
    """Where one strategy's choice lies, among the pool and beside the target."""

    key: str
    title: str
    strategy: str
    pool: Sequence[Sequence[float]]
    target: Sequence[Sequence[float]]
    chosen: Sequence[Sequence[float]]


class Record(TypedDict):
    """Everything an experiment's page says and draws."""

    title: str
    polymux: str
    lead: Sequence[str]
    rivals: Sequence[str]
    """The strategies that have a colour each."""
    forests: Sequence[Forest]
    panels: Sequence[Panel]
    stacks: Sequence[Stack]
    planes: Sequence[Plane]
    sections: Sequence[Section]
