"""The geometry of the card's charts, as numbers and SVG paths; the page gives them colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
from jaxtyping import Float

# A chart is drawn for the narrowest phone, so that its lettering is never scaled down.
WIDTH = 360.0
_SIDE = 12.0
# An odd number, so that equal values stand in the middle.
_BINS = 35
_ROW = 62.0
_CURVE = 190.0
# A curve is drawn exactly up to so many target examples, by its quantiles beyond.
_STEPS = 400


class Tick(TypedDict):
    """A mark on an axis."""

    at: float
    label: str


class Row(TypedDict):
    """One group's histogram."""

    name: str
    n: int
    path: str
    base: float
    median: float
    median_at: float


class Histogram(TypedDict):
    """Histograms of several groups, one above the other, on one axis."""

    height: float
    rows: list[Row]
    ticks: list[Tick]


class Curves(TypedDict):
    """Cumulative curves of several groups on one axis."""

    height: float
    paths: dict[str, str]
    ticks: list[Tick]
    levels: list[Tick]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers inside [low, high], about so many."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [i * step for i in range(first, last + 1)]


def _range(groups: Sequence[Float[np.ndarray, "_"]]) -> tuple[float, float]:
    """A range that holds every value and is never empty."""
    filled = [g for g in groups if len(g)]
    low = min((float(g.min()) for g in filled), default=0.0)
    high = max((float(g.max()) for g in filled), default=1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        room = max(abs(low) * 0.1, 0.1)
        return low - room, high + room
    return low, high


def _axis(low: float, high: float) -> list[Tick]:
    at = ticks(low, high)
    decimals = max(0, -math.floor(math.log10(at[1] - at[0]) + 1e-9)) if len(at) > 1 else 3
    if len(at) > 1 and round(at[1] - at[0], decimals) != round(at[1] - at[0], decimals + 1):
        decimals += 1
    return [
        Tick(at=_across(x, low, high), label=f"{x + 0.0:.{decimals}f}".replace("-", "\u2212"))
        for x in at
    ]


def _across(x: float, low: float, high: float) -> float:
    return round(_SIDE + (x - low) / (high - low) * (WIDTH - 2 * _SIDE), 1)


def histogram(groups: Mapping[str, Sequence[float]]) -> Histogram:
    """Each group's shares, in bins that all share; every row is scaled to its own tallest bar."""
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in groups.items()}
    low, high = _range(list(arrays.values()))
    edges = np.linspace(low, high, _BINS + 1)
    rows = []
    for place, (name, values) in enumerate(arrays.items()):
        counts, _ = np.histogram(values, edges)
        base = (place + 1) * (_ROW + 10)
        bars = []
        for left, right, n in zip(edges[:-1], edges[1:], counts, strict=True):
            if n:
                # Something is never drawn as nothing: a bar has at least a pixel and a half.
                tall = max(1.5, _ROW * n / counts.max())
                x, end = _across(left, low, high), _across(right, low, high)
                bars.append(f"M{x:g} {base:g}v{-tall:.1f}h{end - x - 1:.1f}v{tall:.1f}z")
        median = float(np.median(values)) if len(values) else low
        row = Row(
            name=name,
            n=len(values),
            path="".join(bars),
            base=base,
            median=median,
            median_at=_across(median, low, high),
        )
        rows.append(row)
    return Histogram(height=len(rows) * (_ROW + 10) + 26, rows=rows, ticks=_axis(low, high))


def curves(groups: Mapping[str, Sequence[float]]) -> Curves:
    """For each group the share of its values that are at most x, as a step line."""
    arrays = {name: np.sort(np.asarray(v, dtype=np.float64)) for name, v in groups.items()}
    low, high = _range(list(arrays.values()))
    low = 0.0 if 0 < low < high / 3 else low
    paths = {}
    for name, values in arrays.items():
        n = min(len(values), _STEPS)
        shares = np.arange(1, n + 1) / max(n, 1)
        at = values if n == len(values) else np.quantile(values, shares)
        line = [f"M{_SIDE:g} {_CURVE:g}"]
        line += [
            f"H{_across(float(x), low, high):g}V{_up(float(y)):g}"
            for x, y in zip(at, shares, strict=True)
        ]
        paths[name] = "".join(line) + (f"H{WIDTH - _SIDE:g}" if n else "")
    levels = [Tick(at=_up(y), label=f"{100 * y:.0f} %") for y in (0.25, 0.5, 0.75, 1.0)]
    return Curves(height=_CURVE + 26, paths=paths, ticks=_axis(low, high), levels=levels)


def _up(share: float) -> float:
    return round(_CURVE - share * (_CURVE - 14), 1)
