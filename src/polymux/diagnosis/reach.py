"""Which parts of the target have nothing near in the pool, where no choice can help."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polymux.diagnosis.findings import Finding, Result, share

# A target example is out of reach if its nearest pool example is farther than the nearest of all
# but 1 % of the pool's own examples.
QUANTILE = 0.99
# By that definition 1 % of a target like the pool is out of reach.
SOME, MANY, MOST = 0.03, 0.10, 0.5


@dataclass(frozen=True, slots=True)
class Reach(Result):
    """How much of the target the pool reaches."""

    targets: int
    threshold: float
    """L2 distance, the 99 % quantile of the pool's own nearest-neighbour distances."""
    pool_examples: int
    """That it was measured on."""
    out_of_reach: tuple[int, ...]
    """Places of target examples, the farthest first."""
    median_distance: float
    """Of target examples to their nearest in the pool."""
    median_spacing: float
    """Of pool examples to theirs."""
    overlap: int
    """Pool examples that also stand in the target sample."""

    @property
    def share(self) -> float:
        """Of the target examples, those out of reach."""
        return len(self.out_of_reach) / self.targets

    @property
    def findings(self) -> tuple[Finding, ...]:
        """On what is out of reach, and on what stands in both."""
        return (self._reached(), *self._shared())

    def _reached(self) -> Finding:
        told = (
            f"{share(self.share)} of the target ({len(self.out_of_reach):,} of {self.targets:,}) "
            f"lies farther from everything in the pool than 99 % of the pool from its own nearest "
            f"({self.threshold:.3g})"
        )
        if self.share > MOST:
            return Finding(
                "warning",
                f"{told}: no choice can help there but by transfer",
                "collect examples like the target, or expect what a model carries over from others",
            )
        if self.share > MANY:
            return Finding(
                "warning",
                f"{told}: no choice can help there",
                "collect examples like those that are listed",
            )
        if self.share > SOME:
            return Finding(
                "note", told, "look at those that are listed: noise, or worth collecting"
            )
        return Finding("good", told)

    def _shared(self) -> tuple[Finding, ...]:
        if not self.overlap:
            return ()
        return (
            Finding(
                "note",
                f"{self.overlap:,} pool examples also stand in the target sample",
                "leave them out with --exclude-target if the target will be tested on",
            ),
        )


def reach(
    to_pool: Float[np.ndarray, "targets"],
    own: Float[np.ndarray, "reference"],
    overlap: int = 0,
) -> Reach:
    """What is out of reach, from each target's distance to the pool and the pool's own spacing.

    `own` holds distances of pool examples to their nearest other one that is no near-duplicate.
    """
    threshold = float(np.quantile(own, QUANTILE))
    order = np.argsort(-to_pool, kind="stable")
    beyond = order[to_pool[order] > threshold]
    return Reach(
        targets=len(to_pool),
        threshold=threshold,
        pool_examples=len(own),
        out_of_reach=tuple(beyond.tolist()),
        median_distance=float(np.median(to_pool)),
        median_spacing=float(np.median(own)),
        overlap=overlap,
    )
