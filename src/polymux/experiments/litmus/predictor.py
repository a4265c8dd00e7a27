"""A language-level predictor in the manner of LITMUS: bought counts in, a tested score out.

Srinivasan et al. 2021 (arXiv 2110.08875), and the tool LITMUS that DeMuX compares with: boosted
trees on how much a model was pre-trained on the tested language, on how near the bought languages
are to it, and on how much of each was bought.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from polymux.errors import UsageError
from polymux.experiments.litmus.outcomes import Outcome
from polymux.experiments.litmus.relations import Nearness
from polymux.selection.draws import draw_of_name

# Fewer than this, and the trees know the results by heart. Three tested languages are the fewest of
# which one can be left out and a difference between the others be left.
ROWS, MIXTURES, TESTED = 50, 10, 3
# Small trees, five results a leaf: tables of results have hundreds of lines, not thousands.
TREES = {
    "max_iter": 200,
    "learning_rate": 0.05,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 5,
    "early_stopping": False,
    "random_state": 0,
}
FOLDS = 10

Counts = Int[np.ndarray, "rows bought"]
Tested = Int[np.ndarray, "rows"]
Matrix = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of languages beside the results."""

    nearness: Mapping[str, Nearness]
    """By name, such as overlap."""
    sizes: Mapping[str, float]
    """Bytes of pre-training text by language, where that is known."""


@dataclass(frozen=True, eq=False)
class Columns:
    """How counts and a tested language become numbers for the trees."""

    bought: tuple[str, ...]
    tested: tuple[str, ...]
    near: Mapping[str, Float[np.ndarray, "tested bought"]]
    size: Float[np.ndarray, "tested"]
    """log10 of the bytes of pre-training text; NaN where unknown."""

    @classmethod
    def of(cls, bought: Sequence[str], tested: Sequence[str], known: Known) -> Columns:
        """The columns of these languages."""
        near = {
            name: np.array([[nearness(b, t) for b in bought] for t in tested], dtype=np.float64)
            for name, nearness in known.nearness.items()
        }
        size = np.array([known.sizes.get(name, np.nan) for name in tested], dtype=np.float64)
        return cls(tuple(bought), tuple(tested), near, np.log10(size))

    @property
    def names(self) -> list[str]:
        """What each column is."""
        near = [name for way in self.near for name in (f"labels by {way}", f"mean {way}")]
        return [
            *("labels", "labels of the tested language", "pre-training size", *near),
            *(f"labels of {name}" for name in self.bought),
            *(f"tested in {name}" for name in self.tested),
        ]

    def counts(self, chosen: Sequence[Mapping[str, int]]) -> Counts:
        """Counts in the order of `bought`; languages that it does not hold are not counted."""
        rows = [[counts.get(name, 0) for name in self.bought] for counts in chosen]
        return np.array(rows, dtype=np.int64).reshape(len(chosen), len(self.bought))

    def matrix(self, counts: Counts, tested: Tested) -> Matrix:
        """A row for each plan with the language that it is tested in; NaN is what nobody knows.

        Labels enter as log(1 + n): ten more of ten are not ten more of a thousand.
        """
        total = counts.sum(axis=1)
        place = {name: i for i, name in enumerate(self.bought)}
        at = np.array([place.get(name, -1) for name in self.tested], dtype=np.int64)[tested]
        own = np.where(at >= 0, counts[np.arange(len(counts)), at], 0) if self.bought else total
        columns = [np.log1p(total), np.log1p(own), self.size[tested]]
        for table in self.near.values():
            # What was not bought does not count, and need not be known.
            weighted = np.where(counts > 0, counts * table[tested], 0.0).sum(axis=1)
            columns.append(np.log1p(weighted))
            columns.append(np.where(total > 0, weighted / np.maximum(total, 1), np.nan))
        is_tested = tested[:, None] == np.arange(len(self.tested))
        return np.column_stack([*columns, np.log1p(counts), is_tested.astype(np.float64)])


@dataclass(frozen=True, eq=False)
class Predictor:
    """Boosted trees over the columns that say anything."""

    columns: Columns
    says: np.ndarray
    trees: Any

    def __call__(self, counts: Counts, tested: Tested) -> Float[np.ndarray, "rows"]:
        """The score predicted for each plan in the language at this place of `columns.tested`."""
        return _predicted((self.says, self.trees), self.columns.matrix(counts, tested))


@dataclass(frozen=True, slots=True)
class Missed:
    """How far predictions of results are off that were not learned from."""

    off: float
    """Mean absolute error of the predictor, in score."""
    mean_off: float
    """The same of the mean: of all other results, or of those in the same language."""
    folds: int


