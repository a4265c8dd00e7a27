"""Does near mean the same language? How far the representation clusters, and what undoes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from polymux.diagnosis.findings import Finding, Result, share
from polymux.diagnosis.spread import distances, neighbours

NEIGHBOURS = 10
# How far purity lies from chance to certainty.
SOME, MUCH = 0.5, 0.9
# A group needs more members than are looked for, or its purity cannot be high.
MEMBERS = NEIGHBOURS + 1
# Of fewer examples a direction, whitening makes all distances the same.
EXAMPLES_A_DIRECTION = 8

Basis = Literal["language", "script", "cluster"]


@dataclass(frozen=True, slots=True)
class Purity:
    """How much of the nearest is of the same group."""

    of_ten: float
    """Mean share of the ten nearest others that are of the same group."""
    within: float
    """Mean L2 distance of two examples of one group, over those between groups."""


@dataclass(frozen=True, slots=True)
class Clustering(Result):
    """How far a sample of the pool clusters by language, script, or by itself."""

    by: Basis
    """What a group is: clusters (k-means) only where there is neither language nor two scripts."""
    groups: int
    examples: int
    chance: float
    """Purity of a representation that knows nothing of the groups."""
    plain: Purity
    centred: Purity
    """With each group's mean taken off."""
    whitened: Purity
    """With all leading directions made equally long."""

    @property
    def lift(self) -> float:
        """How far purity lies from chance (0) to certainty (1)."""
        return (self.plain.of_ten - self.chance) / (1 - self.chance)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """On whether nearness is more than a language in common."""
        if self.by == "cluster":
            told = f"the pool falls into {self.groups} clusters; distances within are "
            told += f"{share(self.plain.within)} of those between them"
            more = "give --language to know whether they are languages"
            return (Finding("note", told, more),)
        told = (
            f"{share(self.plain.of_ten)} of the ten nearest of a pool example are in its "
            f"{self.by} ({share(self.chance)} by chance; {share(self.centred.of_ten)} with each "
            f"{self.by}'s mean taken off, {share(self.whitened.of_ten)} whitened)"
        )
        if self.lift < SOME:
            return (Finding("good", told),)
        if self.lift < MUCH:
            return (Finding("note", told, "see whether the choice is in more than one language"),)
        return (
            Finding(
                "warning",
                f"the representation clusters by {self.by}: {told}",
                f"nearness will choose a {self.by} before it chooses an example: compare "
                + ("egalitarian or --at-most, or " if self.by == "language" else "")
                + "start from a better aligned encoder"
                + ("" if self.by == "language" else "; with --language, compare egalitarian"),
            ),
        )


def clustering(
    embeddings: Float[np.ndarray, "n dim"],
    languages: Sequence[str | None],
    scripts: Sequence[str | None],
    seed: int,
) -> Clustering | None:
    """How far a sample clusters; the caller bounds it. None where it is too small to tell."""
    by, names = _groups(embeddings, languages, scripts, seed)
    sizes = Counter(names)
    # Examples without a language are no group of their own.
    kept = np.array([name != "" and sizes[name] >= MEMBERS for name in names])
    if not kept.any() or len(set(np.array(names, dtype=object)[kept])) < 2:
        return None
    x = embeddings[kept].astype(np.float64)
    _, group = np.unique(np.array(names, dtype=object)[kept].astype(str), return_inverse=True)
    counts = np.bincount(group)
    means = np.stack([x[group == g].mean(axis=0) for g in range(len(counts))])
    return Clustering(
        by=by,
        groups=len(counts),
        examples=len(x),
        chance=float((counts * (counts - 1)).sum() / (len(x) * (len(x) - 1))),
        plain=_purity(x, group),
        centred=_purity(x - means[group], group),
        whitened=_purity(_whitened(x), group),
    )


def _groups(
    embeddings: Float[np.ndarray, "n dim"],
    languages: Sequence[str | None],
    scripts: Sequence[str | None],
    seed: int,
) -> tuple[Basis, list[str]]:
    """What can be told apart: languages where they are given, else scripts, else clusters."""
    for by, given in (("language", languages), ("script", scripts)):
        sizes = Counter(given)
        if sum(count >= MEMBERS for name, count in sizes.items() if name is not None) > 1:
            return by, [name or "" for name in given]  # type: ignore[return-value]
    from scipy.cluster.vq import kmeans2

    count = max(1, min(8, len(embeddings) // (2 * MEMBERS)))
    rng = np.random.default_rng(seed)
    wide = embeddings.astype(np.float64)
    if count == 1 or len(np.unique(wide, axis=0)) <= count:
        return "cluster", [""] * len(embeddings)
    found = kmeans2(wide, count, minit="++", rng=rng, missing="warn")[1]
    return "cluster", [str(label) for label in found.tolist()]


def _purity(x: Float[np.ndarray, "n dim"], group: np.ndarray) -> Purity:
    apart = distances(x)
    nearest = neighbours(apart, NEIGHBOURS)
    is_same = group[:, None] == group[None, :]
    np.fill_diagonal(apart, 0.0)
    pairs_within = is_same.sum() - len(x)
    within = apart[is_same].sum() / pairs_within
    between = apart[~is_same].mean()
    ratio = float(within / between) if between > 0 else 1.0
    return Purity(float((group[nearest] == group[:, None]).mean()), ratio)


def _whitened(x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n directions"]:
    u, lengths, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    most = max(1, len(x) // EXAMPLES_A_DIRECTION)
    is_real = lengths > 1e-6 * max(float(lengths[0]), np.finfo(float).tiny)
    kept: Float[np.ndarray, "n directions"] = u[:, is_real][:, :most] * np.sqrt(len(x))
    return kept
