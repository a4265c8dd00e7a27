"""UNCERTAINTY (DeMuX, section 3.2): the examples the model is least sure of."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from polymux.records import SHARD_SIZE, Encodings
from polymux.selection.ask import Ask, Choice, Fetch, Strategy
from polymux.selection.average_dist import in_order
from polymux.selection.distance import Target
from polymux.selection.summaries import Key, Smallest


def least_sure(measure: str) -> Key:
    """The key of UNCERTAINTY: -u(x), so that the least sure comes first."""

    def key(
        encodings: Encodings, n: int, cut: float
    ) -> tuple[Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
        keys = -encodings.of_measure(measure).astype(np.float64)
        positions = np.flatnonzero(keys <= cut)
        return positions, keys[positions]

    return key


UNCERTAINTY = Strategy(
    "largest uncertainty (DeMuX 3.2); may hurt token tasks at low budgets",
    lambda ask, size: Smallest(ask.depth, least_sure(ask.measure)),
    in_order,
    is_prefix_consistent=True,
    seeded_from=None,
)


def looked_at(ask: Ask) -> int:
    """How many of the least sure UNCERTAINTY-KNN looks at."""
    return max(ask.depth, math.ceil(ask.ratio * ask.budget))


def _begin_wide(ask: Ask, size: int | None) -> Smallest:
    return Smallest(looked_at(ask), least_sure(ask.measure))


def nearest_target(rows: Int[np.ndarray, "n"], ask: Ask, fetch: Fetch) -> Float[np.ndarray, "n"]:
    """The distance of these rows to the target nearest to each."""
    target = Target.of(ask.target, ask.distance, ask.product)
    nearest = np.empty(len(rows))
    # By row: what is fetched at once stands together, and no more than a shard of it.
    by_row = np.argsort(rows)
    for start in range(0, len(rows), SHARD_SIZE):
        part = by_row[start : start + SHARD_SIZE]
        nearest[part] = target.nearest_distance(fetch(rows[part]).embeddings)
    return nearest


def uncertainty_knn(seen: Smallest, ask: Ask, fetch: Fetch) -> Choice:
    """Of the `ratio` x B least sure, those with the smallest distance to their nearest target.

    The open question of DeMuX, section 9: first uncertainty, then nearness.
    """
    wide = looked_at(ask)
    rows, hashes = seen.rows[:wide], seen.hashes[:wide]
    nearest = nearest_target(rows, ask, fetch)
    order = np.lexsort((rows, hashes[:, 1], hashes[:, 0], nearest))
    return Choice(rows[order][: ask.depth], {"looked_at": len(rows)})


UNCERTAINTY_KNN = Strategy(
    "of the ratio x B least sure, the nearest to any target example (DeMuX 9)",
    _begin_wide,
    uncertainty_knn,
    seeded_from=None,
)
