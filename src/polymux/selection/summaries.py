"""The two mergeable summaries that carry every strategy.

Both `see` a shard and `merge` with another summary of the same kind. Seeing is associative and
commutative: however a pool is split, in whichever order and on however many workers, the summary is
the same. What they hold is bounded by budget, targets and k, never by the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from polymux.records import SHARD_SIZE, Encodings, Hashes
from polymux.selection.distance import TILE, Target

# Neighbours that may enter lists at once: longer lists are screened for fewer targets at a time.
ENTERING_AT_ONCE = 2**18
# Neighbours merged at once, old and new, of which each takes 40 bytes some times over.
MERGED_AT_ONCE = 2**16

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
        self.names: list[str | None] = []
        self.groups: Int[np.ndarray, "m"] = np.empty(0, dtype=np.int64)
        """The language of each, as its place in `names`."""

    @property
    def languages(self) -> list[str | None]:
        """The language of each; None without `per_language`."""
        return [self.names[group] for group in self.groups]

    @property
    def cut(self) -> float:
        """No example with a larger key can be kept any more."""
        if self.per_language or len(self.keys) < self.n:
            return float("inf")
        return float(self.keys[-1])

    def see(self, encodings: Encodings) -> None:
        """Look at a shard and keep what is among the smallest."""
        positions, keys = self.key(encodings, self.n, self.cut)
        languages: Sequence[str | None] = [None] * len(positions)
        if self.per_language and encodings.languages is not None:
            languages = [encodings.languages[position] for position in positions]
        hashes, rows = encodings.hashes[positions], encodings.rows[positions]
        self._keep(keys, hashes, rows, self._grouped(languages))

    def merge(self, other: Smallest) -> None:
        """Take over what another summary, with the same n and key, has kept."""
        self._keep(other.keys, other.hashes, other.rows, self._grouped(other.languages))

    def may_enter(
        self, other: Smallest, encodings: Encodings, slack: float
    ) -> Bool[np.ndarray, "n"]:
        """Which of these may enter another summary, if keys of this one are off by `slack`."""
        count = len(encodings)
        positions, keys = self.key(encodings, count, other.cut + slack)
        worst = dict(zip(other.names, other._worst().tolist(), strict=True))
        told = encodings.languages if self.per_language else None
        languages = told or [None] * count
        limits = np.array([worst.get(languages[at], np.inf) for at in positions])
        may = np.zeros(count, dtype=np.bool_)
        may[positions] = keys <= limits + slack
        return may

    def differences(
        self, screened: Encodings, other: Smallest, exact: Encodings
    ) -> Float[np.ndarray, "n"]:
        """How far the keys of some examples are from those that another model's encodings give."""
        _, ours = self.key(screened, len(screened), np.inf)
        _, theirs = other.key(exact, len(exact), np.inf)
        apart: Float[np.ndarray, "n"] = np.abs(ours - theirs)
        return apart

    def _grouped(self, languages: Sequence[str | None]) -> Int[np.ndarray, "m"]:
        """Languages as places in `names`, where new ones are added."""
        place = {name: number for number, name in enumerate(self.names)}
        groups = [place.setdefault(language, len(place)) for language in languages]
        self.names = list(place)
        return np.array(groups, dtype=np.int64)

    def _keep(
        self,
        keys: Float[np.ndarray, "m"],
        hashes: Hashes,
        rows: Int[np.ndarray, "m"],
        groups: Int[np.ndarray, "m"],
    ) -> None:
        may = keys <= self._worst()[groups]
        if not may.any():
            return
        keys = np.concatenate([self.keys, keys[may]])
        hashes = np.concatenate([self.hashes, hashes[may]])
        rows = np.concatenate([self.rows, rows[may]])
        groups = np.concatenate([self.groups, groups[may]])
        order = np.lexsort((rows, hashes[:, 1], hashes[:, 0], keys))
        order = order[_first_of_each(groups[order], self.n)]
        self.keys, self.hashes, self.rows = keys[order], hashes[order], rows[order]
        self.groups = groups[order]

    def _worst(self) -> Float[np.ndarray, "languages"]:
        """The largest key of each language whose n are full; infinite for the others."""
        worst = np.full(len(self.names), np.inf)
        is_full = np.bincount(self.groups, minlength=len(self.names)) >= self.n
        # Keys stand in order: the last one of a language is written last.
        worst[self.groups] = self.keys
        worst[~is_full] = np.inf
        return worst


def _first_of_each(groups: Int[np.ndarray, "m"], n: int) -> Int[np.ndarray, "kept"]:
    """Positions of the first n of each group, in the order given."""
    together = np.argsort(groups, kind="stable")
    grouped = groups[together]
    place = np.arange(len(groups)) - np.searchsorted(grouped, grouped)
    return np.sort(together[place < n])


