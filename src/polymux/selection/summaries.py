"""The two mergeable summaries that carry every strategy.

Both `see` a shard and `merge` with another summary of the same kind. Seeing is associative and
commutative: however a pool is split, in whichever order and on however many workers, the summary is
the same. What they hold is bounded by budget, targets and k, never by the pool.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from polymux.records import Encodings, Hashes
from polymux.selection.distance import Target

# Given a shard, how many may stay and the key above which nothing is kept: the positions that may
# stay, and their keys.
Key = Callable[[Encodings, int, float], tuple[Int[np.ndarray, "m"], Float[np.ndarray, "m"]]]


class Smallest:
    """The n examples with the smallest keys seen so far; n of each language with `per_language`.

    Ties of keys go to the smaller content hash, then to the earlier row.
    """

    def __init__(self, n: int, key: Key, *, per_language: bool = False) -> None:
        self.n = n
        self.key = key
        self.per_language = per_language
        self.keys: Float[np.ndarray, "m"] = np.empty(0)
        self.hashes: Hashes = np.empty((0, 2), dtype=np.uint64)
        self.rows: Int[np.ndarray, "m"] = np.empty(0, dtype=np.int64)
        self.languages: np.ndarray = np.empty(0, dtype=object)

    @property
    def cut(self) -> float:
        """No example with a larger key can be kept any more."""
        if self.per_language or len(self.keys) < self.n:
            return float("inf")
        return float(self.keys[-1])

    def see(self, encodings: Encodings) -> None:
        """Look at a shard and keep what is among the smallest."""
        positions, keys = self.key(encodings, self.n, self.cut)
        languages = (
            np.array(encodings.languages, dtype=object)[positions]
            if self.per_language and encodings.languages is not None
            else np.full(len(positions), None, dtype=object)
        )
        self._keep(keys, encodings.hashes[positions], encodings.rows[positions], languages)

    def merge(self, other: Smallest) -> None:
        """Take over what another summary, with the same n and key, has kept."""
        self._keep(other.keys, other.hashes, other.rows, other.languages)

    def _keep(
        self,
        keys: Float[np.ndarray, "m"],
        hashes: Hashes,
        rows: Int[np.ndarray, "m"],
        languages: np.ndarray,
    ) -> None:
        keys = np.concatenate([self.keys, keys])
        hashes = np.concatenate([self.hashes, hashes])
        rows = np.concatenate([self.rows, rows])
        languages = np.concatenate([self.languages, languages])
        order = np.lexsort((rows, hashes[:, 1], hashes[:, 0], keys))
        if self.per_language:
            order = order[_first_of_each(languages[order], self.n)]
        else:
            order = order[: self.n]
        self.keys, self.hashes, self.rows = keys[order], hashes[order], rows[order]
        self.languages = languages[order]


def _first_of_each(groups: np.ndarray, n: int) -> Int[np.ndarray, "m"]:
    """Positions of the first n of each group, in the order given."""
    taken: dict[object, int] = {}
    kept = []
    for position, group in enumerate(groups):
        count = taken.get(group, 0)
        if count < n:
            taken[group] = count + 1
            kept.append(position)
    return np.array(kept, dtype=np.int64)


class Nearest:
    """For each target its k nearest examples, nearest first, with their uncertainty.

    Arrays are targets x k; places not yet filled hold an infinite distance and row -1. Ties of
    distances go to the smaller content hash, then to the earlier row.
    """

    def __init__(self, k: int, target: Target, measure: str) -> None:
        self.k = k
        self.target = target
        self.measure = measure
        self.seen = 0
        shape = (len(target.vectors), k)
        self.distances: Float[np.ndarray, "targets k"] = np.full(shape, np.inf)
        self.rows: Int[np.ndarray, "targets k"] = np.full(shape, -1, dtype=np.int64)
        self.hashes: np.ndarray = np.zeros((*shape, 2), dtype=np.uint64)
        self.uncertainty: Float[np.ndarray, "targets k"] = np.zeros(shape)

    @property
    def is_everything(self) -> bool:
        """Whether every example seen stands in every target's list."""
        return self.seen <= self.k

    def see(self, encodings: Encodings) -> None:
        """Look at a shard: screen by matrix product, then decide directly what may enter a list."""
        self.seen += len(encodings)
        if len(encodings) == 0:
            return
        squares, slack = self.target.screen(encodings.embeddings)
        at, target = _may_enter(squares, slack, self.distances[:, -1], self.k, self.target)
        distances = self.target.pairs(encodings.embeddings[at], target)
        self._keep(
            target,
            distances,
            encodings.rows[at],
            encodings.hashes[at],
            encodings.of_measure(self.measure)[at],
        )

    def merge(self, other: Nearest) -> None:
        """Take over what another summary, with the same k and target, has kept."""
        self.seen += other.seen
        target, column = np.nonzero(other.rows >= 0)
        self._keep(
            target,
            other.distances[target, column],
            other.rows[target, column],
            other.hashes[target, column],
            other.uncertainty[target, column],
        )

    def _keep(
        self,
        target: Int[np.ndarray, "m"],
        distances: Float[np.ndarray, "m"],
        rows: Int[np.ndarray, "m"],
        hashes: Hashes,
        uncertainty: Float[np.ndarray, "m"],
    ) -> None:
        held, column = np.nonzero(self.rows >= 0)
        target = np.concatenate([held, target])
        distances = np.concatenate([self.distances[held, column], distances])
        rows = np.concatenate([self.rows[held, column], rows])
        hashes = np.concatenate([self.hashes[held, column], hashes])
        uncertainty = np.concatenate([self.uncertainty[held, column], uncertainty])

        order = np.lexsort((rows, hashes[:, 1], hashes[:, 0], distances, target))
        sorted_target = target[order]
        starts = np.searchsorted(sorted_target, np.arange(len(self.rows)))
        place = np.arange(len(order)) - starts[sorted_target]
        order, place = order[place < self.k], place[place < self.k]
        at = (target[order], place)
        self.distances[at] = distances[order]
        self.rows[at] = rows[order]
        self.hashes[at] = hashes[order]
        self.uncertainty[at] = uncertainty[order]


def _may_enter(
    squares: Float[np.ndarray, "n targets"],
    slack: Float[np.ndarray, "n targets"],
    worst: Float[np.ndarray, "targets"],
    k: int,
    target: Target,
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"]]:
    """Pairs (position, target) whose distance may be among the target's k smallest.

    A pair stays if even its smallest possible value lies below both the list's worst distance and
    the k-th smallest of the shard's largest possible values.
    """
    lowest, highest = squares - slack, squares + slack
    bound = target.metric.finish(np.maximum(lowest, 0.0)) <= worst[None, :]
    if len(squares) > k:
        bound &= lowest <= np.partition(highest, k - 1, axis=0)[k - 1][None, :]
    at, to = np.nonzero(bound)
    return at.astype(np.int64), to.astype(np.int64)
