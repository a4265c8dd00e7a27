"""Learning curves: their height over all budgets, and the labels that they need for a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polymux.experiments.tables.gains import seed_interval, side
from polymux.experiments.tables.grid import Cell, Grid, Place
from polymux.experiments.tables.rows import RANDOM, UNTOUCHED
from polymux.statistics import Nested

# Budget and score.
Points = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """What a learning curve comes to."""

    place: Place
    strategy: str
    budgets: tuple[int, int]
    """Between which it was measured."""
    area: float
    """Its mean height over the logarithm of the budget, in [0, 1]."""
    over_random: tuple[float, float | None, float | None] | None
    """The difference of areas and its 95 % interval over seeds."""
    goal: float | None
    """What random choice has at its largest budget."""
    cost: float | None
    """Labels until the curve first reaches the goal; None if it never does."""
    at_most: bool
    """Whether it was there at the smallest budget already."""


def area(points: Points) -> float:
    """The mean height of a curve over the logarithm of the budget, by the trapezoid rule.

    Args:
        points: At least two, with budgets above 0 in rising order.
    """
    budgets, scores = (np.array(side, dtype=np.float64) for side in zip(*points, strict=True))
    across = np.log(budgets)
    return float(np.trapezoid(scores, across) / (across[-1] - across[0]))


def cost(points: Points, goal: float) -> float | None:
    """The labels at which a curve first reaches a score, between budgets by their logarithm.

    Args:
        points: With budgets above 0 in rising order.
        goal: A score.

    Returns:
        The first budget if the curve begins there, None if it never gets there.
    """
    before: tuple[int, float] | None = None
    for budget, score in points:
        if score >= goal:
            if before is None:
                return float(budget)
            part = (goal - before[1]) / (score - before[1])
            return float(np.exp(np.log(before[0]) + part * np.log(budget / before[0])))
        before = budget, score
    return None


def curves(grid: Grid) -> list[Curve]:
    """Every strategy of every target with two budgets or more, over the budgets that all have."""
    return [
        _curve(place, cells, strategy)
        for place, all_cells in grid.places.items()
        if len(cells := _shared(all_cells)) > 1
        for strategy in cells[0].runs
    ]


def _shared(cells: Sequence[Cell]) -> list[Cell]:
    """Cells that hold whatever any of them holds."""
    names = {name for cell in cells for name in cell.runs}
    return [cell for cell in cells if cell.budget > 0 and names == cell.runs.keys()]


def _curve(place: Place, cells: Sequence[Cell], strategy: str) -> Curve:
    points = [(cell.budget, cell.mean(strategy)) for cell in cells]
    goal = cells[-1].mean(RANDOM) if RANDOM in cells[-1].runs else None
    found = None if goal is None else cost(points, goal)
    if strategy == UNTOUCHED and found is not None:
        found = 0.0
    return Curve(
        place=place,
        strategy=strategy,
        budgets=(cells[0].budget, cells[-1].budget),
        area=area(points),
        over_random=None if goal is None or strategy == RANDOM else _over_random(cells, strategy),
        goal=goal,
        cost=found,
        at_most=goal is not None and strategy != UNTOUCHED and points[0][1] >= goal,
    )


def _over_random(cells: Sequence[Cell], strategy: str) -> tuple[float, float | None, float | None]:
    ours, theirs = _areas(cells, strategy), _areas(cells, RANDOM)
    value = area([(c.budget, c.mean(strategy) - c.mean(RANDOM)) for c in cells])
    interval = seed_interval(side(strategy, ours), side(RANDOM, theirs))
    return value, *(interval or (None, None))


def _areas(cells: Sequence[Cell], strategy: str) -> dict[Nested, float]:
    """The area of each training that has all budgets."""
    seeds = [seed for seed in cells[0].scores[strategy] if all(
        seed in cell.scores[strategy] for cell in cells
    )]  # fmt: skip
    return {seed: area([(c.budget, c.scores[strategy][seed]) for c in cells]) for seed in seeds}
