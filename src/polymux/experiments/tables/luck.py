"""The luck of choosing and the luck of training, told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from polymux.experiments.tables.grid import Cell, Grid
from polymux.statistics import Nested

# One group a choice, in it the score of each training.
Groups = Sequence[Sequence[float]]
# Scores that differ by less than this (in units of a score) are equal but for rounding.
_EQUAL = 1e-12


@dataclass(frozen=True, slots=True)
class Luck:
    """Two components of the variance of a score, as standard deviations."""

    choosing: float
    """Of the expected score of a choice; 0 where trainings explain all that is seen."""
    training: float
    """Of a score given the choice."""
    f: float | None
    """Between choices over within them; about 1 where choices do not differ, None where it is
    infinite: trainings of one choice do not."""
    p: float
    """How likely so large an F is if choices do not differ (scores are taken as normal)."""
    choices: int
    trainings: int


@dataclass(frozen=True, slots=True)
class StrategyLuck:
    """The luck of a strategy at one budget, over its cells."""

    setting: str
    task: str
    model: str
    budget: int
    strategy: str
    cells: int
    """In which it made more than one choice."""
    luck: Luck


def components(cells: Sequence[Groups]) -> Luck | None:
    """The random-effects components of nested scores, pooled over cells with their own means.

    The method of moments: the mean square within choices is the variance of training; that between
    them is larger by as many times the variance of choosing as a choice has trainings.

    Args:
        cells: For each, the choices, and for each of them the scores of its trainings.

    Returns:
        None where no cell has two choices, no choice two trainings, or all scores are equal.
    """
    from scipy import stats

    # A cell with one choice says nothing of choices.
    cells = [groups for groups in cells if len(groups) > 1]
    between = within = times = 0.0
    free_between = free_within = 0
    for groups in cells:
        sizes = np.array([len(group) for group in groups], dtype=np.float64)
        means = np.array([np.mean(group) for group in groups])
        middle = float(sizes @ means / sizes.sum())
        between += float(sizes @ (means - middle) ** 2)
        within += sum(len(group) * float(np.var(group)) for group in groups)
        free_between += len(groups) - 1
        free_within += int(sizes.sum()) - len(groups)
        times += float(sizes.sum() - (sizes**2).sum() / sizes.sum())
    if not free_between or not free_within:
        return None
    square_between, square_within = (
        0.0 if square <= _EQUAL**2 else square
        for square in (between / free_between, within / free_within)
    )
    if not square_between and not square_within:
        return None
    # How often the variance of choosing is in the mean square between choices.
    often = times / free_between
    f = square_between / square_within if square_within else None
    return Luck(
        choosing=max(0.0, (square_between - square_within) / often) ** 0.5,
        training=square_within**0.5,
        f=f,
        p=0.0 if f is None else float(stats.f.sf(f, free_between, free_within)),
        choices=sum(len(groups) for groups in cells),
        trainings=sum(len(group) for groups in cells for group in groups),
    )


def luck(grid: Grid) -> list[StrategyLuck]:
    """Each strategy at each budget where choices were made, and trained on, more than once."""
    pooled: dict[tuple[str, str, str, int, str], list[Cell]] = {}
    for cell in grid.cells:
        setting, task, model, _ = cell.place
        for strategy in cell.runs:
            pooled.setdefault((setting, task, model, cell.budget, strategy), []).append(cell)
    told = []
    for key, cells in pooled.items():
        of = [groups(cell.scores[key[-1]]) for cell in cells]
        if (found := components(of)) is not None:
            several = sum(len(choices) > 1 for choices in of)
            told.append(StrategyLuck(*key, cells=several, luck=found))
    return told


def groups(scores: Mapping[Nested, float]) -> list[list[float]]:
    """The scores of each choice's trainings."""
    found: dict[int, list[float]] = {}
    for (choice, _), score in scores.items():
        found.setdefault(choice, []).append(score)
    return list(found.values())
