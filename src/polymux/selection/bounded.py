"""The smallest keys, where the key itself is dear: ranked by bounds as far as those decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from polymux.records import SHARD_SIZE, Encodings, Hashes

# The least and the largest that the keys of some vectors can be.
Bounds = tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]
# The same keys, each time closer and dearer; from the last level the key itself comes back, twice.
Levels = tuple[Callable[[Float[np.ndarray, "n dim"]], Bounds], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Examples that may be among the smallest, aligned."""

    low: Float[np.ndarray, "m"]
    high: Float[np.ndarray, "m"]
    hashes: Hashes
    rows: Int[np.ndarray, "m"]
    slots: Int[np.ndarray, "m"]
    """Where the vector of each is kept."""

    def take(self, at: Int[np.ndarray, "kept"]) -> _Held:
        return _Held(*(getattr(self, field.name)[at] for field in fields(self)))

    def joined(self, more: _Held) -> _Held:
        names = [field.name for field in fields(self)]
        return _Held(*(np.concatenate([getattr(self, n), getattr(more, n)]) for n in names))


class Bounded:
    """The n examples with the smallest keys seen so far, in the order that `Smallest` gives.

    Of each shard the first level of bounds is computed; finer ones only at the end, of those few
    that the first cannot tell apart. Vectors of about n examples are held until then.
    """

    def __init__(self, n: int, levels: Levels) -> None:
        self.n = n
        self.levels = levels
        nothing, number = np.empty(0), np.empty(0, dtype=np.int64)
        no_hash = np.empty((0, 2), dtype=np.uint64)
        self._held = _Held(nothing, nothing, no_hash, number, number)
        self._vectors: Float[np.ndarray, "slots dim"] = np.empty((0, 0), dtype=np.float32)

    @property
    def rows(self) -> Int[np.ndarray, "m"]:
        """The n with the smallest keys, smallest first; ties by content hash, then row."""
        self._settle()
        return self._held.rows

    def see(self, encodings: Encodings) -> None:
        """Look at a shard and keep what may be among the smallest."""
        low, high = self.levels[0](encodings.embeddings)
        at = np.flatnonzero(low <= min(_cut(high, self.n), _cut(self._held.high, self.n)))
        self._add(
            low[at], high[at], encodings.hashes[at], encodings.rows[at], encodings.embeddings[at]
        )

    def merge(self, other: Bounded) -> None:
        """Take over what another one, with the same n and levels, has kept."""
        held = other._held
        self._add(held.low, held.high, held.hashes, held.rows, other._vectors[held.slots])

    @property
    def cut(self) -> float:
        """No example with a larger key can be kept any more."""
        self._settle()
        return _cut(self._held.high, self.n)

    def may_enter(
        self, other: Bounded, encodings: Encodings, slack: float
    ) -> Bool[np.ndarray, "n"]:
        """Which of these may enter another one, if keys of this one are off by `slack`."""
        limit = other.cut + slack
        low, high = self.levels[0](encodings.embeddings)
        for level in self.levels[1:]:
            at = np.flatnonzero((low <= limit) & (limit < high))
            low[at], high[at] = level(encodings.embeddings[at])
        may: Bool[np.ndarray, "n"] = low <= limit
        return may

    def differences(
        self, screened: Encodings, other: Bounded, exact: Encodings
    ) -> Float[np.ndarray, "n"]:
        """How far the keys of some examples are from those that another model's encodings give."""
        ours, theirs = self.levels[-1](screened.embeddings), other.levels[-1](exact.embeddings)
        apart: Float[np.ndarray, "n"] = np.abs(ours[0] - theirs[0])
        return apart

    def _add(
        self,
        low: Float[np.ndarray, "m"],
        high: Float[np.ndarray, "m"],
        hashes: Hashes,
        rows: Int[np.ndarray, "m"],
        vectors: Float[np.ndarray, "m dim"],
    ) -> None:
        if len(rows) == 0:
            return
        slots = self._room(vectors)
        self._held = self._held.joined(_Held(low, high, hashes, rows, slots))
        self._trim()
        # Bounds that tell little apart must not fill the memory.
        if len(self._held.rows) > 2 * self.n + SHARD_SIZE:
            self._settle()

    def _room(self, vectors: Float[np.ndarray, "m dim"]) -> Int[np.ndarray, "m"]:
        """Keep vectors, where those that are not held any more were; where they are now."""
        slots, kept = self._held.slots, self._vectors
        size = len(slots) + len(vectors)
        dtype = np.result_type(vectors, kept) if len(slots) else vectors.dtype
        if size > len(kept) or dtype != kept.dtype:
            grown = np.empty((max(size, 3 * len(kept) // 2), vectors.shape[1]), dtype=dtype)
            if len(slots):
                grown[slots] = kept[slots]
            self._vectors = grown
        is_free = np.ones(len(self._vectors), dtype=bool)
        is_free[slots] = False
        free: Int[np.ndarray, "m"] = np.flatnonzero(is_free)[: len(vectors)]
        self._vectors[free] = vectors
        return free

    def _trim(self) -> None:
        """Let go of what n others certainly go before."""
        held = self._held
        self._held = held.take(np.flatnonzero(held.low <= _cut(held.high, self.n)))

    def _settle(self) -> None:
        """Look closer at what bounds do not tell apart, until the order is certain."""
        for level in self.levels[1:]:
            held = self._held
            at = _apart_from_none(held)
            held.low[at], held.high[at] = level(self._vectors[held.slots[at]])
            self._trim()
        held = self._held
        order = np.lexsort((held.rows, held.hashes[:, 1], held.hashes[:, 0], held.low))
        self._held = held.take(order[: self.n])


def _cut(high: Float[np.ndarray, "m"], n: int) -> float:
    """The n-th smallest; infinite where there are fewer."""
    return float(np.partition(high, n - 1)[n - 1]) if len(high) >= n else float("inf")


def _apart_from_none(held: _Held) -> Int[np.ndarray, "m"]:
    """Positions of bounds that overlap others, but for those that are keys already."""
    order = np.argsort(held.low, kind="stable")
    low, reach = held.low[order], np.maximum.accumulate(held.high[order])
    group = np.cumsum(np.concatenate([np.zeros(1, dtype=bool), low[1:] > reach[:-1]])[: len(low)])
    is_shared = np.bincount(group, minlength=1)[group] > 1
    found: Int[np.ndarray, "m"] = order[is_shared & (held.low[order] < held.high[order])]
    return found
