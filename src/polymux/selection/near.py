"""What lies near the target, for rules that weigh examples against each other.

Such a rule needs all its candidates at once. They are those near to any target example, in layers
that neither the budget nor the order of the pool decides: a layer is ranked to its end before the
next one begins, so a ranking for less is the beginning of a ranking for more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from polymux.records import SHARD_SIZE, Encodings
from polymux.selection.ask import Ask, Choice, Fetch
from polymux.selection.distance import Target
from polymux.selection.draws import draws
from polymux.selection.summaries import Nearest
from polymux.selection.threads import spread

# Candidates x targets numbers are held in float64: 160 MB at most.
CANDIDATES = 20_000
TARGETS = 1_000
# Neighbours in all lists together at a first look: 13 times the candidates, for lists overlap.
LISTED = 2**18
# Later layers may go so many times deeper into the lists.
DEEPER = 4
# Numbers that differ by a smaller share are equal but for rounding.
EQUAL = 1e-9
# Rows of a table that are computed together.
ROWS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Near:
    """One layer of candidates, and the targets, both in the order of their content."""

    rows: Int[np.ndarray, "candidates"]
    embeddings: Float[np.ndarray, "candidates dim"]
    uncertainty: Float[np.ndarray, "candidates"]
    target: Target
    distances: Float[np.ndarray, "candidates targets"]
    """Computed directly: equal vectors have equal distances, to the bit."""

    @classmethod
    def of(cls, rows: Int[np.ndarray, "m"], target: Target, measure: str, fetch: Fetch) -> Near:
        """These rows of the pool, as candidates."""
        rows = np.sort(rows)
        parts = [fetch(rows[at : at + SHARD_SIZE]) for at in range(0, len(rows), SHARD_SIZE)]
        hashes = np.concatenate([part.hashes for part in parts])
        order = np.lexsort((rows, hashes[:, 1], hashes[:, 0]))
        embeddings = np.concatenate([part.embeddings for part in parts])[order]
        unsure = np.concatenate([_uncertainty(part, measure) for part in parts])[order]
        return cls(rows[order], embeddings, unsure, target, table(embeddings, target))

    def scale(self) -> float:
        """A distance that is typical here: the median between candidates and targets."""
        middle = float(np.median(self.distances))
        # Where more than half of them are 0, the mean; where all are, any will do.
        return middle or float(self.distances.mean()) or 1.0

    def square(self, distance: float) -> float:
        """The squared difference at this distance."""
        return float(self.target.metric.undo(np.array([distance]))[0])

    def squares(self, places: Int[np.ndarray, "m"]) -> Float[np.ndarray, "m candidates"]:
        """The squared difference of some candidates and every one, by matrix product in float64."""
        vectors, sizes = self._centred
        squares: Float[np.ndarray, "m candidates"] = vectors[places] @ vectors.T
        squares *= -2
        squares += sizes
        squares += sizes[places, None]
        np.maximum(squares, 0.0, out=squares)
        return squares

    @cached_property
    def _centred(
        self,
    ) -> tuple[Float[np.ndarray, "candidates dim"], Float[np.ndarray, "candidates"]]:
        """The candidates from the centre of the targets, and the squares of their norms."""
        vectors = self.target.metric.prepare(self.embeddings) - self.target.centre
        return vectors, np.square(vectors).sum(axis=1)


def _uncertainty(part: Encodings, measure: str) -> Float[np.ndarray, "n"]:
    return part.of_measure(measure).astype(np.float64)


def table(embeddings: Float[np.ndarray, "n dim"], target: Target) -> Float[np.ndarray, "n targets"]:
    """All distances, directly."""
    size = len(target.vectors)
    distances = np.empty((len(embeddings), size))
    for first in range(0, len(embeddings), ROWS_AT_ONCE):
        some = embeddings[first : first + ROWS_AT_ONCE]
        at, to = np.divmod(np.arange(len(some) * size), size)
        distances[first : first + ROWS_AT_ONCE] = target.pairs(some, to, at).reshape(-1, size)
    return distances


def sampled(ask: Ask) -> Int[np.ndarray, "targets"]:
    """Places of at most `TARGETS` targets, drawn by content, in the order of their content."""
    drawn = draws(ask.seed, "near", ask.target_hashes)
    first, second = ask.target_hashes.T
    chosen = np.lexsort((second, first, drawn))[:TARGETS]
    return chosen[np.lexsort((second[chosen], first[chosen]))]


def first_length(targets: int) -> int:
    """How long the lists of the first layer are."""
    return min(CANDIDATES, math.ceil(LISTED / targets))


def begin_near(ask: Ask, size: int | None) -> Nearest:
    """Neighbour lists of the sampled targets, long enough for the first layer."""
    target = Target.of(ask.target[sampled(ask)], ask.distance, ask.product)
    return Nearest(max(size or 0, first_length(len(target.vectors))), target, ask.measure)


def layers(seen: Nearest) -> Iterator[tuple[Int[np.ndarray, "m"], int] | None]:
    """Rows and k of one layer after the other; None where the lists are too short to tell.

    The first layer is the union of every target's k nearest, with the largest k within the lists'
    length that gives no more than `CANDIDATES`; each next one is what a larger k adds to it.
    """
    held = seen.rows.T >= 0
    rows, first = np.unique(seen.rows.T[held], return_index=True)
    # In how small a union each row stands already.
    place = np.nonzero(held)[0][first]
    sizes = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=seen.rows.shape[1]))])
    width, cap = len(sizes) - 1, first_length(len(seen.rows))
    begin = 0
    while sizes[begin] < len(rows) or not seen.is_everything:
        last = min(cap, width)
        fits = int(np.searchsorted(sizes, sizes[begin] + CANDIDATES, side="right")) - 1
        if fits >= last < cap and not seen.is_everything:
            yield None
            return
        end = max(begin + 1, min(fits, last))
        yield rows[(place >= begin) & (place < end)], end
        begin, cap = end, max(DEEPER * cap, end + 1)


# Which of the candidates, and in which order: as many positions as are asked for.
Order = Callable[[Near, int], Int[np.ndarray, "n"]]


def ranked(order: Order) -> Callable[[Nearest, Ask, Fetch], Choice | None]:
    """The decision of a strategy that orders candidates, layer by layer."""

    def decide(seen: Nearest, ask: Ask, fetch: Fetch) -> Choice | None:
        wanted = min(ask.depth, seen.seen)
        facts = {"targets": len(seen.rows)}
        ranking: Int[np.ndarray, "n"] = np.empty(0, dtype=np.int64)
        walk = layers(seen)
        while len(ranking) < wanted:
            layer = next(walk)
            if layer is None:
                return None
            rows, _ = layer
            facts.setdefault("candidates", len(rows))
            near = Near.of(rows, seen.target, ask.measure, fetch)
            places = order(near, min(len(rows), wanted - len(ranking)))
            ranking = np.concatenate([ranking, near.rows[places]])
        return Choice(ranking, facts)

    return decide


def by_blocks(work: Callable[[slice], object], near: Near) -> None:
    """Call `work` for some candidates at a time, in threads."""
    spread(work, len(near.rows), ROWS_AT_ONCE, int(near.distances.shape[1]))
