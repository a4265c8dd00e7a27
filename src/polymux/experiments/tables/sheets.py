"""The tables of an experiment: each as it is shown, and its numbers as a program reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polymux.experiments.tables.curves import Curve
from polymux.experiments.tables.grid import ALWAYS, Cell, Grid, Place
from polymux.experiments.tables.luck import StrategyLuck
from polymux.experiments.tables.paper import Beside
from polymux.experiments.tables.rows import RANDOM, title
from polymux.report.table import NONE, Table, point, signed

Value = str | float | int | None
# A longer table is shown on demand.
LONG = 12


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table: shown in one piece or several, and one list of rows."""

    name: str
    tables: Sequence[Table]
    columns: Sequence[str]
    values: Sequence[Sequence[Value]]


def bounds(low: float | None, high: float | None) -> str:
    """An interval of a difference, in points."""
    return "" if low is None or high is None else f" [{signed(low)}, {signed(high)}]"


def labels(budget: int | str) -> str:
    """A budget; one that is not told is none."""
    return NONE if budget in {0, "0"} else f"{budget}"


def order(grid: Grid) -> list[str]:
    """The rows of every table: those asked for always are there even without a score."""
    return list(dict.fromkeys([*ALWAYS, *grid.strategies]))


def scores(grid: Grid) -> Sheet:
    """Mean and spread over seeds, a column a budget or, at the last, a column a target."""
    names = order(grid)
    several = [_over_targets(grid, places, names) for places in _families(grid) if len(places) > 1]
    each = [
        _over_budgets(grid, place, cells, names)
        for place, cells in grid.places.items()
        if len(cells) > 1 or not several
    ]
    values = [
        [
            *cell.place,
            *(cell.budget, grid.metrics[cell.place.task], name, cell.mean(name)),
            *(cell.spread(name), len(cell.scores[name]), " ".join(cell.languages)),
        ]
        for cell in grid.cells
        for name in cell.runs
    ]
    columns = (
        *Place._fields,
        *("budget", "metric", "strategy", "mean", "spread", "trainings", "languages"),
    )
    return Sheet("scores", [*several, *each], columns, values)


def _families(grid: Grid) -> list[list[Place]]:
    """Targets of one setting, task and model."""
    found: dict[tuple[str, ...], list[Place]] = {}
    for place in grid.places:
        found.setdefault(place[:3], []).append(place)
    return list(found.values())


def score(cell: Cell, name: str) -> str:
    """The mean score of a strategy ± its spread."""
    if name not in cell.runs:
        return NONE
    spread = cell.spread(name)
    return point(cell.mean(name)) + ("" if spread is None else f" ± {point(spread)}")


def _over_targets(grid: Grid, places: Sequence[Place], names: Sequence[str]) -> Table:
    cells = [grid.places[place][-1] for place in places]
    budgets = sorted({cell.budget for cell in cells})
    setting, task, model, _ = places[0]
    # A mean over targets with other budgets would be of nothing.
    is_one = len(budgets) == 1
    rows = [
        [
            name,
            *(score(cell, name) for cell in cells),
            point(sum(cell.mean(name) for cell in cells) / len(cells))
            if is_one and all(name in cell.runs for cell in cells)
            else NONE,
        ]
        for name in names
    ]
    many = labels(budgets[0]) if is_one else "the last number of"
    caption = f"{title(setting, task, model)}: {grid.metrics[task]} at {many} labels, by target"
    heads = [cell.place.config + ("" if is_one else f" ({labels(cell.budget)})") for cell in cells]
    return Table(caption, ["strategy", *heads, "mean"], rows)


def _over_budgets(grid: Grid, place: Place, cells: Sequence[Cell], names: Sequence[str]) -> Table:
    setting, task, model, config = place
    rows = [[name, *(score(cell, name) for cell in cells)] for name in names]
    target = f"{config} ({', '.join(cells[0].languages)})"
    caption = f"{title(setting, task, model, target)}: {grid.metrics[task]} by labels"
    return Table(caption, ["strategy", *(labels(cell.budget) for cell in cells)], rows)


def learning(found: Sequence[Curve]) -> Sheet:
    """The height of each learning curve and the labels it needs for what random has at its end."""
    by_place: dict[Place, list[Curve]] = {}
    for one in found:
        by_place.setdefault(one.place, []).append(one)
    tables = []
    for place, of in by_place.items():
        low, high = of[0].budgets
        rows = [[one.strategy, point(one.area), _apart(one), _cost(one)] for one in of]
        rows += [
            [name, NONE, NONE, NONE] for name in ALWAYS if name not in {o.strategy for o in of}
        ]
        goal = "" if of[0].goal is None else f" (random's {point(of[0].goal)} at {high})"
        header = ["strategy", "area", f"over {RANDOM}", f"labels to the goal{goal}"]
        tables.append(Table(title(*place, f"{low} to {high} labels"), header, rows))
    columns = (
        *Place._fields,
        *("strategy", "from", "to", "area", "over_random", "low", "high"),
        *("goal", "labels_to_goal", "at_most"),
    )
    values = [
        [
            *one.place,
            *(one.strategy, *one.budgets, one.area, *(one.over_random or (None, None, None))),
            *(one.goal, one.cost, str(one.at_most).lower()),
        ]
        for one in found
    ]
    return Sheet("curves", tables, columns, values)


