"""Answers of greedy rules, followed pick by pick: could keys within their tolerances give each?

What a rule picks depends on all picks before, so the other run's own picks are taken as they come,
and each is held against the keys that this run gives after them. Where a rule may or may not start
anew, both ways are followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from polymux.selection.near import EQUAL, Near, begin_near, layers
from polymux.selection.summaries import Nearest
from polymux.selection.twice import Gap, Twice, slack

# Ways that are followed at once.
MOST_WAYS = 8


@dataclass(frozen=True, eq=False)
class Keys:
    """What decides the next pick, one way."""

    scores: Float[np.ndarray, "candidates"]
    """The largest is picked; -inf where none can be."""
    off: Float[np.ndarray, "candidates"]
    """How far a score may be off."""
    own: int | None
    """What this run would pick; None where it would not go this way."""
    take: Callable[[int], Way]
    nearest: Float[np.ndarray, "candidates"] | None = None
    """Decides between equal scores, the smaller one, where no rounding can."""

    def judged(self, place: int, near: float) -> tuple[float, float, float]:
        """Key, gap and tolerance of a pick."""
        if not np.isfinite(self.scores[place]):
            return float("nan"), float("inf"), 0.0
        behind = self.scores - self.scores[place]
        apart = self.off + self.off[place]
        worst = int(np.argmax(behind - apart))
        gap, tolerance = max(float(behind[worst]), 0.0), float(apart[worst])
        sure = EQUAL * abs(float(self.scores[place]))
        if self.nearest is not None and gap <= tolerance:
            equal = (np.abs(behind) <= sure) & (apart <= sure)
            least = self.nearest[equal].min(initial=np.inf)
            if self.nearest[place] - least > near:
                return float(self.nearest[place]), float(self.nearest[place] - least), near
        return float(self.scores[place]), gap, tolerance


@runtime_checkable
class Way(Protocol):
    """Where a rule stands after some picks."""

    def ahead(self) -> Sequence[Keys]:
        """The ways on: this run's own, and what rounding may have made of it."""
        ...


Start = Callable[[Near, Twice, float], Way]


def follow(start: Start, comparison: str) -> Callable[[Twice], list[Gap]]:
    """Weigh answers of a rule that begins so."""

    def weigh(twice: Twice) -> list[Gap]:
        found: list[Gap] = []
        for near, seen, k, then in _layers(twice):
            off = slack(near.target, near.embeddings)
            if not twice.first_only:
                inside = np.isin(then, near.rows)
                found += _strangers(then[~inside], seen, k, twice, off)
                found += _picks(start(near, twice, off), near, comparison, then[inside], off)
            elif twice.now[-1] in near.rows:
                found += _first(start(near, twice, off), near, comparison, twice, off)
        return found

    return weigh


def _layers(twice: Twice) -> Iterator[tuple[Near, Nearest, int, Int[np.ndarray, "picks"]]]:
    """Layer by layer: its candidates, the lists, their k, and what was picked at its ranks."""
    size: int | None = None
    missing, found = len(twice.now), list[tuple[Int[np.ndarray, "m"], int]]()
    while missing:
        seen = begin_near(twice.ask, size)
        twice.look(seen)
        missing, found = len(twice.now), []
        for layer in layers(seen):
            if layer is None or not missing:
                break
            found.append(layer)
            missing -= int(np.isin(twice.now, layer[0]).sum())
        size = 4 * seen.k
    rank = 0
    for rows, k in found:
        near = Near.of(rows, seen.target, twice.ask.measure, twice.fetch)
        yield near, seen, k, twice.then[rank : rank + len(rows)]
        rank += len(rows)


def _strangers(
    rows: Int[np.ndarray, "n"], seen: Nearest, k: int, twice: Twice, off: float
) -> list[Gap]:
    """Picks that are no candidates here: by how much each would have to be nearer."""
    if len(rows) == 0:
        return []
    embeddings = twice.fetch(rows).embeddings
    last = seen.distances[:, min(k, seen.rows.shape[1]) - 1]
    what = f"distance among the {k:,} nearest of a target"
    return [
        Gap(int(row), what, float(key.min()), float((key - last).min()), off)
        for row, key in zip(rows, seen.target.all(embeddings), strict=True)
    ]


def _picks(
    way: Way, near: Near, comparison: str, rows: Int[np.ndarray, "n"], off: float
) -> list[Gap]:
    """What picks broke of the rule, each after those before it."""
    ways, found = [way], list[Gap]()
    places = {int(row): place for place, row in enumerate(near.rows)}
    for row in rows.tolist():
        place = places[row]
        judged = [(keys, keys.judged(place, off)) for one in ways for keys in one.ahead()]
        may = [(keys, told) for keys, told in judged if told[1] <= told[2]]
        go = may or [min(judged, key=lambda each: each[1][1] - each[1][2])]
        if not any(keys.own == place for keys, _ in go):
            key, gap, tolerance = min((told for _, told in go), key=lambda told: told[1])
            found.append(Gap(row, comparison, key, gap, tolerance))
        ways = [keys.take(place) for keys, _ in go[:MOST_WAYS]]
    return found


def _first(way: Way, near: Near, comparison: str, twice: Twice, off: float) -> list[Gap]:
    """Where near-duplicates are passed over: the one pick that differs, against this run's ranking.

    Between the picks that both share and this run's next one some may have been passed over; the
    other pick may have come at any of these places.
    """
    places = {int(row): place for place, row in enumerate(near.rows)}
    shared = {places[row] for row in twice.then[:-1].tolist() if row in places}
    other, last = places.get(int(twice.then[-1])), places[int(twice.now[-1])]
    if other is None:
        return []
    told: list[tuple[float, float, float]] = []
    picked: set[int] = set()
    while last not in picked:
        keys, own = next((keys, keys.own) for keys in way.ahead() if keys.own is not None)
        if shared <= picked and other not in picked:
            told.append(keys.judged(other, off))
        picked.add(own)
        way = keys.take(own)
    if not told:
        return []
    return [Gap(int(near.rows[other]), comparison, *min(told, key=lambda each: each[1] - each[2]))]