@dataclass(frozen=True, eq=False)
class Learned:
    """A predictor, and what it is worth."""

    predictor: Predictor
    languages: Missed
    """Each tested language left out in turn (against the mean of all others)."""
    plans: Missed
    """Plans left out by tenths (against the mean of their language)."""


def mixture(outcome: Outcome) -> str:
    """A name for what was bought: the same for all seeds and tested languages of a plan."""
    return repr(sorted(outcome.chosen.items()))


def check_enough(outcomes: Sequence[Outcome], left_out: int = 0) -> None:
    """Refuse to learn from too few results; `left_out` is how many more could not be used."""
    had = {
        "results": (len(outcomes), ROWS),
        "different counts by language": (len({mixture(o) for o in outcomes}), MIXTURES),
        "tested languages": (len({o.language for o in outcomes}), TESTED),
    }
    if any(there < needed for there, needed in had.values()):
        told = ", ".join(f"{there} {what} ({n} needed)" for what, (there, n) in had.items())
        if left_out:
            told += f"; {left_out} more are of another task, not asked for, or of no language"
        raise UsageError(
            f"too few results to learn from: {told}",
            "give more results of this task, model and metric: of other strategies, budgets and "
            "targets; until then, --strategy egalitarian buys the same of every language",
        )


def learn(outcomes: Sequence[Outcome], columns: Columns) -> Learned:
    """Fit the predictor to enough outcomes; tell how far it is off what it has not seen."""
    # Sums of floats depend on their order; the plan shall not depend on that of the files.
    outcomes = sorted(outcomes, key=lambda o: (o.language, mixture(o), o.score))
    place = {name: i for i, name in enumerate(columns.tested)}
    tested = np.array([place[o.language] for o in outcomes], dtype=np.int64)
    matrix = columns.matrix(columns.counts([o.chosen for o in outcomes]), tested)
    scores = np.array([o.score for o in outcomes], dtype=np.float64)
    # Plans are told apart, not their results: another seed of a plan would give it away.
    plans = sorted({mixture(o) for o in outcomes}, key=lambda m: draw_of_name(0, "fold", m))
    fold = {name: i % FOLDS for i, name in enumerate(plans)}
    tenths = np.array([fold[mixture(o)] for o in outcomes], dtype=np.int64)
    return Learned(
        Predictor(columns, *_fitted(matrix, scores)),
        _missed(matrix, scores, tested, np.zeros_like(tested)),
        _missed(matrix, scores, tenths, tested),
    )


def _missed(
    matrix: Matrix, scores: Float[np.ndarray, "rows"], folds: Tested, alike: Tested
) -> Missed:
    """Leave out each fold in turn; the mean that is compared with is of what is `alike`."""
    off, mean_off = np.empty(len(scores)), np.empty(len(scores))
    for out, rest in _splits(folds):
        told = _predicted(_fitted(matrix[rest], scores[rest]), matrix[out])
        off[out] = np.abs(told - scores[out])
        mean_off[out] = [
            abs(score - _mean(scores[rest & (alike == kind)], scores[rest]))
            for score, kind in zip(scores[out], alike[out], strict=True)
        ]
    return Missed(float(off.mean()), float(mean_off.mean()), len(np.unique(folds)))


def _splits(folds: Tested) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for fold in np.unique(folds):
        yield folds == fold, folds != fold


def _mean(these: Float[np.ndarray, "n"], otherwise: Float[np.ndarray, "m"]) -> float:
    return float((these if len(these) else otherwise).mean())


def _fitted(matrix: Matrix, scores: Float[np.ndarray, "rows"]) -> tuple[np.ndarray, Any]:
    """Which columns say anything, and trees over them."""
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ModuleNotFoundError:
        raise UsageError(
            "scikit-learn is not installed: the predictor's trees are its",
            "pip install 'polymux[experiments]'",
        ) from None
    says = ~np.isnan(matrix).all(axis=0)
    with _one_thread():
        return says, HistGradientBoostingRegressor(**TREES).fit(matrix[:, says], scores)


def _predicted(fitted: tuple[np.ndarray, Any], matrix: Matrix) -> Float[np.ndarray, "rows"]:
    says, trees = fitted
    with _one_thread():
        told: Float[np.ndarray, "rows"] = trees.predict(matrix[:, says])
    return told


def _one_thread() -> AbstractContextManager[Any]:
    """Trees over some hundred rows take longer in threads, which wait for each other.

    On two busy cores fourteen fits took 54 s in two threads, 3 s in one.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="openmp")  # type: ignore[no-any-return]
