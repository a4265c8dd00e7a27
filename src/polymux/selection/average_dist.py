"""AVERAGE-DIST (DeMuX, section 3.1): the examples nearest to the target sample on average."""

from __future__ import annotations

import math
import warnings

import numpy as np
from jaxtyping import Float, Int

from polymux.records import Encodings
from polymux.selection.ask import Ask, Choice, Fetch, Strategy
from polymux.selection.distance import Target
from polymux.selection.draws import draw_of_name
from polymux.selection.summaries import Key, Smallest

# Over the target's examples, or over its languages (else clusters) first.
AVERAGES = ("mean", "macro")


def mean_distance(target: Target, weights: Float[np.ndarray, "targets"]) -> Key:
    """The key of AVERAGE-DIST: the (weighted) mean over t in X_t of d(x, t)."""

    def key(
        encodings: Encodings, n: int, cut: float
    ) -> tuple[Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
        lowest, highest = np.zeros(len(encodings)), np.zeros(len(encodings))
        for rows, targets, low, high in target.bounds(encodings.embeddings):
            lowest[rows] += low @ weights[targets]
            highest[rows] += high @ weights[targets]
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

    Without languages the target is cut into about sqrt(targets) clusters by k-means, which starts
    from vectors by their place: the caller gives the target in an order of its own.
    """
    groups = np.array([language or "" for language in languages], dtype=object)
    if not groups.any():
        groups = _clusters(target.metric.prepare(target.vectors), seed)
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weights: Float[np.ndarray, "targets"] = 1.0 / (len(sizes) * sizes[member])
    return weights


def _clusters(vectors: Float[np.ndarray, "targets dim"], seed: int) -> Int[np.ndarray, "targets"]:
    from scipy.cluster.vq import kmeans2

    rng = np.random.default_rng(draw_of_name(seed, "macro", "clusters"))
    count = min(math.isqrt(len(vectors)), len(np.unique(vectors, axis=0)))
    with warnings.catch_warnings(category=UserWarning, action="ignore"):
        # It warns of a cluster that came out empty, which only means one less of them.
        found: Int[np.ndarray, "targets"] = kmeans2(vectors, count, minit="++", rng=rng)[1]
    return found


def weighted_target(ask: Ask) -> tuple[Target, Float[np.ndarray, "targets"]]:
    """The target sample, and how much each of it counts."""
    # In the order of content, so that the target's file order decides nothing.
    order = np.lexsort((ask.target_hashes[:, 1], ask.target_hashes[:, 0]))
    target = Target.of(ask.target[order], ask.distance)
    languages = tuple(ask.target_languages[i] for i in order)
    if ask.average == "macro":
        return target, macro_weights(target, languages, ask.seed)
    return target, target.equal_weights()


def _begin(ask: Ask, size: int | None) -> Smallest:
    return Smallest(ask.depth, mean_distance(*weighted_target(ask)))


def in_order(seen: Smallest, ask: Ask, fetch: Fetch) -> Choice:
    """The examples with the smallest keys, smallest first."""
    return Choice(seen.rows[: ask.depth])


AVERAGE_DIST = Strategy(
    "smallest mean distance to the target sample (DeMuX 3.1)",
    _begin,
    in_order,
    is_prefix_consistent=True,
)
