"""What choosing can gain over random labels, as far as unlabelled text can tell: not far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polymux.diagnosis.findings import Finding, Result, share

# Below this, the nearest of the whole pool is hardly nearer than the nearest of a random choice.
LITTLE = 0.05
UNKNOWN = (
    "how many points that is worth cannot be known from unlabelled text; the control slice of a "
    "campaign measures it"
)


@dataclass(frozen=True, slots=True)
class Expected(Result):
    """What nearness has to offer at a budget, and nothing of what labels will be worth."""

    budget: int
    pool: int
    """Examples that may be chosen."""
    random: int
    """Size of the random choice that was compared: the budget, or what was looked at."""
    near: float
    """Median L2 distance of a target example to the nearest of the pool."""
    near_random: float
    """The same to the nearest of the random choice."""

    @property
    def nearer(self) -> float:
        """By which share the nearest is nearer than random."""
        return 1 - self.near / self.near_random if self.near_random > 0 else 0.0

    @property
    def findings(self) -> tuple[Finding, ...]:
        """On the room that there is for choosing."""
        if self.budget >= self.pool:
            told = f"the budget of {self.budget:,} buys the whole pool of {self.pool:,}: there is "
            return (Finding("warning", f"{told}nothing to choose", "ask for fewer, or add files"),)
        told = (
            f"the nearest pool example is {share(max(0.0, self.nearer))} nearer to the target than "
            f"the nearest of {self.random:,} random ones (medians)"
        )
        if self.nearer < LITTLE:
            return (
                Finding(
                    "warning",
                    f"{told}: nearness has little to offer over random at this budget",
                    "compare with random before you pay for the difference",
                ),
            )
        return (Finding("note", f"{told}; {UNKNOWN}", "keep --control in the campaign"),)


def expected(
    to_pool: Float[np.ndarray, "targets"],
    to_random: Float[np.ndarray, "targets"],
    *,
    budget: int,
    pool: int,
    random: int,
) -> Expected:
    """Distances of each target to the nearest of the pool, and of a random choice from it."""
    return Expected(budget, pool, random, float(np.median(to_pool)), float(np.median(to_random)))
