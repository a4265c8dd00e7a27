"""Distances between examples and the target sample: screened by matrix product, decided directly.

Matrix products give |x|^2 + |t|^2 - 2xt fast, but lose digits for near-equal vectors and differ in
the last bit with the shape of the tile. So a product only *screens*: whatever may fall on either
side of a cut is computed again as the norm of the difference, whose bits depend on the two vectors
alone. Everything here is float64; embeddings come as float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

# Two float64 screens of one pair agree far better than this (relative, of the larger norm squared).
SCREEN_SLACK = 1e-9
# Directly computed differences at once, in bytes: they stay in the processor's cache.
DIRECT_BYTES = 4 * 2**20
# Rows and targets of a tile of the screen: 8 MiB for each of its float64 arrays.
TILE = 1024

Vectors = Float[np.ndarray, "n dim"]


def _as_is(vectors: Vectors) -> Vectors:
    return np.asarray(vectors, dtype=np.float64)


def _unit(vectors: Vectors) -> Vectors:
    wide = _as_is(vectors)
    norms = np.sqrt(np.square(wide).sum(axis=-1, keepdims=True))
    # A zero vector has no direction: it stays zero, at distance 1/2 of everything.
    return wide / np.where(norms == 0, 1.0, norms)


@dataclass(frozen=True, slots=True)
class Metric:
    """How vectors are prepared and what a squared difference becomes."""

    prepare: Callable[[Vectors], Vectors]
    finish: Callable[[np.ndarray], np.ndarray]


METRICS: dict[str, Metric] = {
    "l2": Metric(_as_is, np.sqrt),
    # For unit vectors |x - t|^2 / 2 = 1 - cos(x, t).
    "cosine": Metric(_unit, lambda squares: squares / 2),
}


def _slices(count: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


@dataclass(frozen=True)
class Target:
    """A target sample to measure distances to; its vectors stay as they came, never copied."""

    vectors: Vectors
    metric: Metric
    centre: Float[np.ndarray, "dim"]

    @classmethod
    def of(cls, embeddings: Vectors, distance: str = "l2") -> Target:
        """The target sample of these embeddings, by a distance of `METRICS`."""
        metric = METRICS[distance]
        vectors = np.asarray(embeddings)
        total = np.zeros(vectors.shape[1])
        for part in _slices(len(vectors), TILE):
            total += metric.prepare(vectors[part]).sum(axis=0)
        return cls(vectors, metric, total / max(1, len(vectors)))

    def screen(
        self, embeddings: Vectors
    ) -> tuple[Float[np.ndarray, "n targets"], Float[np.ndarray, "n targets"]]:
        """Squared differences by matrix product, and how far each may be off.

        The caller bounds the rows: two float64 arrays of rows x targets come back.
        """
        x = self.metric.prepare(embeddings) - self.centre
        squares = np.empty((len(x), len(self.vectors)))
        slack = np.empty_like(squares)
        for part in _slices(len(self.vectors), TILE):
            squares[:, part], slack[:, part] = self._screened(x, part)
        return squares, slack

    def _screened(
        self, x: Vectors, targets: slice
    ) -> tuple[Float[np.ndarray, "n part"], Float[np.ndarray, "n part"]]:
        """The screen of some targets; `x` is prepared, with its origin at the target's centre.

        That origin keeps the norms, and with them the error, small.
        """
        t = self.metric.prepare(self.vectors[targets]) - self.centre
        sizes = np.add.outer(np.square(x).sum(axis=1), np.square(t).sum(axis=1))
        squares: Float[np.ndarray, "n part"] = x @ t.T
        squares *= -2
        squares += sizes
        np.maximum(squares, 0.0, out=squares)
        sizes *= SCREEN_SLACK
        return squares, sizes

    def bounds(
        self, embeddings: Vectors, width: int = TILE
    ) -> Iterator[
        tuple[slice, slice, Float[np.ndarray, "rows part"], Float[np.ndarray, "rows part"]]
    ]:
        """Tile by tile (rows, targets): the least and the largest that each distance can be."""
        for rows in _slices(len(embeddings), TILE):
            x = self.metric.prepare(embeddings[rows]) - self.centre
            for targets in _slices(len(self.vectors), min(width, TILE)):
                squares, slack = self._screened(x, targets)
                highest = self.metric.finish(squares + slack)
                np.subtract(squares, slack, out=squares)
                lowest = self.metric.finish(np.maximum(squares, 0.0, out=squares))
                yield rows, targets, lowest, highest

    def pairs(
        self,
        embeddings: Vectors,
        targets: Int[np.ndarray, "m"],
        at: Int[np.ndarray, "m"] | None = None,
    ) -> Float[np.ndarray, "m"]:
        """The distances of rows (those `at`, else all) to the targets beside them, directly."""
        at = np.arange(len(embeddings)) if at is None else at
        out = np.empty(len(at))
        for part in _slices(len(at), self._at_once):
            difference = self.metric.prepare(embeddings[at[part]])
            difference = difference - self.metric.prepare(self.vectors[targets[part]])
            out[part] = np.square(difference, out=difference).sum(axis=-1)
        finished: Float[np.ndarray, "m"] = self.metric.finish(out)
        return finished

    def all(self, embeddings: Vectors) -> Float[np.ndarray, "n targets"]:
        """The distance of each row to every target, directly; the caller bounds the rows."""
        x = self.metric.prepare(embeddings)
        out = np.empty((len(x), len(self.vectors)))
        for part in _slices(len(self.vectors), max(1, self._at_once // max(1, len(x)))):
            difference = x[:, None, :] - self.metric.prepare(self.vectors[part])[None, :, :]
            out[:, part] = np.square(difference, out=difference).sum(axis=-1)
        finished: Float[np.ndarray, "n targets"] = self.metric.finish(out)
        return finished

    def nearer(self, embeddings: Vectors, least: float) -> Bool[np.ndarray, "n targets"]:
        """Whether each distance is below `least`; the caller bounds the rows."""
        table = np.empty((len(embeddings), len(self.vectors)), dtype=bool)
        for rows, targets, lowest, highest in self.bounds(embeddings):
            table[rows, targets] = highest < least
            at, to = np.nonzero((lowest < least) & (highest >= least))
            at, to = at + rows.start, to + targets.start
            table[at, to] = self.pairs(embeddings, to, at) < least
        return table

    def nearest(self, embeddings: Vectors) -> Int[np.ndarray, "n"]:
        """The place of the target nearest to each row, by matrix product."""
        best = np.full(len(embeddings), np.inf)
        place = np.zeros(len(embeddings), dtype=np.int64)
        for rows, targets, lowest, _ in self.bounds(embeddings):
            here = lowest.min(axis=1)
            nearer = here < best[rows]
            place[rows] = np.where(nearer, lowest.argmin(axis=1) + targets.start, place[rows])
            best[rows] = np.minimum(here, best[rows])
        return place

    def nearest_distance(self, embeddings: Vectors) -> Float[np.ndarray, "n"]:
        """The distance of each row to the target nearest to it, directly."""
        return self._reduced(embeddings, lambda distances: distances.min(axis=-1))

    def mean(
        self, embeddings: Vectors, weights: Float[np.ndarray, "targets"] | None = None
    ) -> Float[np.ndarray, "n"]:
        """The (weighted) mean of each row's distances to the targets, directly."""
        share = self.equal_weights() if weights is None else weights
        return self._reduced(embeddings, lambda distances: (distances * share).sum(axis=-1))

    def equal_weights(self) -> Float[np.ndarray, "targets"]:
        """Every target example counts the same."""
        return np.full(len(self.vectors), 1.0 / len(self.vectors))

    @property
    def _at_once(self) -> int:
        """How many differences are computed directly at once."""
        dim = int(self.vectors.shape[1])
        return max(1, DIRECT_BYTES // (8 * max(1, dim)))

    def _reduced(
        self, embeddings: Vectors, reduce: Callable[[np.ndarray], np.ndarray]
    ) -> Float[np.ndarray, "n"]:
        """`reduce` over the distances to all targets, a few rows at a time."""
        step = max(1, self._at_once // len(self.vectors))
        parts = [reduce(self.all(embeddings[part])) for part in _slices(len(embeddings), step)]
        return np.concatenate(parts) if parts else np.empty(0)
