"""Greedy rules as they are followed: what decides each next pick, and how far it may be off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from polymux.selection.coverage import NO_GAIN, gains, total
from polymux.selection.followed import Keys, Way, follow
from polymux.selection.near import Near
from polymux.selection.transductive import Posterior, Weights, best
from polymux.selection.transport import SPENT, Plan, heaviest, left
from polymux.selection.twice import Gap, Twice


def _all_free(near: Near) -> Bool[np.ndarray, "candidates"]:
    return np.ones(len(near.rows), dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class _Covering:
    """Coverage, after some picks."""

    near: Near
    off: float
    is_free: Bool[np.ndarray, "candidates"]
    left: Float[np.ndarray, "targets"] | None = None
    """Distances that are left to the targets; None before the first pick and anew."""
    none: float = 0.0
    """What is no gain in their mean."""

    def ahead(self) -> list[Keys]:
        """On, while there is a gain; else anew."""
        if not self.is_free.any():
            return []
        if self.left is None:
            return [self._anew(own=True)]
        left, size = self.left, len(self.left)
        found = np.where(self.is_free, gains(self.near, left) / size, -np.inf)
        # Only distances that may be shortened count, each of which, and what is left, may be off.
        may = [np.count_nonzero(row < left + self.off) for row in self.near.distances]
        off = self.off * np.array(may) / size
        goes_on = bool(found.max() > self.none)
        own = int(found.argmax()) if goes_on else None
        ways = [Keys(found, off, own, self._on)] if (found + off).max() > self.none else []
        if (found - off).max() <= self.none:
            ways.append(self._anew(own=not goes_on))
        return ways

    def _anew(self, *, own: bool) -> Keys:
        means = total(self.near) / self.near.distances.shape[1]
        scores = np.where(self.is_free, -means, -np.inf)
        off = np.full(len(means), self.off / 2)
        return Keys(scores, off, int(scores.argmax()) if own else None, self._begin)

    def _begin(self, place: int) -> _Covering:
        first = self.near.distances[place]
        return self._with(place, first, NO_GAIN * float(first.mean()))

    def _on(self, place: int) -> _Covering:
        left = self.near.distances[place]
        if self.left is not None:
            left = np.minimum(self.left, left)
        return self._with(place, left, self.none)

    def _with(self, place: int, left: Float[np.ndarray, "targets"], none: float) -> _Covering:
        is_free = self.is_free.copy()
        is_free[place] = False
        return replace(self, is_free=is_free, left=left, none=none)


follow_coverage = follow(
    lambda near, twice, off: _Covering(near, off, _all_free(near)),
    "distance that is left to the targets",
)


@dataclass(eq=False)
class _Telling:
    """Transductive, after some picks; there is one way on, so it changes in its place."""

    known: Posterior
    weights: Float[np.ndarray, "candidates"]
    weight_off: float
    kernel_off: float
    """How far a covariance before any label may be off."""
    is_free: Bool[np.ndarray, "candidates"]

    def ahead(self) -> list[Keys]:
        """The gains, in the mean over the targets."""
        if not self.is_free.any():
            return []
        gains, targets = self.known.gains(), self.known.covariance.shape[1]
        # d(c^2 / v) is 2 c dc / v; what is conditioned on may be off as much again.
        off = 4 * self.kernel_off * (self.known.sizes() + gains) * self.weights
        off += gains * self.weight_off
        scores = np.where(self.is_free, gains * self.weights, -np.inf)
        return [Keys(scores / targets, off / targets, best(scores), self._take)]

    def _take(self, place: int) -> _Telling:
        self.is_free[place] = False
        self.known.label(place)
        return self


def follow_transductive(weigh: Weights) -> Callable[[Twice], list[Gap]]:
    """Weigh answers of the transductive rule with these weights."""

    def start(near: Near, twice: Twice, off: float) -> Way:
        weights = weigh(near)
        weight_off = 2 * twice.tolerance if np.ptp(weights) > 0 else 0.0
        # exp(-d^2 / 2h^2) moves by less than 1.4 / h for what d and h move by.
        kernel_off = 0.7 * off / near.scale()
        return _Telling(Posterior(near), weights, weight_off, kernel_off, _all_free(near))

    return follow(start, "variance that is left at the targets")


@dataclass(frozen=True, eq=False)
class _Hold:
    """What candidates hold of the mass, what they keep of that, and how far both may be off."""

    held: Float[np.ndarray, "candidates"]
    held_off: Float[np.ndarray, "candidates"]
    kept: Float[np.ndarray, "candidates"]
    kept_off: Float[np.ndarray, "candidates"]


@dataclass(frozen=True, eq=False)
class _Spreading:
    """Transport, after some picks."""

    plan: Plan
    off: float
    is_free: Bool[np.ndarray, "candidates"]
    nearest: Float[np.ndarray, "candidates"]
    hold: _Hold | None = None
    """None before the first pick and anew."""

    def ahead(self) -> list[Keys]:
        """On, while anything is kept; else anew."""
        if not self.is_free.any():
            return []
        hold = self.hold
        if hold is None:
            return [self._on(self._spread(), own=True)]
        goes_on = heaviest(left(hold.held, hold.kept), self.nearest) is not None
        has = self.is_free & (hold.held > 0)
        ways = []
        if (has & (hold.kept + hold.kept_off > SPENT)).any():
            ways.append(self._on(hold, own=goes_on))
        if not (has & (hold.kept - hold.kept_off > SPENT)).any():
            ways.append(self._on(self._spread(), own=not goes_on))
        return ways

    def _on(self, hold: _Hold, *, own: bool) -> Keys:
        """The largest of what is kept."""
        held = np.maximum(hold.held, 0.0)
        may = self.is_free & (held + hold.held_off > 0)
        may &= hold.kept + hold.kept_off > SPENT
        scores = np.where(self.is_free, np.where(may, held * hold.kept, 0.0), -np.inf)
        off = np.where(may, hold.held_off * hold.kept + held * hold.kept_off, 0.0)
        pick = heaviest(left(hold.held, hold.kept), self.nearest) if own else None
        return Keys(scores, off, pick, lambda place: self._take(hold, place), self.nearest)

    def _spread(self) -> _Hold:
        """All mass on the free ones, and how far each part of it may be off."""
        free, count = np.flatnonzero(self.is_free), len(self.is_free)
        spread = self.plan.spread(free)
        level = spread.level()
        given = spread.given(level)
        # The level stops by distances that may be off; what a target ends at, it may end behind.
        margin = self.off * (1 + level)
        least, most = (spread.given(spread.level(by)) for by in (-margin, margin))
        last = np.where(given > 0, spread.far, 0.0).max(axis=1, keepdims=True)
        at_end = np.abs(spread.far - last) <= self.off
        at_end &= at_end.sum(axis=1, keepdims=True) > 1
        apart = np.where(at_end, spread.room, np.maximum(most - least, 0.0))
        masses, masses_off = np.zeros(count), np.zeros(count)
        masses[free], masses_off[free] = spread.masses(given), spread.masses(apart)
        held = self.plan.held(masses)
        held_off, some = np.zeros(count), np.flatnonzero(masses + masses_off)
        held_off[some] = self.plan.gathered(some, masses_off)
        # Shares, and what near-duplicates hold, are off by what likeness is.
        shared = np.maximum(1 - self.plan.shares, 0.0) * np.maximum(held, 0.0)
        held_off += shared * 4 * self.off / self.plan.radius
        return _Hold(held, held_off, np.ones(count), np.zeros(count))

    def _take(self, hold: _Hold, place: int) -> _Spreading:
        # Rounding makes a little more than one of what is equal.
        alike = np.minimum(self.plan.alike(np.array([place]))[0], 1.0)
        # 1 - d^2 / r^2 moves by less than 2 d / r^2 for each bit that d moves by, or r.
        apart = np.minimum(np.sqrt(1 - alike) + self.off / self.plan.radius, 1.0)
        off = np.where(alike > 0, 2 * apart * self.off / self.plan.radius, 0.0)
        is_free, kept = self.is_free.copy(), hold.kept * (1 - alike)
        is_free[place], kept[place] = False, 0.0
        kept_off = hold.kept_off * (1 - alike) + hold.kept * off
        hold = replace(hold, kept=kept, kept_off=kept_off)
        return replace(self, is_free=is_free, hold=hold)


def _begin_spreading(near: Near, twice: Twice, off: float) -> Way:
    return _Spreading(Plan(near), off, _all_free(near), near.distances.min(axis=1))


follow_transport = follow(_begin_spreading, "mass that is held for the target")
