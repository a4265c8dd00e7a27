"""Is the target sample large enough, counting what is the same only once?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polymux.diagnosis.findings import Finding, Result, share
from polymux.diagnosis.likeness import NEAR_DUPLICATE
from polymux.diagnosis.spread import effective_size

# Below FEW, what is near to the target is mostly chance; below FAIR another sample of the same
# target could well have led to another choice.
FEW, FAIR = 20, 50
# Where this share of a sample repeats itself, the choice serves those repetitions.
REPEATED = 0.2


@dataclass(frozen=True, slots=True)
class TargetSize(Result):
    """How much a target sample is worth."""

    read: int
    duplicates: int
    """Exact ones, which were left out."""
    examples: int
    near_duplicates: int
    """Of those that were looked at: whose trigrams are at least 0.8 (Jaccard) those of an earlier
    example among their ten nearest."""
    looked_at: int
    effective: float
    """Participation ratio of a kernel as wide as neighbours of the pool lie apart, scaled to
    `examples`."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """On its size, and on what repeats itself in it."""
        return (self._size(), *self._repeated())

    def _size(self) -> Finding:
        told = f"the target sample has {self.examples:,} examples, worth {self.effective:,.0f} "
        told += "different ones"
        more = "give more examples of what you care about: they need no labels"
        if min(self.examples, self.effective) < FEW:
            return Finding("warning", f"{told}: nearness to so few is mostly chance", more)
        if min(self.examples, self.effective) < FAIR:
            return Finding("note", f"{told}: another sample could lead to another choice", more)
        return Finding("good", told)

    def _repeated(self) -> tuple[Finding, ...]:
        same = self.duplicates / self.read
        near = self.near_duplicates / self.looked_at
        if max(same, near) < REPEATED:
            return ()
        told = f"the target sample repeats itself: {share(same)} exact duplicates (counted once)"
        told += f", {share(near)} of the rest near-duplicates"
        more = "sample it anew, evenly over what you care about"
        return (Finding("warning", told, more),)


def target_size(
    apart: Float[np.ndarray, "targets targets"],
    is_near_duplicate: list[bool],
    spacing: float,
    *,
    read: int,
    duplicates: int,
) -> TargetSize:
    """Size and effective size of a target sample.

    `apart` holds the distances among those that were looked at, `spacing` how far apart neighbours
    of the pool lie (their median); `read` and `duplicates` count the whole sample.
    """
    examples = read - duplicates
    return TargetSize(
        read=read,
        duplicates=duplicates,
        examples=examples,
        near_duplicates=sum(is_near_duplicate),
        looked_at=len(apart),
        effective=effective_size(apart, spacing) * examples / len(apart),
    )


def repeats(likeness: list[list[float]]) -> list[bool]:
    """Whether something before it, of those compared, is nearly the same."""
    return [any(one >= NEAR_DUPLICATE for one in before) for before in likeness]