def _apart(one: Curve) -> str:
    if one.over_random is None:
        return NONE
    value, low, high = one.over_random
    return signed(value) + bounds(low, high)


def _cost(one: Curve) -> str:
    if one.goal is None:
        return NONE
    if one.cost is None:
        return "not reached"
    return f"{'at most ' if one.at_most else ''}{one.cost:.0f}"


def two_lucks(found: Sequence[StrategyLuck]) -> Sheet:
    """The luck of choosing and that of training, as standard deviations."""
    rows = [
        [
            title(one.setting, one.task, one.model),
            *(labels(one.budget), one.strategy, point(one.luck.choosing)),
            *(point(one.luck.training), f"{one.luck.p:.3f}", f"{one.luck.choices}"),
            f"{one.luck.trainings}",
        ]
        for one in found
    ]
    header = ["setting", "labels", "strategy", "choosing", "training", "p", "choices", "trainings"]
    columns = (
        *("setting", "task", "model", "budget", "strategy", "cells", "choosing_sd"),
        *("training_sd", "f", "p", "choices", "trainings"),
    )
    values: list[list[Value]] = [
        [
            *(one.setting, one.task, one.model, one.budget, one.strategy, one.cells),
            *(one.luck.choosing, one.luck.training, one.luck.f, one.luck.p),
            *(one.luck.choices, one.luck.trainings),
        ]
        for one in found
    ]
    table = Table("By strategy and labels", header, rows, folded=len(rows) > LONG)
    return Sheet("luck", [table] if rows else [], columns, values)


def beside_the_paper(found: Sequence[Beside]) -> Sheet:
    """Ours, the paper's, the difference; and both as gains over egalitarian choice."""
    by_place: dict[Place, list[Beside]] = {}
    for one in found:
        by_place.setdefault(one.place, []).append(one)
    header = ["strategy", "labels", "ours", "the paper's", "difference"]
    header += ["gain over egalitarian: ours", "the paper's"]
    tables = [
        Table(
            f"{title(*place)}; the paper's model is {of[0].their_model}",
            header,
            [_beside_row(one) for one in of],
            folded=len(of) > LONG,
        )
        for place, of in by_place.items()
    ]
    columns = (
        *Place._fields,
        *("budget", "strategy", "ours", "paper", "difference", "paper_model", "same_model"),
        *("gain_over_egalitarian", "paper_gain_over_egalitarian"),
    )
    values = [
        [
            *(*one.place, one.budget, one.strategy, one.ours, one.theirs, _difference(one)),
            *(one.their_model, str(one.same_model).lower(), one.our_gain, one.their_gain),
        ]
        for one in found
    ]
    return Sheet("paper", tables, columns, values)


def _beside_row(one: Beside) -> list[str]:
    scores = [NONE if score is None else point(score) for score in (one.ours, one.theirs)]
    gains = (_difference(one), one.our_gain, one.their_gain)
    apart = [NONE if gain is None else signed(gain) for gain in gains]
    return [one.strategy, labels(one.budget), *scores, *apart]


def _difference(one: Beside) -> float | None:
    return None if one.ours is None or one.theirs is None else one.ours - one.theirs


def chosen(cells: Mapping[tuple[Cell, str], Mapping[str, float]]) -> Sheet:
    """Labels by language, the mean over choices."""
    values: list[list[Value]] = [
        [*cell.place, cell.budget, strategy, language, count]
        for (cell, strategy), counts in cells.items()
        for language, count in counts.items()
    ]
    columns = (*Place._fields, "budget", "strategy", "language", "labels")
    rows: dict[tuple[Place, int], list[list[str]]] = {}
    for (cell, strategy), counts in cells.items():
        ranked = sorted(counts.items(), key=lambda item: -item[1])
        told = ", ".join(f"{language or NONE} {count:.0f}" for language, count in ranked if count)
        rows.setdefault((cell.place, cell.budget), []).append([strategy, told])
    tables = [
        Table(
            title(*place, f"{budget} labels"), ["strategy", "labels"], of, folded=True, worded=True
        )
        for (place, budget), of in rows.items()
    ]
    return Sheet("languages", tables, columns, values)
