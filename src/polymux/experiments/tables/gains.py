"""How much better one strategy is than another in a cell, and how sure that is."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Num

from polymux.errors import InputError
from polymux.experiments.tables.grid import Cell, Grid
from polymux.experiments.tables.rows import NO_SEED, RANDOM, UNTOUCHED, Row
from polymux.statistics import Nested, accuracy, nested_mean, paired_bootstrap

BEST = "best baseline"
# A score is written with fewer digits than the counts have.
_ROUNDING = 1e-3
_LEVEL = 0.95
# Files of counts that are open at once: the trainings of two strategies.
_KEPT = 64

Scores = Mapping[Nested, float]


@dataclass(frozen=True, slots=True)
class Gain:
    """What a strategy scores above another in one cell, in [-1, 1]."""

    cell: Cell
    strategy: str
    other: str
    value: float
    low: float | None
    """Where its 95 % interval begins; None where one training tells nothing of luck."""
    high: float | None
    better: float | None
    """The share of resamples in which it is better; None without test examples."""
    over: str
    """What was drawn: `examples and seeds`, `examples`, `seeds` or `nothing`."""
    spread: float | None
    """The larger of the two sample standard deviations over trainings."""

    @property
    def is_sure(self) -> bool:
        """Whether its interval leaves out 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def is_within_spread(self) -> bool:
        """Whether trainings of one strategy differ by more than the strategies do."""
        return self.spread is not None and abs(self.value) < self.spread


def gains(grid: Grid, progress: Callable[[str, int, int | None], None] | None = None) -> list[Gain]:
    """Each strategy and reference against the best baseline of its cell, against random and more.

    A baseline stands against random only; of cells without a baseline nothing is said.
    """
    asked = list(_asked(grid))
    made = []
    for done, (cell, strategy, other) in enumerate(asked):
        if progress:
            progress("compare", done, len(asked))
        made.append(gain(cell, strategy, other))
    return made


def _asked(grid: Grid) -> Iterator[tuple[Cell, str, str]]:
    for cell in grid.cells:
        for strategy in cell.runs:
            others = {RANDOM: None}
            if strategy in cell.strategies and cell.best_baseline:
                others = {cell.best_baseline: None, RANDOM: None}
            for other in others:
                if other in cell.runs and other != strategy:
                    yield cell, strategy, other


def gain(cell: Cell, strategy: str, other: str, *, resamples: int = 1000) -> Gain:
    """Compare two strategies of a cell.

    Where the test examples' counts are kept, by the paired bootstrap over test examples, nested in
    seeds; else by `seed_interval`.

    Raises:
        InputError: counts are not there, or are not those of the score.
    """
    ours, theirs = cell.scores[strategy], cell.scores[other]
    spreads = [s for name in (strategy, other) if (s := cell.spread(name)) is not None]
    spread = max(spreads, default=None)
    value = cell.mean(strategy) - cell.mean(other)
    interval = seed_interval(side(strategy, ours), side(other, theirs))
    if _has_counts(cell, strategy) and _has_counts(cell, other):
        found = paired_bootstrap(
            _counts(cell, strategy),
            _counts(cell, other),
            [(cell.place.config, language) for language in cell.languages],
            accuracy,
            resamples=resamples,
        )
        over = "examples and seeds" if interval else "examples"
        return Gain(cell, strategy, other, value, found.low, found.high, found.better, over, spread)
    if interval is None:
        return Gain(cell, strategy, other, value, None, None, None, "nothing", spread)
    return Gain(cell, strategy, other, value, *interval, None, "seeds", spread)


def seed_interval(ours: Scores | float, theirs: Scores | float) -> tuple[float, float] | None:
    """The 95 % interval of the difference of two means, by Student's t.

    A side's units are its choices, of one choice its trainings. Paired where both have the same;
    else Welch's.

    Args:
        ours: The score of each training, or one number of what has no luck.
        theirs: The same of the other side.

    Returns:
        None where nothing has luck, or what has is there once.
    """
    one, other = _units(ours), _units(theirs)
    lucky = [np.array(list(unit.values())) for unit in (one, other) if unit is not None]
    if not lucky or any(len(scores) < 2 for scores in lucky):
        return None
    if one is not None and other is not None and one.keys() == other.keys():
        apart = np.array([one[unit] - other[unit] for unit in one])
        return _around(float(apart.mean()), [apart])
    return _around(_mean(ours) - _mean(theirs), lucky)


def _around(value: float, sides: list[np.ndarray]) -> tuple[float, float] | None:
    from scipy import stats

    parts = [(float(side.var(ddof=1)) / len(side), len(side) - 1) for side in sides]
    variance = sum(part for part, _ in parts)
    if variance <= 0:
        # That two or three seeds came out the same is no proof that all would.
        return None
    # Satterthwaite's degrees of freedom of a sum of variances.
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    half = float(stats.t.ppf((1 + _LEVEL) / 2, freedom)) * variance**0.5
    return value - half, value + half


def side(strategy: str, scores: Scores) -> Scores | float:
    """Its scores; one number of the start model as it is: nothing was drawn for it."""
    fixed = strategy == UNTOUCHED and len(scores) == 1
    return next(iter(scores.values())) if fixed else scores


def _mean(scores: Scores | float) -> float:
    if isinstance(scores, float):
        return scores
    return nested_mean(list(scores), np.array(list(scores.values())))


def _units(scores: Scores | float) -> Scores | None:
    """What the luck of a side is seen from; None of what has none."""
    if isinstance(scores, float):
        return None
    choices: dict[int, list[float]] = {}
    for (choice, _), score in scores.items():
        choices.setdefault(choice, []).append(score)
    if len(choices) == 1:
        return scores
    return {(choice, NO_SEED): float(np.mean(trained)) for choice, trained in choices.items()}


def _has_counts(cell: Cell, strategy: str) -> bool:
    return all(row.counts for run in cell.runs[strategy].values() for row in run.values())


def _counts(
    cell: Cell, strategy: str
) -> Mapping[Nested, Mapping[tuple[str, str], Num[np.ndarray, "_ _"]]]:
    return {
        seed: {(cell.place.config, language): _of_row(run[language]) for language in cell.languages}
        for seed, run in cell.runs[strategy].items()
    }


def _of_row(row: Row) -> Num[np.ndarray, "examples 2"]:
    assert row.counts is not None  # noqa: S101 - looked at before
    kept = _load(row.counts)
    counts = kept.get(row.language) if kept is not None else None
    if counts is None or counts.ndim != 2 or counts.shape[1] != 2:
        raise InputError(
            f"its counts, {row.counts}, hold no array of two columns for {row.language}",
            "restore that file, or leave counts out of the row: intervals then tell of seeds only",
            file=row.file,
            line=row.line,
        )
    summed = float(accuracy(counts.sum(axis=0)))
    if abs(summed - row.score) > _ROUNDING:
        raise InputError(
            f"its score is {row.score:g}, but its counts, {row.counts}, give {summed:g}",
            "the two are not of one run: make that cell again",
            file=row.file,
            line=row.line,
        )
    return counts


@lru_cache(maxsize=_KEPT)
def _load(path: Path) -> Mapping[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
