"""Transport (TSDS; Liu et al. 2024, arXiv 2410.11303): each target's mass goes to what is near it.

The optimal plan of its KNN-KDE has every target fill its nearest candidates in turn, each up to a
share that is divided by the local density, so that near-duplicates share what one would get. How
far it goes is where spreading wider would cost more distance than it gains in diversity.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from polymux.selection.ask import Strategy
from polymux.selection.near import ROWS_AT_ONCE, Near, begin_near, ranked

# Alignment against diversity, as in the release, whose distances are in units that the user gives;
# here the typical distance is the unit.
ALPHA = 0.5
# Near-duplicates are nearer than this share of the typical distance: 0.75 of 5 in the release.
RADIUS = 0.15
# A target's mass goes to no more candidates.
FARTHEST = 1_000
# Masses that differ by a smaller share are equal but for rounding; a smaller share is spent.
EQUAL = 1e-9


class Plan:
    """Where the targets' mass goes, and what of it near-duplicates hold together."""

    def __init__(self, near: Near) -> None:
        self.near = near
        self.scale = near.scale()
        self._width = float(near.target.metric.undo(np.float64(RADIUS * self.scale)))
        everything = np.arange(len(near.rows))
        # Density: 1 for an example that is alone, 2 for each of two equal ones.
        self.shares = 1 / self._gathered(everything, np.ones(len(near.rows)))

    def alike(self, places: Int[np.ndarray, "m"]) -> Float[np.ndarray, "m candidates"]:
        """How alike each candidate is to these: 1 where they are equal, 0 from the radius on."""
        likeness: Float[np.ndarray, "m candidates"] = self.near.squares(places)
        likeness /= -self._width
        likeness += 1
        return np.maximum(likeness, 0.0, out=likeness)

    def held(self, free: Int[np.ndarray, "free"]) -> Float[np.ndarray, "candidates"]:
        """What each candidate holds, with its near-duplicates, if the mass goes to the free ones.

        -1 where it holds nothing itself.
        """
        masses = np.zeros(len(self.near.rows))
        masses[free] = spread_out(self.near.distances[free], self.shares[free], self.scale)
        holding = np.flatnonzero(masses)
        held = np.full(len(masses), -1.0)
        held[holding] = self._gathered(holding, masses)
        return held

    def _gathered(
        self, places: Int[np.ndarray, "m"], masses: Float[np.ndarray, "candidates"]
    ) -> Float[np.ndarray, "m"]:
        """The sum over all candidates of mass times how alike they are to each of these."""
        steps = range(0, len(places), ROWS_AT_ONCE)
        parts = [self.alike(places[at : at + ROWS_AT_ONCE]) @ masses for at in steps]
        return np.concatenate(parts)


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
        held = plan.held(np.flatnonzero(is_free))
        spent = EQUAL * held.max()
        while len(picks) < count and held.max() > spent:
            pick = heaviest(held, nearest)
            held *= 1 - plan.alike(np.array([pick]))[0]
            held[pick] = -1.0
            is_free[pick] = False
            picks.append(pick)
    return np.array(picks, dtype=np.int64)


def heaviest(
    held: Float[np.ndarray, "candidates"], nearest: Float[np.ndarray, "candidates"]
) -> int:
    """The place of the largest mass; of those as large but for rounding, of the nearest."""
    largest = np.flatnonzero(held >= held.max() * (1 - EQUAL))
    return int(largest[nearest[largest].argmin()])


def spread_out(
    distances: Float[np.ndarray, "candidates targets"],
    shares: Float[np.ndarray, "candidates"],
    scale: float,
) -> Float[np.ndarray, "candidates"]:
    """The mass that each candidate gets in all; each target has 1 / targets of it.

    Targets fill shares, nearest first, up to one level s that is the same for all: a full one is
    worth share / (targets x s). s rises from event to event, each a target that has to turn to its
    next candidate, until the distance that another rise would add, in the mean over the targets,
    is worth (1 - alpha) / alpha of the scale (TSDS, section 4).
    """
    targets = distances.shape[1]
    order = np.argsort(distances.T, axis=1, kind="stable")[:, :FARTHEST]
    far = np.take_along_axis(distances.T, order, axis=1)
    room = shares[order]
    filled = np.cumsum(room, axis=1)
    added = far[:, 1:] * filled[:, :-1] - np.cumsum(room * far, axis=1)[:, :-1]
    level = float(filled[:, -1].min())
    events = filled[:, :-1].ravel()
    turn = np.argsort(events, kind="stable")
    more = np.diff(added, axis=1, prepend=0.0).ravel()[turn]
    dear = np.flatnonzero(ALPHA * np.cumsum(more) >= (1 - ALPHA) * scale * targets)
    if len(dear):
        level = min(level, float(events[turn[dear[0]]]))
    given = np.clip(level - (filled - room), 0.0, room)
    given[given < EQUAL * room] = 0.0
    masses: Float[np.ndarray, "candidates"] = np.bincount(
        order.ravel(), given.ravel(), minlength=len(shares)
    )
    return masses / (targets * level)


TRANSPORT = Strategy(
    "what the targets' mass goes to, near-duplicates paid once (TSDS, arXiv 2410.11303)",
    begin_near,
    ranked(transport),
    is_prefix_consistent=True,
)
