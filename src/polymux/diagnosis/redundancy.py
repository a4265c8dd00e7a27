"""Does the pool say the same thing many times, in one language or in several?"""

from __future__ import annotations

from collections.abc import Sequence
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
            f"in it, besides {self.duplicates:,} exact duplicates that are left out"
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


PARALLEL_SOME, PARALLEL_MANY = 0.1, 0.3


@dataclass(frozen=True, slots=True)
class Parallel(Result):
    """Whether examples with one key (a file's id, or the place in it) are translations."""

    keys: int
    """That were looked at, each in two languages or more."""
    by: str
    """What the key is."""
    pairs: int
    """Of examples in two languages with one key, each counted from both sides."""
    found: float
    """Share of the pairs in which the other one is the nearest of its language among the keys
    looked at, each language's mean taken off."""
    chance: float
    """What that share would be if nothing were parallel."""

    @property
    def lift(self) -> float:
        """How far the share lies from chance to certainty."""
        return (self.found - self.chance) / (1 - self.chance)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """On one sentence being bought in many languages."""
        told = (
            f"of examples with the same {self.by} in two languages, {share(self.found)} have the "
            f"other one nearest ({share(self.chance)} by chance, {self.keys:,} looked at)"
        )
        if self.lift <= PARALLEL_SOME:
            return (Finding("good", f"the pool does not look parallel: {told}"),)
        return (
            Finding(
                "warning" if self.lift > PARALLEL_MANY else "note",
                f"the pool looks parallel, so that one sentence can be bought in many languages: "
                f"{told}",
                "buy one of each: --one-of "
                + ("number" if self.by == "number in its file" else "FIELD, the field with the id"),
            ),
        )


def parallel(
    embeddings: Float[np.ndarray, "n dim"],
    languages: Sequence[str],
    keys: Sequence[str],
    by: str,
) -> Parallel | None:
    """Whether the example with the same key is the nearest one of another language.

    One example a key and language; None where no key stands in two languages with others.
    """
    names, keyed = np.array(languages, dtype=object), np.array(keys, dtype=object)
    centred: dict[str, np.ndarray] = {}
    place: dict[str, dict[str, int]] = {}
    for name in sorted(set(languages)):
        own = np.flatnonzero(names == name)
        centred[name] = embeddings[own] - embeddings[own].mean(axis=0)
        place[name] = {key: at for at, key in enumerate(keyed[own].tolist())}
    hits, chances, matched = [], [], set()
    for one in centred:
        for other in centred:
            shared = [key for key in place[one] if key in place[other]]
            if one == other or len(shared) < 2:
                continue
            ours = centred[one][[place[one][key] for key in shared]]
            theirs = centred[other][[place[other][key] for key in shared]]
            squares = (
                np.square(ours).sum(axis=1)[:, None]
                + np.square(theirs).sum(axis=1)[None, :]
                - 2 * ours @ theirs.T
            )
            nearest = squares.argmin(axis=1)
            hits += (nearest == np.arange(len(shared))).tolist()
            chances += [1 / len(shared)] * len(shared)
            matched |= set(shared)
    if not hits:
        return None
    return Parallel(len(matched), by, len(hits), float(np.mean(hits)), float(np.mean(chances)))
