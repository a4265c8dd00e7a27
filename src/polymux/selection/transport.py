"""Transport (TSDS; Liu et al. 2024, arXiv 2410.11303): each target's mass goes to what is near it.

The optimal plan of its KNN-KDE has every target fill its nearest candidates in turn, each up to a
share that is divided by the local density, so that near-duplicates share what one would get. How
far it goes is where spreading wider would cost more distance than it gains in diversity.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from polymux.selection.ask import Strategy
from polymux.selection.near import EQUAL, ROWS_AT_ONCE, TARGETS, Near, begin_near, ranked

# Alignment against diversity, as in the release, whose distances are in units that the user gives;
# here the typical distance is the unit.
ALPHA = 0.5
# Near-duplicates are nearer than this share of the typical distance: 0.75 of 5 in the release.
RADIUS = 0.15
# A target's mass goes to no more candidates.
FARTHEST = 1_000
# An example that keeps less than this share of what it stood for has nothing left: one nearer than
# a thirtieth of the radius is chosen.
SPENT = 1e-3


class Plan:
    """Where the targets' mass goes, and what of it near-duplicates hold together."""

    def __init__(self, near: Near) -> None:
        self.near = near
        self.scale = near.scale()
        self.radius = RADIUS * self.scale
        self._width = near.square(self.radius)
        everything = np.arange(len(near.rows))
        # Density: 1 for an example that is alone, 2 for each of two equal ones.
        self.shares = 1 / self.gathered(everything, np.ones(len(near.rows)))

    def alike(self, places: Int[np.ndarray, "m"]) -> Float[np.ndarray, "m candidates"]:
        """How alike each candidate is to these: 1 where they are equal, 0 from the radius on."""
        likeness: Float[np.ndarray, "m candidates"] = self.near.squares(places)
        likeness /= -self._width
        likeness += 1
        np.maximum(likeness, 0.0, out=likeness)
        return likeness

    def held(self, masses: Float[np.ndarray, "candidates"]) -> Float[np.ndarray, "candidates"]:
        """What each candidate that has a mass holds with its near-duplicates; else -1."""
        holding = np.flatnonzero(masses)
        held = np.full(len(masses), -1.0)
        held[holding] = self.gathered(holding, masses)
        return held

    def spread(self, free: Int[np.ndarray, "free"]) -> Spread:
        """All mass on the free candidates."""
        return Spread(self.near.distances[free], self.shares[free], self.scale)

    def gathered(
        self, places: Int[np.ndarray, "m"], masses: Float[np.ndarray, "candidates"]
    ) -> Float[np.ndarray, "m"]:
        """The sum over all candidates of mass times how alike they are to each of these."""
        gathered = np.empty(len(places))
        for at in range(0, len(places), ROWS_AT_ONCE):
            some = slice(at, at + ROWS_AT_ONCE)
            gathered[some] = self.alike(places[some]) @ masses
        return gathered


class Spread:
    """How every target's mass fills candidates, its nearest first.

    A candidate takes up to its share from each target, times one over a level that all targets have
    in common. The level rises while spreading wider adds less distance than it is worth.
    """

    def __init__(
        self,
        distances: Float[np.ndarray, "candidates targets"],
        shares: Float[np.ndarray, "candidates"],
        scale: float,
    ) -> None:
        self.size, self.scale = len(shares), scale
        self.order = np.argsort(distances.T, axis=1, kind="stable")[:, :FARTHEST]
        self.far = np.take_along_axis(distances.T, self.order, axis=1)
        self.room = shares[self.order]
        self.filled = np.cumsum(self.room, axis=1)

    def level(self, margin: float = 0.0) -> float:
        """The level of the optimal plan (TSDS, section 4), at which a share is full.

        It goes from event to event, each a target that has to turn to its next candidate, until the
        distance that another rise would add is, in the mean over the targets, worth (1 - alpha) /
        alpha of the scale; or more by `margin`.
        """
        before = self.filled[:, :-1]
        added = self.far[:, 1:] * before - np.cumsum(self.room * self.far, axis=1)[:, :-1]
        turn = np.argsort(before, axis=None, kind="stable")
        more = np.cumsum(np.diff(added, axis=1, prepend=0.0).ravel()[turn]) / len(self.far)
        dear = np.flatnonzero(more >= (1 - ALPHA) / ALPHA * self.scale + margin)
        # No target can place more than all its candidates take.
        most = float(self.filled[:, -1].min())
        return min(most, float(before.ravel()[turn[dear[0]]])) if len(dear) else most

    def given(self, level: float) -> Float[np.ndarray, "targets nearest"]:
        """What each target gives to each of its nearest, in shares of one that stands alone."""
        given: Float[np.ndarray, "targets nearest"] = np.clip(
            level - (self.filled - self.room), 0.0, self.room
        )
        given[given < EQUAL * self.room] = 0.0
        return given

    def masses(
        self, given: Float[np.ndarray, "targets nearest"]
    ) -> Float[np.ndarray, "candidates"]:
        """What each candidate gets from all targets."""
        masses: Float[np.ndarray, "candidates"] = np.bincount(
            self.order.ravel(), given.ravel(), minlength=self.size
        )
        return masses


def transport(near: Near, count: int) -> Int[np.ndarray, "n"]:
    """The largest mass first, where near-duplicates hold theirs together and it is paid once.

    The release draws by mass. Here an example stands for its own mass and that of its
    near-duplicates, each times how alike they are, and for less the more it is like one chosen
    before it. Equal masses: the nearer to any target. When all mass is spent, it is spread anew
    without the chosen.
    """
    plan, nearest = Plan(near), near.distances.min(axis=1)
    is_free = np.ones(len(near.rows), dtype=np.bool_)
    picks: list[int] = []
    while len(picks) < count:
        masses = np.zeros(len(is_free))
        spread = plan.spread(np.flatnonzero(is_free))
        masses[is_free] = spread.masses(spread.given(spread.level()))
        held, kept = plan.held(masses), np.ones(len(is_free))
        while len(picks) < count:
            pick = heaviest(left(held, kept), nearest)
            if pick is None:
                break
            kept *= 1 - plan.alike(np.array([pick]))[0]
            kept[pick] = 0.0
            is_free[pick] = False
            picks.append(pick)
    return np.array(picks, dtype=np.int64)


def left(
    held: Float[np.ndarray, "candidates"], kept: Float[np.ndarray, "candidates"]
) -> Float[np.ndarray, "candidates"]:
    """What candidates still stand for; -1 where there is nothing, or hardly anything of it."""
    return np.where((held > 0) & (kept > SPENT), held * kept, -1.0)


def heaviest(
    mass: Float[np.ndarray, "candidates"], nearest: Float[np.ndarray, "candidates"]
) -> int | None:
    """The place of the largest mass; of those as large but for rounding, of the nearest."""
    if mass.max() <= 0:
        return None
    largest = np.flatnonzero(mass >= mass.max() * (1 - EQUAL))
    return int(largest[nearest[largest].argmin()])


TRANSPORT = Strategy(
    "what the targets' mass goes to, near-duplicates paid once (TSDS, arXiv 2410.11303)",
    begin_near,
    ranked(transport),
    is_prefix_consistent=True,
    seeded_from=TARGETS + 1,
)
