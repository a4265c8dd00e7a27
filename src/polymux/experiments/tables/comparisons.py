"""The tables that compare: win rates, every difference, and those that decide nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polymux.experiments.tables.gains import BEST, Gain
from polymux.experiments.tables.grid import Cell, Grid, Place
from polymux.experiments.tables.rows import RANDOM, title
from polymux.experiments.tables.sheets import LONG, Sheet, Value, bounds, labels, order, score
from polymux.experiments.tables.wins import AGAINST, ALL, FEW, LAST, Wins
from polymux.report import words
from polymux.report.table import NONE, Table, point, signed


def win_rates(found: Sequence[Wins], named: str | None) -> Sheet:
    """Who wins how often and by how much; only what judges is not folded."""
    groups: dict[tuple[str, str], list[Wins]] = {}
    for one in sorted(found, key=lambda one: not one.judges):
        groups.setdefault((one.setting, one.budget), []).append(one)
    tables = [_win_table(of, named) for of in groups.values()]
    columns = (
        *("setting", "budget", "strategy", "named_before", "against", "cells", "clusters", "won"),
        *("rate", "rate_low", "rate_high", "gain", "gain_low", "gain_high"),
    )
    values = [
        [
            *(one.setting, one.budget, one.strategy, str(one.strategy == named).lower()),
            *(one.against, one.rate.cells, one.rate.clusters, one.won, one.rate.value),
            *((one.rate.low, one.rate.high) if one.told else (None, None)),
            *(one.gain.value, *((one.gain.low, one.gain.high) if one.told else (None, None))),
        ]
        for one in found
    ]
    return Sheet("wins", tables, columns, values)


def standing(found: Sequence[Wins], named: str | None) -> Table | None:
    """Each strategy by what judges its setting, short enough for a terminal."""
    judged = [one for one in found if one.judges]
    if not judged:
        return None
    settings = dict.fromkeys(one.setting for one in judged)
    tables = [_win_table([w for w in judged if w.setting == s], named) for s in settings]
    several = len(tables) > 1
    rows = [
        [f"{setting}: {row[0]}" if several else row[0], *row[1:4]]
        for setting, table in zip(settings, tables, strict=True)
        for row in table.rows
    ]
    return Table("" if several else tables[0].caption, tables[0].header[:4], rows)


def _win_table(found: Sequence[Wins], named: str | None) -> Table:
    rows = []
    for strategy in dict.fromkeys(one.strategy for one in found):
        of = {one.against: one for one in found if one.strategy == strategy}
        shown = f"{strategy} (named before)" if strategy == named else strategy
        ours = [_rate(of[a]) if a in of else NONE for a in AGAINST]
        apart = [_mean_gain(of[a]) if a in of else NONE for a in (BEST, RANDOM)]
        rows.append([shown, ours[0], *apart, *ours[1:]])
    header = ["strategy", f"wins over {BEST}", f"gain over {BEST}", f"gain over {RANDOM}"]
    header += [f"wins over {a}" for a in AGAINST[1:]]
    first = found[0]
    which = {ALL: "all budgets", LAST: "the last budget of each target"}
    budget = which.get(first.budget, f"{labels(first.budget)} labels")
    clusters = first.rate.clusters
    few = f"{clusters} clusters only: intervals are too narrow" if 1 < clusters < FEW else ""
    return Table(
        title(*filter(None, (first.setting, budget, few))), header, rows, folded=not first.judges
    )


def _mean_gain(found: Wins) -> str:
    mean = found.gain
    return signed(mean.value) + (bounds(mean.low, mean.high) if found.told else "")


def differences(grid: Grid, gains: Sequence[Gain]) -> Sheet:
    """Every cell: each strategy against its best baseline and against random."""
    by_cell: dict[tuple[Place, int], list[Gain]] = {}
    for one in gains:
        by_cell.setdefault((one.cell.place, one.cell.budget), []).append(one)
    tables = []
    for place, cells in grid.places.items():
        rows = [
            row
            for cell in cells
            for row in _difference_rows(cell, by_cell.get((place, cell.budget), []), order(grid))
        ]
        header = ["strategy", "labels", "score", "best baseline", f"over {BEST}", f"over {RANDOM}"]
        tables.append(Table(title(*place), header, rows, folded=True))
    columns = (
        *Place._fields,
        *("budget", "strategy", "other", "other_is_best_baseline", "difference", "low", "high"),
        *("better", "interval_over", "spread", "spread_exceeds_gain"),
    )
    return Sheet("differences", tables, columns, [_difference_values(one) for one in gains])


def _difference_rows(
    cell: Cell, gains: Sequence[Gain], names: Sequence[str]
) -> Iterator[list[str]]:
    best = cell.best_baseline
    for name in names:
        against = {one.other: one for one in gains if one.strategy == name}
        rival = name in cell.strategies and best is not None
        yield [
            name,
            labels(cell.budget),
            score(cell, name),
            f"{best} {point(cell.mean(best))}" if best is not None else NONE,
            _difference(against[best]) if rival and best in against else NONE,
            _difference(against[RANDOM]) if RANDOM in against else NONE,
        ]


def _difference(one: Gain) -> str:
    return signed(one.value) + bounds(one.low, one.high)


def _difference_values(one: Gain) -> list[Value]:
    return [
        *one.cell.place,
        *(one.cell.budget, one.strategy, one.other),
        str(one.other == one.cell.best_baseline).lower(),
        *(one.value, one.low, one.high, one.better, one.over, one.spread),
        str(one.is_within_spread).lower(),
    ]


def unsure(gains: Sequence[Gain], rivals: Sequence[str]) -> Sheet:
    """The cells in which trainings of one strategy differ by more than two strategies do."""
    found = [
        one
        for one in gains
        if one.strategy in rivals and one.is_within_spread and one.other == one.cell.best_baseline
    ]
    rows = [
        [
            title(*one.cell.place),
            *(labels(one.cell.budget), one.strategy, one.other, _difference(one)),
            point(one.spread or 0.0),
        ]
        for one in found
    ]
    header = ["target", "labels", "strategy", BEST, "gain", "spread"]
    caption = words.count(len(rows), "comparison")
    table = Table(caption, header, rows, folded=len(rows) > LONG)
    columns = (*Place._fields, "budget", "strategy", "best_baseline", "gain", "spread")
    values = [
        [*one.cell.place, one.cell.budget, one.strategy, one.other, one.value, one.spread]
        for one in found
    ]
    return Sheet("unsure", [table] if rows else [], columns, values)


def _rate(found: Wins) -> str:
    rate = found.rate
    interval = f" [{100 * rate.low:.0f}, {100 * rate.high:.0f}]" if found.told else ""
    return f"{found.won}/{rate.cells}: {100 * rate.value:.0f} %{interval}"
