"""How sure an estimate from few labels is: of a score on a random sample, of a gain over random.

A score is a ratio of sums, so that of each example its two parts are kept (`Task.counts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

LEVEL = 0.95
# Two made-up right examples and two wrong ones: the interval of a share then holds the truth about
# as often as it says even of few examples, or when all of them are right (Agresti and Coull 1998).
_MADE_UP = 2

Parts = Float[np.ndarray, "examples 2"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval that holds the truth in 95 of 100 cases."""

    value: float
    low: float
    high: float
    n: int
    """Examples that it rests on."""

    @property
    def holds_zero(self) -> bool:
        """Whether nothing can be said of the sign."""
        return self.low <= 0 <= self.high


def score_interval(parts: Parts) -> Interval:
    """The score of all examples from which these were drawn at random.

    A ratio estimator with Student's t, and four examples made up; in [0, 1].
    """
    right, total = parts.sum(axis=0)
    size = total / len(parts) if total else 1.0
    made_up = [(size, size), (0.0, size)] * _MADE_UP
    shrunk = np.concatenate([parts, made_up])
    middle = shrunk[:, 0].sum() / shrunk[:, 1].sum()
    half = _t(len(shrunk) - 1.0) * np.sqrt(_variance(_influence(shrunk)))
    return Interval(
        float(right / total) if total else 0.0,
        float(max(0.0, middle - half)),
        float(min(1.0, middle + half)),
        len(parts),
    )


def difference(ours: Parts, theirs: Parts) -> Interval:
    """How much better one model scores than another on the same examples, drawn at random."""
    apart = _influence(ours) - _influence(theirs)
    half = _t(len(apart) - 1.0) * np.sqrt(_variance(apart))
    value = _score(ours) - _score(theirs)
    return Interval(value, float(value - half), float(value + half), len(apart))


def gain(chosen: Sequence[Parts], random: Sequence[Parts]) -> Interval:
    """How much better models trained on chosen labels are than those trained on random labels.

    Args:
        chosen: The test examples' parts by models trained on the same chosen labels, each with
            its own seed.
        random: The same by models trained on the random labels but for one block each, with as
            many labels: their spread, by the jackknife, holds the luck of the draw and of training.

    The interval holds the luck of the test examples, of training and of the random draw.
    """
    runs = len(random)
    ours, theirs = (np.array([_score(one) for one in side]) for side in (chosen, random))
    test = np.mean([_influence(a) for a in chosen], axis=0)
    test = test - np.mean([_influence(b) for b in random], axis=0)
    training = ours.var(ddof=1)
    jackknife = (runs - 1) / runs * ((theirs - theirs.mean()) ** 2).sum()
    # The jackknife blows up the luck of training: it holds (runs - 1)^2 / runs of its variance,
    # the mean has 1 / runs: runs - 2 too much. The chosen side tells that variance, from few runs:
    # half of it is taken off; with all of it the interval held the truth in 90 of 100 cases only.
    drawing = max(jackknife - (runs - 2) / 2 * training, training / runs)
    variances = np.array([_variance(test), training / len(ours), drawing])
    value = float(ours.mean() - theirs.mean())
    spread = variances.sum()
    if spread == 0:
        return Interval(value, value, value, len(test))
    # Satterthwaite's degrees of freedom of a sum of variances.
    freedom = spread**2 / (variances**2 / [len(test) - 1, len(ours) - 1, runs - 1]).sum()
    half = _t(float(freedom)) * float(np.sqrt(spread))
    return Interval(value, value - half, value + half, len(test))


def _score(parts: Parts) -> float:
    right, total = parts.sum(axis=0)
    return float(right / total) if total else 0.0


def _influence(parts: Parts) -> Float[np.ndarray, "examples"]:
    """What each example moves the ratio of the sums by, times their number."""
    mean = parts[:, 1].mean() or 1.0
    moved: Float[np.ndarray, "examples"] = (parts[:, 0] - _score(parts) * parts[:, 1]) / mean
    return moved


def _variance(influence: Float[np.ndarray, "examples"]) -> float:
    """Of the mean."""
    return float(influence.var(ddof=1) / len(influence)) if len(influence) > 1 else np.inf


def _t(freedom: float) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))
