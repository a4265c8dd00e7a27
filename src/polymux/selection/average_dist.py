"""AVERAGE-DIST (DeMuX, section 3.1): the examples nearest to the target sample on average."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from polymux.records import Encodings
from polymux.selection.ask import Ask, Choice, Fetch, Strategy
from polymux.selection.distance import Target
from polymux.selection.summaries import Key, Smallest

# Over the target's examples, or over its languages (else clusters) first.
AVERAGES = ("mean", "macro")


def mean_distance(target: Target, weights: Float[np.ndarray, "targets"]) -> Key:
    """The key of AVERAGE-DIST: the (weighted) mean over t in X_t of d(x, t)."""

    def key(
        encodings: Encodings, n: int, cut: float
    ) -> tuple[Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
        if len(encodings) == 0:
            return np.empty(0, dtype=np.int64), np.empty(0)
        squares, slack = target.screen(encodings.embeddings)
        lowest = (target.metric.finish(np.maximum(squares - slack, 0.0)) * weights).sum(axis=1)
        highest = (target.metric.finish(squares + slack) * weights).sum(axis=1)
        bound = cut
        if len(encodings) > n:
            bound = min(bound, float(np.partition(highest, n - 1)[n - 1]))
        # The sums above and the direct ones below may round differently.
        positions = np.flatnonzero(lowest * (1 - 1e-12) <= bound)
        return positions, target.mean(encodings.embeddings[positions], weights)

    return key


def macro_weights(
    target: Target, languages: tuple[str | None, ...], seed: int
) -> Float[np.ndarray, "targets"]:
    """Weights under which every language of the target counts the same, or every cluster of it.

    Without languages the target is cut into about sqrt(targets) clusters by k-means.
    """
    groups = np.array([language or "" for language in languages], dtype=object)
    if not groups.any():
        from scipy.cluster.vq import kmeans2

        count = max(1, math.isqrt(len(target.vectors)))
        _, groups = kmeans2(target.vectors, count, minit="++", rng=np.random.default_rng(seed))
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weights: Float[np.ndarray, "targets"] = 1.0 / (len(sizes) * sizes[member])
    return weights


def _begin(ask: Ask, size: int | None) -> Smallest:
    target = Target.of(ask.target, ask.distance)
    weights = (
        macro_weights(target, ask.target_languages, ask.seed)
        if ask.average == "macro"
        else target.equal_weights()
    )
    return Smallest(ask.depth, mean_distance(target, weights))


def in_order(seen: Smallest, ask: Ask, fetch: Fetch) -> Choice:
    """The examples with the smallest keys, smallest first."""
    return Choice(seen.rows[: ask.depth])


AVERAGE_DIST = Strategy(
    "smallest mean distance to the target sample (DeMuX 3.1)",
    _begin,
    in_order,
    is_prefix_consistent=True,
)
