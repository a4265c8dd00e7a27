"""AVERAGE-DIST (DeMuX, section 3.1): the examples nearest to the target sample on average."""

from __future__ import annotations

import math
import warnings

import numpy as np
from jaxtyping import Float, Int

from polymux.selection.ask import Ask, Choice, Fetch, Strategy
from polymux.selection.bounded import Bounded, Bounds, Levels
from polymux.selection.distance import Target
from polymux.selection.draws import draw_of_name
from polymux.selection.summaries import Smallest

# Over the target's examples, or over its languages (else clusters) first.
AVERAGES = ("mean", "macro")


def mean_distance(target: Target, weights: Float[np.ndarray, "targets"]) -> Levels:
    """The key of AVERAGE-DIST, ever finer: the (weighted) mean over t in X_t of d(x, t)."""

    def directly(vectors: Float[np.ndarray, "n dim"]) -> Bounds:
        means = target.mean(vectors, weights)
        return means, means

    return (
        lambda vectors: target.mean_bounds(vectors, weights),
        lambda vectors: target.mean_bounds(vectors, weights, np.float64),
        directly,
    )


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
    target = Target.of(ask.target[order], ask.distance, ask.product)
    languages = tuple(ask.target_languages[i] for i in order)
    if ask.average == "macro":
        return target, macro_weights(target, languages, ask.seed)
    return target, target.equal_weights()


def _begin(ask: Ask, size: int | None) -> Bounded:
    return Bounded(ask.depth, mean_distance(*weighted_target(ask)))


def in_order(seen: Smallest | Bounded, ask: Ask, fetch: Fetch) -> Choice:
    """The examples with the smallest keys, smallest first."""
    return Choice(seen.rows[: ask.depth])


AVERAGE_DIST = Strategy(
    "smallest mean distance to the target sample (DeMuX 3.1)",
    _begin,
    in_order,
    is_prefix_consistent=True,
    seeded_from=None,
)
