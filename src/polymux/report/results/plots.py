"""The figures of an experiment: who is better, learning curves, languages chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from polymux.report import words
from polymux.report.results.record import Bar, Forest, Line, Panel, Plane, Record, Role, Stack
from polymux.report.svg import FAINT, INK, MUTED, drawn, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 450
_ROW = 30
_LOOKS = 7
_REST = series(_LOOKS)
_MARKERS = "os^DvPX"
_GLYPHS = "●■▲◆▼✚✖"
# By role: colour, dashes, sign in the legend. A rival has a colour of its own.
_ROLES: Mapping[Role, tuple[str, str, str]] = {
    "untouched": (INK, ":", "┄"),
    "random": (INK, "-", "━"),
    "baseline": (MUTED, "--", "╌"),
    "reference": (MUTED, "-.", "╍"),
}
# More bands than these would hide the curves.
_BANDED = ("random", "rival")
_NAME, _TITLE, _CAPTION = 24, 70, 200


@dataclass(frozen=True, slots=True)
class Figure:
    """One drawing, with what it shows in words."""

    key: str
    caption: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Look:
    """How one strategy is drawn in every learning curve."""

    name: str
    colour: str
    glyph: str


def figures(record: Record) -> dict[str, list[Figure]]:
    """All figures, by the part of the page that they stand in; a language keeps its colour."""
    totals: dict[str, float] = {}
    for stack in record["stacks"]:
        for counts in stack["rows"].values():
            for language, count in counts.items():
                totals[language] = totals.get(language, 0.0) + count
    ranked = sorted(totals, key=lambda language: -totals[language])
    return {
        "verdict": [_forest(forest, record["rivals"]) for forest in record["forests"]],
        "curves": [_panel(panel, record["rivals"]) for panel in record["panels"]],
        "languages": [_stack(stack, ranked) for stack in record["stacks"]],
        "maps": [_plane(plane, record["rivals"]) for plane in record["planes"]],
    }


def legend(record: Record) -> list[Look]:
    """The look of each strategy in learning curves."""
    lines = {line["name"]: line["role"] for panel in record["panels"] for line in panel["lines"]}
    return [_look(name, role, record["rivals"]) for name, role in lines.items()]


def _look(name: str, role: Role, rivals: Sequence[str]) -> Look:
    if role == "rival":
        place = rivals.index(name) % _LOOKS
        return Look(name, f"s{place}", _GLYPHS[place])
    return Look(name, "ink" if _ROLES[role][0] == INK else "muted", _ROLES[role][2])


def _forest(forest: Forest, rivals: Sequence[str]) -> Figure:
    """A row a strategy: a dot at its mean gain, a line over its interval, both in figures."""
    bars = forest["bars"]
    left, right = _reach(bars)

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=1.2)
        for row, bar in enumerate(bars):
            _bar(axes, row, bar, rivals, left)
        axes.set_yticks(range(len(bars)), [words.cut(bar["name"], _NAME) for bar in bars])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(left, right)
        axes.grid(visible=False, axis="y")
        axes.grid(axis="x", color=FAINT, linewidth=0.8)
        axes.set_xlabel(f"points over {words.cut(forest['against'], _NAME)}")

    caption = words.cut(
        f"{forest['title']}: mean gain over {forest['against']}, 95 % interval, cells won; right "
        "of the line is better",
        _CAPTION,
    )
    size = (_WIDTH, _ROW * len(bars) + 60)
    return Figure(forest["key"], caption, drawn(forest["key"], caption, size, draw))


def _reach(bars: Sequence[Bar]) -> tuple[float, float]:
    """Where the axis ends: the untouched model, often far below, does not stretch it."""
    near = [bar for bar in bars if bar["name"] != "untouched" or bar["value"] > 0] or bars
    ends = [end for bar in near for end in (bar["low"], bar["value"], bar["high"])]
    told = [0.0, *(end for end in ends if end is not None)]
    room = 0.08 * max(max(told) - min(told), 1.0)
    return min(told) - room, max(told) + room


def _bar(axes: Axes, row: int, bar: Bar, rivals: Sequence[str], left: float) -> None:
    colour, marker = MUTED, "o"
    if bar["name"] in rivals:
        place = rivals.index(bar["name"]) % _LOOKS
        colour, marker = series(place), _MARKERS[place]
    if bar["low"] is not None and bar["high"] is not None:
        axes.plot([bar["low"], bar["high"]], [row, row], color=colour, linewidth=3, alpha=0.5)
    if bar["value"] < left:
        # Beyond the axis: an arrow at its end, the number beside it as ever.
        axes.plot([left], [row], "<", color=colour, markersize=7, clip_on=False)
    else:
        axes.plot([bar["value"]], [row], marker, color=colour, markersize=7)
    shown = f"{bar['value']:+.1f}".replace("-", "\N{MINUS SIGN}")
    _beside(axes, row, 38, shown, INK)
    _beside(axes, row, 78, bar["won"], MUTED)


def _beside(axes: Axes, row: int, right: int, text: str, colour: str) -> None:
    """A text that ends so many points right of the axes."""
    axes.annotate(
        text,
        (1, row),
        xytext=(right, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        va="center",
        color=colour,
    )


def _panel(panel: Panel, rivals: Sequence[str]) -> Figure:
    """Curves over the logarithm of the labels, with a band of one standard deviation each way."""
    budgets = sorted({x for line in panel["lines"] for x, _, _ in line["points"]})

    def draw(axes: Axes) -> None:
        axes.set_xscale("log")
        for line in panel["lines"]:
            _curve(axes, line, rivals)
        axes.minorticks_off()
        axes.set_xticks(budgets, [f"{x:,}" for x in budgets])
        axes.set_xlabel("labels")
        axes.set_ylabel(f"{words.cut(panel['metric'], _NAME)}, points")

    caption = words.cut(panel["title"], _TITLE)
    return Figure(panel["key"], caption, drawn(panel["key"], caption, (_WIDTH, 270), draw))


def _curve(axes: Axes, line: Line, rivals: Sequence[str]) -> None:
    xs, ys, spreads = (list(side) for side in zip(*line["points"], strict=True))
    if line["role"] == "rival":
        place = rivals.index(line["name"]) % _LOOKS
        axes.plot(xs, ys, _MARKERS[place], ls="-", color=series(place), markersize=5, linewidth=2)
        colour = series(place)
    else:
        colour, dashes, _ = _ROLES[line["role"]]
        axes.plot(xs, ys, color=colour, ls=dashes, linewidth=1.6)
    if line["role"] in _BANDED and all(spread is not None for spread in spreads):
        middle, half = np.array(ys), np.array(spreads, dtype=np.float64)
        axes.fill_between(xs, middle - half, middle + half, color=colour, alpha=0.13, linewidth=0)


def _stack(stack: Stack, ranked: Sequence[str]) -> Figure:
    """Shares of languages in each choice; the rarest of the whole page stand together."""
    shown = ranked if len(ranked) <= _LOOKS + 1 else ranked[:_LOOKS]

    def draw(axes: Axes) -> None:
        for row, counts in enumerate(stack["rows"].values()):
            _segments(axes, row, counts, shown)
        names = [words.cut(name, _NAME) for name in stack["rows"]]
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.grid(visible=False)
        axes.set_xlabel("% of the labels")

    caption = words.cut(stack["title"], _TITLE)
    size = (_WIDTH, _ROW * len(stack["rows"]) + 60)
    return Figure(stack["key"], caption, drawn(stack["key"], caption, size, draw))


def _segments(axes: Axes, row: int, counts: Mapping[str, float], shown: Sequence[str]) -> None:
    whole = sum(counts.values()) or 1.0
    parts = [(language, counts.get(language, 0.0)) for language in shown]
    rest = sum(count for language, count in counts.items() if language not in shown)
    left = 0.0
    for place, (language, count) in enumerate([*parts, ("others", rest)]):
        share = 100 * count / whole
        if not share:
            continue
        colour = series(place) if place < _LOOKS else _REST
        axes.barh([row], [share], 0.72, left, color=colour, alpha=0.45, linewidth=0)
        # A name is written where it has room.
        name = words.cut(language, 8)
        if share > 2.2 * len(name) + 2:
            axes.text(left + share / 2, row, name, ha="center", va="center", color=INK)
        left += share


def _plane(plane: Plane, rivals: Sequence[str]) -> Figure:
    """The pool in grey, the target in black, the choice in the strategy's colour, on one scale."""
    name = plane["strategy"]
    # What is no rival has a colour of none of them, as long as there are colours.
    colour = series((rivals.index(name) if name in rivals else len(rivals)) % _LOOKS)

    def draw(axes: Axes) -> None:
        _dots(axes, plane["pool"], MUTED, 2.5, 0.4)
        _dots(axes, plane["target"], INK, 3.5, 0.55)
        _dots(axes, plane["chosen"], colour, 6.0, 0.8)
        axes.set_aspect("equal", "datalim")
        axes.autoscale_view()
        axes.grid(visible=False)
        axes.set_xticks([])
        axes.set_yticks([])

    caption = words.cut(plane["title"], _TITLE)
    return Figure(plane["key"], caption, drawn(plane["key"], caption, (_WIDTH, 260), draw))


def _dots(
    axes: Axes, places: Sequence[Sequence[float]], colour: str, wide: float, alpha: float
) -> None:
    """Points as one path of strokes without length: a tenth of what a marker each takes."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if not places:
        return
    ends = np.repeat(np.array(places, dtype=np.float64), 2, axis=0)
    path = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(places)))
    path.should_simplify = False
    look = {"color": colour, "linewidth": wide, "alpha": alpha, "capstyle": "round"}
    axes.add_patch(PathPatch(path, fill=False, **look))
