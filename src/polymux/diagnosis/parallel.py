"""Are examples of the pool translations of each other?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polymux.diagnosis.findings import Finding, Result, share

SOME, MANY = 0.1, 0.3


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
        if self.lift <= SOME:
            return (Finding("good", f"the pool does not look parallel: {told}"),)
        return (
            Finding(
                "warning" if self.lift > MANY else "note",
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
    from scipy.spatial.distance import cdist

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
            nearest = cdist(ours, theirs).argmin(axis=1)
            hits += (nearest == np.arange(len(shared))).tolist()
            chances += [1 / len(shared)] * len(shared)
            matched |= set(shared)
    if not hits:
        return None
    return Parallel(len(matched), by, len(hits), float(np.mean(hits)), float(np.mean(chances)))
