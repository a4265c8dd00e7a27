"""Win rates: in how many cells a strategy named before the run is better than the best baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from polymux.experiments.tables.gains import BEST
from polymux.experiments.tables.grid import ALWAYS, BASELINES, Cell, Grid
from polymux.experiments.tables.rows import RANDOM
from polymux.statistics import Clustered, clustered_mean

AFTERWARDS = "best of all, picked after seeing the scores"
AGAINST = (BEST, "egalitarian", RANDOM)
LAST, ALL = "last", "all"
# Intervals that draw fewer clusters than this are too narrow.
FEW = 5
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Wins:
    """How often and by how much one strategy is better, over cells."""

    setting: str
    budget: str
    """A number of labels, `last` (each target's largest) or `all`."""
    judges: bool
    """Whether its setting is judged by it: rounds by the last, single rounds by all budgets."""
    strategy: str
    against: str
    won: int
    rate: Clustered
    """The share of cells won."""
    gain: Clustered
    """The mean difference of scores, in [-1, 1]."""

    @property
    def told(self) -> bool:
        """Whether there are intervals at all: one cluster tells nothing of others."""
        return self.rate.clusters > 1


def wins(grid: Grid) -> list[Wins]:
    """Every strategy, and the best of them picked afterwards, against each of `AGAINST`.

    The untouched model and random choice stand among them, for what they are below the best.
    A cell is a task, a model, a target configuration and a budget; it is won by a higher mean over
    seeds. Intervals draw clusters of cells that share task and target.
    """
    return [
        found
        for setting in dict.fromkeys(cell.place.setting for cell in grid.cells)
        for budget, cells in _groups(grid, setting).items()
        for against in AGAINST
        for strategy in _rows(grid)
        if (found := _wins(grid, setting, budget, cells, strategy, against)) is not None
    ]


def _rows(grid: Grid) -> list[str]:
    """Baselines, strategies and, of several, the best of them picked afterwards."""
    baselines = [name for name in BASELINES if name in ALWAYS or name in grid.strategies]
    return [*baselines, *grid.rivals, *([AFTERWARDS] if len(grid.rivals) > 1 else [])]


def _groups(grid: Grid, setting: str) -> Mapping[str, Sequence[Cell]]:
    cells = [cell for cell in grid.cells if cell.place.setting == setting]
    budgets = sorted({cell.budget for cell in cells})
    if len(budgets) == 1:
        # The largest of each target, and all of them, are the same cells.
        return {LAST if setting in grid.in_rounds else ALL: cells}
    groups: dict[str, Sequence[Cell]] = {
        f"{budget}": [cell for cell in cells if cell.budget == budget] for budget in budgets
    }
    last = [of[-1] for place, of in grid.places.items() if place.setting == setting]
    return groups | {LAST: last, ALL: cells}


def _wins(
    grid: Grid, setting: str, budget: str, cells: Sequence[Cell], strategy: str, against: str
) -> Wins | None:
    found = list(_apart(cells, strategy, against))
    if not found:
        return None
    apart, clusters = [apart for apart, _ in found], [cell.target for _, cell in found]
    won = [float(one > 0) for one in apart]
    rate = clustered_mean(won, clusters)
    return Wins(
        setting=setting,
        budget=budget,
        judges=budget == (LAST if setting in grid.in_rounds else ALL),
        strategy=strategy,
        against=against,
        won=int(sum(won)),
        rate=_unanimous(rate) if rate.value in (0, 1) else rate,
        gain=clustered_mean(apart, clusters),
    )


def _apart(cells: Sequence[Cell], strategy: str, against: str) -> Iterator[tuple[float, Cell]]:
    for cell in cells:
        other = cell.best_baseline if against == BEST else against
        one = _named(cell, strategy)
        if one and other in cell.runs and one != against:
            yield cell.mean(one) - cell.mean(str(other)), cell


def _named(cell: Cell, strategy: str) -> str | None:
    if strategy == AFTERWARDS:
        mean: Callable[[str], float] = cell.mean
        return max(cell.strategies, key=mean) if cell.strategies else None
    return strategy if strategy in cell.runs else None


def _unanimous(rate: Clustered) -> Clustered:
    """Clopper and Pearson's interval over clusters: drawing from equal ones shows no luck."""
    bound = _TAIL ** (1 / rate.clusters)
    low, high = (0.0, 1 - bound) if rate.value == 0 else (bound, 1.0)
    return Clustered(rate.value, low, high, rate.cells, rate.clusters)
