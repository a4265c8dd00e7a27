"""Coverage: facility location, so that every target example has something near to it chosen."""

from __future__ import annotations

import heapq

import numpy as np
from jaxtyping import Bool, Float, Int

from polymux.selection.ask import Strategy
from polymux.selection.near import TARGETS, Near, begin_near, by_blocks, ranked

# A smaller drop, as a share of what the first pick leaves, is rounding and no gain.
NO_GAIN = 1e-6


def coverage(near: Near, count: int) -> Int[np.ndarray, "n"]:
    """Greedily the largest drop of sum_t min over the chosen s of d(s, t) (METHOD 1.7).

    The first is the one with the smallest mean distance. When no gain is left, it starts anew
    without the chosen.
    """
    is_free = np.ones(len(near.rows), dtype=np.bool_)
    picks: list[int] = []
    while len(picks) < count:
        picks += _until_no_gain(near, is_free, count - len(picks))
        is_free[picks] = False
    return np.array(picks, dtype=np.int64)


def _until_no_gain(near: Near, is_free: Bool[np.ndarray, "candidates"], most: int) -> list[int]:
    """Picks among the free ones, until none makes any target's nearest nearer.

    A gain only shrinks as picks are added, to the bit, for rounding keeps order. So one that was
    computed earlier bounds it, and only those at the top are computed again.
    """
    free = np.flatnonzero(is_free)
    first = int(free[total(near)[free].argmin()])
    left = near.distances[first].copy()
    none = NO_GAIN * left.sum()
    # Candidates stand in the order of content hashes, so these decide between equal gains.
    heap = [
        (-gain, place)
        for place, gain in zip(free.tolist(), gains(near, left)[free].tolist(), strict=True)
        if place != first
    ]
    heapq.heapify(heap)
    picks = [first]
    while heap and len(picks) < most and -heap[0][0] > none:
        place = heap[0][1]
        now = (-float(np.maximum(left - near.distances[place], 0.0).sum()), place)
        if heapq.heapreplace(heap, now) == now:
            heapq.heappop(heap)
            picks.append(place)
            np.minimum(left, near.distances[place], out=left)
    return picks


def total(near: Near) -> Float[np.ndarray, "candidates"]:
    """The sum of each candidate's distances to the targets."""
    sums: Float[np.ndarray, "candidates"] = near.distances.sum(axis=1)
    return sums


def gains(near: Near, left: Float[np.ndarray, "targets"]) -> Float[np.ndarray, "candidates"]:
    """By how much each candidate would shorten the distances that are left to the targets."""
    gains, table = np.empty(len(near.rows)), near.distances
    by_blocks(lambda some: np.maximum(left - table[some], 0.0).sum(axis=1, out=gains[some]), near)
    return gains


COVERAGE = Strategy(
    "greedy facility location: every target gets something near to it, anew when all have",
    begin_near,
    ranked(coverage),
    is_prefix_consistent=True,
    seeded_from=TARGETS + 1,
)
