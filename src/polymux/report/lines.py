"""Lines over two axes, as numbers and SVG paths; the page gives them colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from polymux.report import charts

# Half a stroke at the end of a whisker.
_END = 3.0
_HEIGHT, _LEFT, _RIGHT, _TOP = 210.0, 34.0, 348.0, 12.0

# Where it stands on both axes, and the interval of its height.
Point = tuple[float, float, float, float]


class Line(TypedDict):
    """One line."""

    name: str
    path: str
    whiskers: str
    """The intervals; empty where none is known."""
    dots: Sequence[tuple[float, float]]


class Drawing(TypedDict):
    """Lines over two axes."""

    lines: Sequence[Line]
    across: Sequence[charts.Tick]
    up: Sequence[charts.Tick]


def drawing(
    lines: Mapping[str, Sequence[Point]],
    *,
    across: tuple[float, float],
    up: tuple[float, float],
    times: float = 1.0,
) -> Drawing:
    """Lines by name between the ends of two axes; numbers upwards are told `times` as large."""
    level = _Axis(*across, _LEFT + 8, _RIGHT)
    upright = _Axis(*up, _HEIGHT, _TOP)
    return Drawing(
        lines=[_line(name, points, level, upright) for name, points in lines.items()],
        across=level.ticks(),
        up=upright.ticks(times),
    )


def room(heights: Sequence[float], low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """The ends of an axis with some air around these, between `low` and `high`."""
    least, most = min(heights), max(heights)
    air = max(0.02, 0.08 * (most - least))
    return max(low, least - air), min(high, most + air)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where numbers stand between the two ends of an axis."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """A number's place."""
        share = (value - self.low) / max(self.high - self.low, 1e-9)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, times: float = 1.0) -> list[charts.Tick]:
        """Round numbers on it."""
        values = charts.ticks(self.low, max(self.high, self.low + 1e-6), 4)
        return [
            charts.Tick(at=self.at(x), label=f"{times * x:g}".replace("-", "\N{MINUS SIGN}"))
            for x in values
        ]


def _line(name: str, points: Sequence[Point], across: _Axis, up: _Axis) -> Line:
    ordered = sorted(points)
    dots = [(across.at(x), up.at(y)) for x, y, _, _ in ordered]
    return Line(
        name=name,
        path="M" + "L".join(f"{x:g} {y:g}" for x, y in dots),
        whiskers="".join(
            _whisker(across.at(x), up.at(low), up.at(high))
            for x, _, low, high in ordered
            if low < high
        ),
        dots=dots,
    )


def _whisker(x: float, low: float, high: float) -> str:
    """An interval, with a short stroke at each end."""
    ends = "".join(f"M{x - _END:g} {y:g}h{2 * _END:g}" for y in (low, high))
    return f"M{x:g} {low:g}V{high:g}{ends}"
