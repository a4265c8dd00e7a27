"""KNN-UNCERTAINTY (DeMuX, section 3.3): near the target first, then the least sure of those."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int

from polymux.records import Hashes
from polymux.selection.ask import Ask, Choice, Fetch, Strategy
from polymux.selection.distance import Target
from polymux.selection.summaries import Nearest

# A first look takes this many budgets of neighbours in all; their union is often much smaller.
FIRST_LOOK = 4


def reach(ask: Ask) -> int:
    """How many candidates are enough; one target alone gives them with as many neighbours."""
    return math.ceil((ask.candidates or 1.0) * ask.budget) + ask.more_than_budget


def _doubled(first: int, least: int) -> int:
    """The first doubling of `first` that is not below `least`."""
    return first << max(0, math.ceil(least / first) - 1).bit_length()


def begin_nearest(ask: Ask, size: int | None) -> Nearest:
    """Neighbour lists long enough, most likely, that their union reaches the budget.

    Their length is a doubling of the first k, and never more than can be of use.
    """
    # The doubling that fills a ranking longer than the budget may overshoot it.
    useful = max(reach(ask), 2 * ask.depth if ask.depth > ask.budget else 0)
    wanted = size or FIRST_LOOK * math.ceil(reach(ask) / len(ask.target))
    k = _doubled(ask.k, min(wanted, useful))
    return Nearest(k, Target.of(ask.target, ask.distance, ask.product), ask.measure)


def union(seen: Nearest, k: int) -> tuple[Int[np.ndarray, "c"], Float[np.ndarray, "c"], Hashes]:
    """Rows, uncertainty and hashes of the union over all targets of their k nearest."""
    held = seen.rows[:, :k] >= 0
    rows, first = np.unique(seen.rows[:, :k][held], return_index=True)
    return rows, seen.uncertainty[:, :k][held][first], seen.hashes[:, :k][held][first]


def _candidate_count(seen: Nearest, k: int) -> int:
    return len(union(seen, k)[0])


def _find_k(seen: Nearest, ask: Ask) -> int | None:
    """The first k, doubled while the union is short of the budget; None if the lists are too short.

    With `candidates` it is the smallest k that reaches them instead.
    """
    enough, k = reach(ask), ask.k
    while k < seen.seen and _candidate_count(seen, k) < enough:
        k *= 2
        if k > seen.k and not seen.is_everything:
            return None
    k = min(k, seen.seen)
    if ask.candidates is None:
        return k
    low, high = 1, k
    while low < high:
        middle = (low + high) // 2
        if _candidate_count(seen, middle) >= enough:
            high = middle
        else:
            low = middle + 1
    return low


def knn_uncertainty(seen: Nearest, ask: Ask, fetch: Fetch) -> Choice | None:
    """C = union over t of the k nearest source examples of t; the B least sure of C.

    k starts at `ask.k` and doubles while |C| < B. A ranking longer than C goes on with what the
    next doublings add, each by uncertainty.
    """
    k = _find_k(seen, ask)
    if k is None:
        return None
    rows, uncertainty, hashes = union(seen, k)
    order = _least_sure_first(uncertainty, hashes)
    ranking, ordered = rows[order], uncertainty[order]
    facts: dict[str, float] = {
        "k": k,
        "candidates": len(rows),
        "candidates_at_half_k": _candidate_count(seen, k // 2) if k > 1 else 0,
    }
    if len(ordered) > ask.budget:
        facts["gap_at_the_cut"] = float(ordered[ask.budget - 1] - ordered[ask.budget])
    while len(ranking) < ask.depth and k < seen.seen:
        k *= 2
        if k > seen.k and not seen.is_everything:
            return None
        rows, uncertainty, hashes = union(seen, k)
        new: Bool[np.ndarray, "c"] = ~np.isin(rows, ranking)
        order = _least_sure_first(uncertainty[new], hashes[new])
        ranking = np.concatenate([ranking, rows[new][order]])
    return Choice(ranking[: ask.depth], facts)


def _least_sure_first(uncertainty: Float[np.ndarray, "c"], hashes: Hashes) -> Int[np.ndarray, "c"]:
    return np.lexsort((hashes[:, 1], hashes[:, 0], -uncertainty))


KNN_UNCERTAINTY = Strategy(
    "of the union of every target's k nearest, the least sure (DeMuX 3.3)",
    begin_nearest,
    knn_uncertainty,
    seeded_from=None,
)