class Nearest:
    """For each target its k nearest examples, nearest first, with their uncertainty.

    Arrays are targets x k; places not yet filled hold an infinite distance and row -1. A k beyond
    `SHARD_SIZE` is made room for only as examples are seen, so that no list is longer than the
    pool. Ties of distances go to the smaller content hash, then to the earlier row.
    """

    def __init__(self, k: int, target: Target, measure: str) -> None:
        self.k = k
        self.target = target
        self.measure = measure
        self.seen = 0
        shape = (len(target.vectors), min(k, SHARD_SIZE))
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
        self._count(len(encodings))
        uncertainty = encodings.of_measure(self.measure)
        width = max(1, min(TILE, ENTERING_AT_ONCE // self.k))
        # A view: what a list takes from one block of rows counts for the next.
        worst = self.distances[:, -1]
        for at, to in self.target.candidates(encodings.embeddings, worst, self.k, width):
            distances = self.target.pairs(encodings.embeddings, to, at)
            may = distances <= worst[to]
            at, to = at[may], to[may]
            new = (distances[may], encodings.rows[at], encodings.hashes[at], uncertainty[at])
            self._keep(to, _Entries(*new))

    def merge(self, other: Nearest) -> None:
        """Take over what another summary, with the same k and target, has kept."""
        self._count(other.seen)
        target, column = np.nonzero(other.rows >= 0)
        self._keep(target, other._lists.take(target, column))

    def may_enter(
        self, other: Nearest, encodings: Encodings, slack: float
    ) -> Bool[np.ndarray, "n"]:
        """Which of these may enter a list of another summary, if distances are off by `slack`."""
        may = np.zeros(len(encodings), dtype=np.bool_)
        worst = other.distances[:, -1] + slack
        for at, _ in self.target.candidates(encodings.embeddings, worst, len(encodings)):
            may[at] = True
        return may

    def differences(
        self, screened: Encodings, other: Nearest, exact: Encodings
    ) -> Float[np.ndarray, "pairs"]:
        """How far distances of some examples are from what another model gives.

        Those to each one's nearest target, and those that stand in the lists. The rows of
        `screened` ascend.
        """
        place = np.searchsorted(screened.rows, self.rows)
        place[place == len(screened.rows)] = 0
        listed, column = np.nonzero(screened.rows[place] == self.rows)
        nearest = self.target.nearest(screened.embeddings)
        to = np.concatenate([nearest, listed])
        at = np.concatenate([np.arange(len(nearest)), place[listed, column]])
        ours = self.target.pairs(screened.embeddings, to, at)
        apart: Float[np.ndarray, "pairs"] = np.abs(
            ours - other.target.pairs(exact.embeddings, to, at)
        )
        return apart

    def _count(self, more: int) -> None:
        """Count what is about to be seen, and make room for it in the lists."""
        self.seen += more
        missing = min(self.k, self.seen) - self.rows.shape[1]
        if missing > 0:
            room = ((0, 0), (0, missing))
            self.distances = np.pad(self.distances, room, constant_values=np.inf)
            self.rows = np.pad(self.rows, room, constant_values=-1)
            self.hashes = np.pad(self.hashes, (*room, (0, 0)))
            self.uncertainty = np.pad(self.uncertainty, room)

    @property
    def _lists(self) -> _Entries:
        return _Entries(self.distances, self.rows, self.hashes, self.uncertainty)

    def _keep(self, target: Int[np.ndarray, "m"], new: _Entries) -> None:
        """Merge entries into the lists of the targets beside them, some lists at a time."""
        order = np.argsort(target, kind="stable")
        counts = np.bincount(target, minlength=len(self.rows))
        touched = np.flatnonzero(counts)
        ends = np.cumsum(counts)
        most = self.rows.shape[1] + int(counts.max(initial=0))
        step = max(1, MERGED_AT_ONCE // most)
        for start in range(0, len(touched), step):
            some = touched[start : start + step]
            which = order[ends[some[0]] - counts[some[0]] : ends[some[-1]]]
            self._merge_lists(some, counts[some], new.take(which))

    def _merge_lists(
        self, targets: Int[np.ndarray, "lists"], counts: Int[np.ndarray, "lists"], new: _Entries
    ) -> None:
        """Put new entries, list by list and as many as `counts` says, into these lists."""
        length = self.rows.shape[1]
        line = np.repeat(np.arange(len(targets)), counts)
        place = length + np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
        both = [
            np.full((len(targets), length + counts.max(), *values.shape[2:]), empty, values.dtype)
            for values, empty in zip(self._lists, EMPTY, strict=True)
        ]
        for values, held, added in zip(both, self._lists, new, strict=True):
            values[:, :length] = held[targets]
            values[line, place] = added
        order = _nearest_first(_Entries(*both))[:, :length]
        at = np.arange(len(targets))[:, None]
        for held, values in zip(self._lists, both, strict=True):
            held[targets] = values[at, order]


class _Entries(NamedTuple):
    """What is known of neighbours: lists of them, or some in a row."""

    distances: Float[np.ndarray, "*shape"]
    rows: Int[np.ndarray, "*shape"]
    hashes: UInt64[np.ndarray, "*shape 2"]
    uncertainty: Float[np.ndarray, "*shape"]

    def take(self, *index: Int[np.ndarray, "m"]) -> _Entries:
        return _Entries(*(values[index] for values in self))


# What stands at a place that is not filled.
EMPTY = (np.inf, -1, 0, 0.0)


def _nearest_first(lists: _Entries) -> Int[np.ndarray, "lists length"]:
    """The order of each list by distance, content hash and row."""
    # Two sorted runs, old and nearly sorted: what a stable sort is quick at.
    order = np.argsort(lists.distances, axis=1, kind="stable")
    ordered = np.take_along_axis(lists.distances, order, axis=1)
    has_ties = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] < np.inf)).any(axis=1)
    if has_ties.any():
        tied = lists.take(np.flatnonzero(has_ties))
        keys = (tied.rows, tied.hashes[..., 1], tied.hashes[..., 0], tied.distances)
        order[has_ties] = np.lexsort(keys, axis=1)
    return order
