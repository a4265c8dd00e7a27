"""Does the pool say the same thing many times?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from polymux.diagnosis.findings import Finding, Result, share
from polymux.diagnosis.likeness import NEAR_DUPLICATE

SOME, MANY = 0.05, 0.20


@dataclass(frozen=True, slots=True)
class Redundancy(Result):
    """How much of the pool is there more than once."""

    read: int
    duplicates: int
    """Exact ones, which are left out and cost nothing."""
    looked_at: int
    near_duplicates: int
    """Pool examples whose trigrams are at least 0.8 (Jaccard) those of one of their ten nearest."""
    across: int | None
    """Those of them whose near-duplicate is in another language; None without languages."""
    spacing: float | None
    """Median L2 distance of a pool example to its nearest near-duplicate."""

    @property
    def share(self) -> float:
        """Of the examples looked at, those with a near-duplicate."""
        return self.near_duplicates / self.looked_at

    @property
    def findings(self) -> tuple[Finding, ...]:
        """On near-duplicates, which labels would be spent on again."""
        told = (
            f"{share(self.share)} of the pool ({self.looked_at:,} looked at) has a near-duplicate "
            f"in it; exact duplicates left out: {self.duplicates:,}"
        )
        if self.across:
            told += f"; {share(self.across / self.looked_at)} has one in another language"
        if self.share <= SOME:
            return (Finding("good", told),)
        apart = f"--near-duplicates {self.spacing:.3g}" if self.spacing else "--near-duplicates X"
        return (
            Finding(
                "warning" if self.share > MANY else "note",
                f"{told}: labels would be bought twice",
                f"pass over what is too near to something chosen: {apart}",
            ),
        )


def redundancy(
    likeness: Float[np.ndarray, "reference k"],
    apart: Float[np.ndarray, "reference k"],
    is_other_language: Bool[np.ndarray, "reference k"] | None,
    *,
    read: int,
    duplicates: int,
) -> Redundancy:
    """Near-duplicates among each pool example's nearest, by the likeness of their texts.

    `apart` holds their L2 distances, infinite where there is no such neighbour.
    """
    is_same = likeness >= NEAR_DUPLICATE
    has_same = is_same.any(axis=1)
    nearest = np.where(is_same, apart, np.inf).min(axis=1)[has_same]
    return Redundancy(
        read=read,
        duplicates=duplicates,
        looked_at=len(likeness),
        near_duplicates=int(has_same.sum()),
        across=None
        if is_other_language is None
        else int((is_same & is_other_language).any(axis=1).sum()),
        spacing=float(np.median(nearest)) if len(nearest) else None,
    )
