"""The card of a campaign: what was bought, what came of it, and what chance says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from polymux.report import lines
from polymux.report.pages import rendered


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


def rounds(facts: RunFacts) -> str:
    """One self-contained page that asks no host for anything and runs no script.

    Args:
        facts: What the card says.
    """
    styles = ("card.css", "lines.css", "rounds.css")
    return rendered("rounds.html", *styles, facts=facts, drawing=learning(facts))


def learning(facts: RunFacts) -> lines.Drawing | None:
    """The curves of the card; None where nothing was scored."""
    at = {turn["round"]: float(turn["trained"] or 0) for turn in facts["turns"]}
    points: dict[str, list[lines.Point]] = {}
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
    across = max(1.0, *(x for line in points.values() for x, *_ in line))
    heights = [y for line in points.values() for _, *rest in line for y in rest]
    return lines.drawing(points, across=(0.0, across), up=lines.room(heights), times=100.0)
