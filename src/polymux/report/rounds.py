"""The card of a campaign: what was bought, what came of it, and what chance says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from polymux.report import charts
from polymux.report.card import _environment, _hash, _own_file

# Half a stroke at the end of a whisker.
_END = 3.0
_HEIGHT, _LEFT, _RIGHT, _TOP = 210.0, 34.0, 348.0, 12.0


class Estimate(TypedDict):
    """An estimate with its 95 % interval, in [0, 1] or a difference of such."""

    value: float
    low: float
    high: float
    n: int


class Judged(TypedDict):
    """What the control slice says of a round."""

    round: int
    labels: int
    """Random ones."""
    trained: int
    """All that there were to learn from when it was judged."""
    metric: str
    pool: Estimate
    verdict: str
    target: NotRequired[Estimate]
    gain: NotRequired[Mapping[str, float]]
    last: NotRequired[Estimate]


class Turn(TypedDict):
    """One round; 0 is the start."""

    round: int
    trained: int | None
    """Labels that its model learned from; None before it is trained."""
    issued: int
    labelled: int
    unusable: int
    waiting: int
    conflicts: int
    languages: Mapping[str, int]
    """Labelled examples by language; empty where none is told."""
    score: float | None
    """On the labelled test set."""
    seconds: float
    """What people took, as far as their tool tells."""


class Agreed(TypedDict):
    """How far annotators agree in one language."""

    items: int
    annotators: int
    alpha: float | None
    span_f1: float | None
    least: int
    """Fewer items say too little."""


class Drawn(TypedDict):
    """Labels that chance drew so far."""

    labels: int
    least: int
    """What it takes to judge by."""


class RunFacts(TypedDict):
    """All that the card says."""

    title: str
    model: str
    task: str
    strategy: str
    budget: float
    spent: float
    left: float
    overrun: str | None
    """What was spent beyond the budget, and why."""
    unit: str
    metric: str | None
    turns: Sequence[Turn]
    judged: Sequence[Judged]
    drawn: Drawn | None
    """None: nothing is drawn at random."""
    agreement: Mapping[str, Agreed]
    changes: Sequence[str]
    """What was changed on the way."""


class Line(TypedDict):
    """One learning curve."""

    name: str
    path: str
    whiskers: str
    """The intervals; empty where none is known."""
    dots: Sequence[tuple[float, float]]


class Drawing(TypedDict):
    """Learning curves over labels."""

    lines: Sequence[Line]
    across: Sequence[charts.Tick]
    up: Sequence[charts.Tick]


def rounds(facts: RunFacts) -> str:
    """One self-contained page that asks no host for anything and runs no script.

    Args:
        facts: What the card says.
    """
    style = _own_file("card.css") + _own_file("rounds.css")
    return (
        _environment()
        .get_template("rounds.html")
        .render(facts=facts, drawing=learning(facts), style=style, style_hash=_hash(style))
    )


def learning(facts: RunFacts) -> Drawing | None:
    """The curves of the card; None where nothing was scored."""
    at = {turn["round"]: float(turn["trained"] or 0) for turn in facts["turns"]}
    points: dict[str, list[tuple[float, float, float, float]]] = {}
    scored = [(at[t["round"]], t["score"]) for t in facts["turns"] if t["score"] is not None]
    if scored:
        points["test"] = [(x, y, y, y) for x, y in scored]
    judged = facts["judged"]
    told: Mapping[str, list[tuple[float, Estimate | None]]] = {
        "target": [] if scored else [(at[one["round"]], one.get("target")) for one in judged],
        "pool": [(float(one["trained"]), one["pool"]) for one in judged],
    }
    for name, estimates in told.items():
        made = [(x, e["value"], e["low"], e["high"]) for x, e in estimates if e is not None]
        if made:
            points[name] = made
    if not points:
        return None
    xs = [x for line in points.values() for x, *_ in line]
    ys = [y for line in points.values() for _, *rest in line for y in rest]
    across = _Axis(0.0, max(1.0, *xs), _LEFT + 8, _RIGHT)
    up = _Axis(*_room(min(ys), max(ys)), _HEIGHT, _TOP)
    return Drawing(
        lines=[_line(name, line, across, up) for name, line in points.items()],
        across=across.ticks(),
        up=up.ticks(100.0),
    )


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
        return [charts.Tick(at=self.at(x), label=f"{times * x:g}") for x in values]


def _room(low: float, high: float) -> tuple[float, float]:
    room = max(0.02, 0.08 * (high - low))
    return max(0.0, low - room), min(1.0, high + room)


def _line(
    name: str, points: Sequence[tuple[float, float, float, float]], across: _Axis, up: _Axis
) -> Line:
    ordered = sorted(points)
    dots = [(across.at(x), up.at(y)) for x, y, _, _ in ordered]
    return Line(
        name=name,
        path=_path(dots),
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


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
