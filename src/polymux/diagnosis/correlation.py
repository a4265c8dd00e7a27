"""Is the target unsure where its source neighbours are? What knn-uncertainty rests on (5.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polymux.diagnosis.findings import Finding, Result

# Neighbours: 1 to MOST; the one that is judged was named beforehand.
MOST, JUDGED = 64, 8
# The paper reports more than 0.7 for all of its tasks.
CLAIMED = 0.7
WEAK = 0.3
# The interval needs at least four pairs, and says nothing of fewer than this.
ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's r with its 95 % interval by Fisher's z."""

    k: int
    r: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Neighbourhood(Result):
    """r(k) of a target example's uncertainty and the mean of its k nearest source examples'."""

    targets: int
    curve: tuple[Correlation, ...]
    """Empty where there are under four targets or nothing varies."""

    @property
    def judged(self) -> Correlation | None:
        """At k = 8, or the largest k that the pool has."""
        return next((c for c in reversed(self.curve) if c.k <= JUDGED), None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """On whether doubts about neighbours tell of doubts about the target."""
        found = self.judged
        if found is None or self.targets < ENOUGH:
            told = (
                f"{self.targets:,} target examples, or doubts that are all the same, do not tell "
            )
            told += "whether uncertainty near the target is uncertainty about it"
            return (Finding("note", told, "give more target examples"),)
        told = (
            f"the model's doubts about the target and about its {found.k} nearest source examples "
            f"go together with r = {found.r:.2f} ({found.low:.2f} to {found.high:.2f})"
        )
        if found.high < WEAK:
            do = "what knn-uncertainty rests on is missing: keep --control to see whether it pays"
            what = "what is unsure near the target is not what is unsure in it"
            return (Finding("warning", f"{told}: {what}", do),)
        if found.low < WEAK:
            do = "give more target examples, or buy a control slice with the first round"
            return (Finding("note", f"{told}: too little to rely on", do),)
        claimed = f"; the paper reports more than {CLAIMED}" if found.r < CLAIMED else ""
        return (Finding("good", f"{told}{claimed}"),)


def neighbourhood(
    uncertainty: Float[np.ndarray, "targets"],
    nearest: Float[np.ndarray, "targets k"],
) -> Neighbourhood:
    """r(k) for every k, from the uncertainty of each target's nearest source examples in order."""
    from scipy import stats

    means = np.cumsum(nearest, axis=1) / np.arange(1, nearest.shape[1] + 1)
    curve = []
    for k in range(1, nearest.shape[1] + 1):
        mean = means[:, k - 1]
        if len(uncertainty) < 4 or np.ptp(mean) == 0 or np.ptp(uncertainty) == 0:
            continue
        found = stats.pearsonr(uncertainty, mean)
        interval = found.confidence_interval(0.95)
        curve.append(
            Correlation(k, float(found.statistic), float(interval.low), float(interval.high))
        )
    return Neighbourhood(len(uncertainty), tuple(curve))
