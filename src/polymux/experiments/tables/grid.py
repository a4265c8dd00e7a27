"""The grid of an experiment: cells, in each the strategies, of each the trainings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from polymux.experiments.tables.rows import RANDOM, UNTOUCHED, Row
from polymux.statistics import Nested, nested_mean

# What a strategy has to beat, in the order of tables; `plan` is the name of a plan made by LITMUS.
BASELINES = (UNTOUCHED, RANDOM, "egalitarian", "litmus", "plan")
# Beside them, neither a rival nor a baseline: one needs what strategies do without, the other
# copies what a choice found out.
GOLD = "gold"
REFERENCES = ("same-distribution", GOLD)
ALWAYS = (UNTOUCHED, RANDOM)


class Place(NamedTuple):
    """A target configuration of one model and task, in one setting."""

    setting: str
    task: str
    model: str
    config: str


# One training's rows, by language.
Run = Mapping[str, Row]


@dataclass(frozen=True, eq=False)
class Cell:
    """All that was trained on so many labels for one target."""

    place: Place
    budget: int
    languages: Sequence[str]
    """Of the target: a score is the mean over them."""
    runs: Mapping[str, Mapping[Nested, Run]]
    """By strategy, then by seeds of choice and training."""

    @cached_property
    def scores(self) -> Mapping[str, Mapping[Nested, float]]:
        """The score of every training."""
        return {
            strategy: {
                seed: float(np.mean([run[language].score for language in self.languages]))
                for seed, run in runs.items()
            }
            for strategy, runs in self.runs.items()
        }

    def mean(self, strategy: str) -> float:
        """Over choices, of the means over their trainings."""
        scores = self.scores[strategy]
        return nested_mean(list(scores), np.array(list(scores.values())))

    def spread(self, strategy: str) -> float | None:
        """The sample standard deviation over all trainings; None of one."""
        scores = list(self.scores[strategy].values())
        return float(np.std(scores, ddof=1)) if len(scores) > 1 else None

    @cached_property
    def best_baseline(self) -> str | None:
        """The one with the highest mean, which gives it the advantage of a choice afterwards."""
        there = [name for name in BASELINES if name in self.runs]
        return max(there, key=self.mean) if there else None

    @property
    def strategies(self) -> list[str]:
        """Those that are neither baseline nor reference."""
        return [name for name in self.runs if is_rival(name)]

    @property
    def target(self) -> tuple[str, tuple[str, ...]]:
        """Task and target: cells that share them share test examples."""
        return self.place.task, tuple(self.languages)


@dataclass(frozen=True)
class Grid:
    """All cells, in the order of their rows, and the strategies in the order of tables."""

    cells: Sequence[Cell]
    strategies: Sequence[str]
    metrics: Mapping[str, str]
    """The score by task."""
    in_rounds: Collection[str]
    """Settings in which a cell continues others, so that only the last is a result of its own."""
    notes: Sequence[str]

    @property
    def rivals(self) -> list[str]:
        """Strategies that are neither baseline nor reference."""
        return [name for name in self.strategies if is_rival(name)]

    @cached_property
    def places(self) -> Mapping[Place, Sequence[Cell]]:
        """The cells of each target configuration, by budget."""
        found: dict[Place, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.place, []).append(cell)
        return {place: sorted(cells, key=_budget) for place, cells in found.items()}


def is_rival(strategy: str) -> bool:
    """Whether it is what an experiment tries, not what it is compared with."""
    return strategy not in BASELINES and strategy not in REFERENCES


def grid(rows: Sequence[Row]) -> Grid:
    """Order rows into cells; the untouched model is in each cell of its configuration.

    Trainings that were not scored in every language of their target are left out and told of.
    """
    places: dict[Place, dict[int, dict[str, dict[Nested, dict[str, Row]]]]] = {}
    start: dict[Place, dict[Nested, dict[str, Row]]] = {}
    for row in rows:
        place, seed = _place(row), (row.choice_seed, row.train_seed)
        if row.strategy == UNTOUCHED:
            start.setdefault(place, {}).setdefault(seed, {})[row.language] = row
        else:
            runs = places.setdefault(place, {}).setdefault(row.budget, {})
            runs.setdefault(row.strategy, {}).setdefault(seed, {})[row.language] = row
    notes: list[str] = []
    cells = []
    for place in dict.fromkeys((*places, *start)):
        begun = start.get(place) or _elsewhere(start, place)
        if place not in places and any(_same(place, other) for other in places):
            continue
        for budget, runs in sorted(places.get(place, {0: {}}).items()):
            all_runs = ({UNTOUCHED: begun} if begun else {}) | runs
            cell = _cell(place, budget, all_runs, notes)
            cells += [cell] if cell.runs else []
    order = _order(name for cell in cells for name in cell.runs)
    notes += [
        f"There is no row of {name}: what depends on it is left open."
        for name in ALWAYS
        if name not in order
    ]
    metrics = {row.task: row.metric for row in rows}
    in_rounds = {row.setting for row in rows if row.round > 1}
    return Grid(cells, [*order], metrics, in_rounds, notes)


def _place(row: Row) -> Place:
    return Place(row.setting, row.task, row.model, row.config)


def _same(one: Place, other: Place) -> bool:
    return one[1:] == other[1:]


def _elsewhere(
    start: Mapping[Place, dict[Nested, dict[str, Row]]], place: Place
) -> dict[Nested, dict[str, Row]] | None:
    """The untouched model told of in another setting: it is the same there."""
    return next((runs for other, runs in start.items() if _same(other, place)), None)


def _cell(
    place: Place,
    budget: int,
    runs: Mapping[str, Mapping[Nested, Mapping[str, Row]]],
    notes: list[str],
) -> Cell:
    languages = list(dict.fromkeys(k for of in runs.values() for run in of.values() for k in run))
    whole = {
        name: {seed: run for seed, run in of.items() if len(run) == len(languages)}
        for name, of in runs.items()
    }
    for name, of in runs.items():
        if lost := len(of) - len(whole[name]):
            notes.append(
                f"{place.config}, {budget} labels, {name}: {lost} of {len(of)} trainings are not "
                f"scored in all of {', '.join(languages)} and are left out."
            )
    ordered = _order(name for name, of in whole.items() if of)
    return Cell(place, budget, languages, {name: whole[name] for name in ordered})


def _order(names: Iterable[str]) -> dict[str, None]:
    """Baselines, rivals as they come, references."""
    told = dict.fromkeys(names)
    first = [name for name in BASELINES if name in told]
    last = [name for name in REFERENCES if name in told]
    return dict.fromkeys([*first, *(name for name in told if is_rival(name)), *last])


def _budget(cell: Cell) -> int:
    return cell.budget
