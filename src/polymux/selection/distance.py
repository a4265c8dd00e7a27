"""Distances between examples and the target sample: screened by matrix product, decided directly.

Matrix products give |x|^2 + |t|^2 - 2xt fast, but lose digits for near-equal vectors and differ in
the last bit with the shape of the tile. So a product only *screens*, in float32 with a bound of its
error (`product`): whatever may fall on either side of a cut is computed again as the norm of the
difference, in float64, whose bits depend on the two vectors alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from polymux.records import SHARD_SIZE
from polymux.selection.product import (
    LARGEST_SQUARE,
    PRODUCT,
    Product,
    Rows,
    Targets,
    floor,
    framed,
    widened,
)
from polymux.selection.threads import spread

# Two float64 screens of one pair agree far better than this (relative, of the larger norm squared).
SCREEN_SLACK = 1e-9
# Directly computed differences at once, in bytes: they stay in the processor's second cache.
DIRECT_BYTES = 2**19
# Targets of a tile of the screen; with a shard's rows it takes 16 MiB in float32. Fewer rows would
# fit a smaller cache, but pack the targets more often, and find more that may enter a list.
TILE = 1024

# What a few float64 operations may be off by, with room to spare.
ROUNDED = 1e-12

Vectors = Float[np.ndarray, "n dim"]
DType = type[np.floating[Any]]


def _as_is(vectors: Vectors) -> Vectors:
    return np.asarray(vectors, dtype=np.float64)


def _unit(vectors: Vectors) -> Vectors:
    wide = _as_is(vectors)
    norms = np.sqrt(np.square(wide).sum(axis=-1, keepdims=True))
    # A zero vector has no direction: it stays zero, at distance 1/2 of what has one.
    return wide / np.where(norms == 0, 1.0, norms)


@dataclass(frozen=True, slots=True)
class Metric:
    """How vectors are prepared and what a squared difference becomes."""

    prepare: Callable[[Vectors], Vectors]
    """In float64, for what is computed directly."""
    look: Callable[[Vectors], Vectors]
    """The same, but float32 where the vectors are: for what is rounded next."""
    finish: Callable[[np.ndarray], np.ndarray]
    undo: Callable[[np.ndarray], np.ndarray]
    """From a distance back to the squared difference."""
    is_root: bool


METRICS: dict[str, Metric] = {
    "l2": Metric(_as_is, np.asarray, np.sqrt, np.square, is_root=True),
    # For unit vectors |x - t|^2 / 2 = 1 - cos(x, t).
    "cosine": Metric(_unit, _unit, lambda s: s / 2, lambda distance: 2 * distance, is_root=False),
}


def _slices(count: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


@dataclass(frozen=True)
class Target:
    """A target sample to measure distances to; its vectors stay as they came, never copied."""

    vectors: Vectors
    metric: Metric
    centre: Float[np.ndarray, "dim"]
    largest: float
    """The largest number, without its sign, of the prepared vectors."""
    product: Product
    """Where tiles are screened."""
    _kept: dict[tuple[int, int, str], Targets] = field(default_factory=dict, repr=False)
    """Framed targets, by their places and type."""

    @classmethod
    def of(cls, embeddings: Vectors, distance: str = "l2", product: Product = PRODUCT) -> Target:
        """The target sample of these embeddings, by a distance of `METRICS`."""
        metric = METRICS[distance]
        vectors = np.asarray(embeddings)
        total, largest = np.zeros(vectors.shape[1]), 0.0
        for part in _slices(len(vectors), TILE):
            prepared = metric.prepare(vectors[part])
            total += prepared.sum(axis=0)
            largest = max(largest, float(np.abs(prepared).max(initial=0.0)))
        return cls(vectors, metric, total / max(1, len(vectors)), largest, product)

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
        self, embeddings: Vectors
    ) -> Iterator[
        tuple[slice, slice, Float[np.ndarray, "rows part"], Float[np.ndarray, "rows part"]]
    ]:
        """Tile by tile (rows, targets): the least and the largest that each distance can be."""
        for rows in _slices(len(embeddings), TILE):
            x = self.metric.prepare(embeddings[rows]) - self.centre
            for targets in _slices(len(self.vectors), TILE):
                squares, slack = self._screened(x, targets)
                highest = self.metric.finish(squares + slack)
                np.subtract(squares, slack, out=squares)
                lowest = self.metric.finish(np.maximum(squares, 0.0, out=squares))
                yield rows, targets, lowest, highest

    def candidates(
        self,
        embeddings: Vectors,
        worst: Float[np.ndarray, "targets"],
        k: int,
        width: int = TILE,
    ) -> Iterator[tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"]]]:
        """Rows, and the targets of which they may be among the k nearest, `width` targets at once.

        `worst` is the largest distance that is of use to each target; it may sink in between.
        """
        for rows, part, x, t in self._sides(embeddings, min(width, TILE)):
            under = floor(x)
            with np.errstate(over="ignore"):
                squares = self.metric.undo(worst[part]) * (1 + ROUNDED) + under
                limits = np.nextafter(squares.astype(x.dtype), np.inf, dtype=x.dtype)
            slack = x.dtype.type(widened(x)), x.dtype.type(2 * under)
            at, to = self.product.below(
                self.product.hold(x), self.product.hold(t), limits, k, slack
            )
            yield at + rows.start, to + part.start

    def mean_bounds(
        self, embeddings: Vectors, weights: Float[np.ndarray, "targets"], dtype: DType = np.float32
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """The least and the largest that each row's weighted mean distance (`mean`) can be."""
        low, high = np.zeros(len(embeddings)), np.zeros(len(embeddings))
        for rows, part, x, t in self._sides(embeddings, TILE, dtype):
            held_x, held_t = self.product.hold(x), self.product.hold(t)
            shares = weights[part].astype(x.dtype)
            sums, least = self.product.sums(held_x, held_t, shares, self.metric.is_root)
            # What the sum over the targets, and each of its terms, may be off by.
            rounding = (len(t) + 8) * float(np.finfo(x.dtype).eps)
            down, up = self._widths(x, t, least)
            total = sums.astype(np.float64) * (1.0 if self.metric.is_root else 0.5)
            low[rows] += total * (1 - rounding) - down * weights[part].sum()
            high[rows] += total * (1 + rounding) + up * weights[part].sum()
        return low * (1 - ROUNDED), high * (1 + ROUNDED)

    def _widths(
        self, x: Rows, t: Targets, least: Float[np.ndarray, "rows"]
    ) -> tuple[float, Float[np.ndarray, "rows"]]:
        """By how much a row's distances to targets may lie below, and above, the product's."""
        under = floor(x)
        square = widened(x) * (x[:, -2].astype(np.float64) + float(t[:, -1].max())) + under
        if not self.metric.is_root:
            return under, square
        root = np.sqrt(square)
        # sqrt(p + s) - sqrt(p) is at most sqrt(s), and at most s / 2 sqrt(p).
        slope = square / np.maximum(2 * np.sqrt(least.astype(np.float64)), root)
        return math.sqrt(under), np.minimum(root, slope)

    def _sides(
        self, embeddings: Vectors, width: int, dtype: DType = np.float32
    ) -> Iterator[tuple[slice, slice, Rows, Targets]]:
        """A shard's rows and `width` targets at a time: which, and both sides of their product.

        What is too large for `dtype` comes in float64.
        """
        fits = self.largest**2 * len(self.centre) < LARGEST_SQUARE
        narrow = self.centre.astype(dtype) if fits else self.centre
        for rows in _slices(len(embeddings), SHARD_SIZE):
            looked = self.metric.look(embeddings[rows])
            centre = narrow
            x = framed(looked, centre, is_target=False)
            if not x[:, -2].max(initial=0.0) < LARGEST_SQUARE:
                centre = self.centre
                x = framed(looked, centre, is_target=False)
            for part in _slices(len(self.vectors), width):
                yield rows, part, x, self._framed(part, centre)

    def _framed(self, part: slice, centre: Float[np.ndarray, "dim"]) -> Targets:
        """Some targets as a side of the product; kept, where all of them fit in a tile."""
        place = (part.start, part.stop, centre.dtype.str)
        t = self._kept.get(place)
        if t is None:
            t = framed(self.metric.look(self.vectors[part]), centre, is_target=True)
            if len(self.vectors) <= TILE:
                self._kept[place] = t
        return t

    def pairs(
        self,
        embeddings: Vectors,
        targets: Int[np.ndarray, "m"],
        at: Int[np.ndarray, "m"] | None = None,
    ) -> Float[np.ndarray, "m"]:
        """The distances of rows (those `at`, else all) to the targets beside them, directly."""
        at = np.arange(len(embeddings)) if at is None else at
        out = np.empty(len(at))

        def measure(part: slice) -> None:
            rows, aims = embeddings[at[part]], self.vectors[targets[part]]
            difference = np.subtract(
                self.metric.look(rows), self.metric.look(aims), dtype=np.float64
            )
            out[part] = np.square(difference, out=difference).sum(axis=-1)

        spread(measure, len(at), self._at_once, int(self.vectors.shape[1]))
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
