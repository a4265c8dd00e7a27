"""Squared differences by matrix product: where it runs, and how far it may be off.

A row x is framed as [x - c, r, 1] and a target t as [-2 (t - c), 1, s], where r and s are the
squares of their norms: one product is then all |x - t|^2 of a tile. r and s are made smaller by the
share that rounding can be off, so that the product is a lower bound, and a tile is compared as it
comes. c, the centre of the targets, keeps norms small, and with them the error.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from polymux.selection.threads import spread

# Beyond this, squares of norms would leave float32; float64 is taken then.
LARGEST_SQUARE = 1e30
# A tile of which more than this many times k targets would stay is worth a look for its k smallest.
WORTH_A_LOOK = 2

# Rows that go through several passes before the next: they stay in the second cache.
ROWS_OF_A_PASS = 256

Framed = Float[np.ndarray, "n framed"]
Rows = Float[np.ndarray, "rows framed"]
Targets = Float[np.ndarray, "targets framed"]
Pairs = tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"]]


@runtime_checkable
class Product(Protocol):
    """Where tiles are multiplied, compared and summed; `hold` brings both sides there.

    Products must round as IEEE arithmetic of the sides' type does, in any order of sums.
    """

    def hold(self, framed: Framed) -> Any:
        """Framed rows or targets, where they are multiplied."""
        ...

    def below(
        self,
        x: Any,
        t: Any,
        limits: Float[np.ndarray, "targets"],
        k: int,
        slack: tuple[np.floating[Any], np.floating[Any]],
    ) -> Pairs:
        """Rows and targets, in the order of rows, whose square is at most the target's limit.

        Where many would stay, limits sink to the k-th smallest of what the tile's squares can be at
        most: the product, the first slack times both framed squares, and the second slack.
        """
        ...

    def sums(
        self, x: Any, t: Any, weights: Float[np.ndarray, "targets"], is_root: bool
    ) -> tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
        """Each row's weighted sum of its products from 0 (or their roots), and the least."""
        ...


class InNumpy:
    """The product on the processor."""

    def hold(self, framed: Framed) -> Framed:
        """As it is."""
        return framed

    def multiplied(self, x: Rows, t: Targets) -> Float[np.ndarray, "rows targets"]:
        """The tile: squared differences, or a little less."""
        tile: Float[np.ndarray, "rows targets"] = x @ t.T
        return tile

    def below(
        self,
        x: Rows,
        t: Targets,
        limits: Float[np.ndarray, "targets"],
        k: int,
        slack: tuple[np.floating[Any], np.floating[Any]],
    ) -> Pairs:
        """See `Product`."""
        tile = self.multiplied(x, t)
        stays = _at_most(tile, limits)
        if len(x) > k and np.count_nonzero(stays) > WORTH_A_LOOK * k * len(t):
            most = tile + slack[0] * x[:, -2:-1]
            kth = most.min(axis=0) if k == 1 else np.partition(most, k - 1, axis=0)[k - 1]
            kth += slack[0] * t[:, -1] + slack[1]
            stays = _at_most(tile, np.minimum(limits, kth))
        at, to = np.divmod(np.flatnonzero(stays), len(t))
        return at, to

    def sums(
        self, x: Rows, t: Targets, weights: Float[np.ndarray, "targets"], is_root: bool
    ) -> tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
        """See `Product`."""
        tile = self.multiplied(x, t)
        sums, least = np.empty(len(tile), tile.dtype), np.empty(len(tile), tile.dtype)

        def add(rows: slice) -> None:
            part = np.maximum(tile[rows], 0, out=tile[rows])
            least[rows] = part.min(axis=1)
            sums[rows] = (np.sqrt(part, out=part) if is_root else part) @ weights

        spread(add, len(tile), ROWS_OF_A_PASS, len(t))
        return sums, least


PRODUCT: Product = InNumpy()


def _at_most(
    tile: Float[np.ndarray, "rows targets"], limits: Float[np.ndarray, "targets"]
) -> Bool[np.ndarray, "rows targets"]:
    stays = np.empty(tile.shape, dtype=bool)
    spread(
        lambda rows: np.less_equal(tile[rows], limits, out=stays[rows]),
        *(len(tile), ROWS_OF_A_PASS, tile.shape[1]),
    )
    return stays


def off(dim: int, dtype: type[np.floating[Any]]) -> float:
    """The share of |x|^2 + |t|^2 by which a product of frames may differ from |x - t|^2.

    Higham (2002), section 3.1: a sum of n products is off by at most nu / (1 - nu) of the sum of
    their magnitudes, in whatever order, fused or not. There are three such sums (the product, whose
    magnitudes are twice the squares, and the squares themselves), the rounding of the centred
    vectors, and that of the direct distance, in float64, with which bounds are compared.
    """
    unit = float(np.finfo(dtype).eps) / 2
    terms = dim + 2
    direct = terms * float(np.finfo(np.float64).eps)
    return 3 * terms * unit / (1 - terms * unit) + 16 * unit + 2 * direct


def widened(x: Framed) -> float:
    """How much of both framed squares lies between the least and the most of a squared distance."""
    share = off(int(x.shape[1]) - 2, x.dtype.type)
    return 2 * share / (1 - share) + 16 * float(np.finfo(x.dtype).eps)


def floor(x: Framed) -> float:
    """What underflow may take from, or add to, a square, subnormal numbers flushed or not."""
    return 16 * int(x.shape[1]) * float(np.finfo(x.dtype).tiny)


def framed(
    vectors: Float[np.ndarray, "n dim"] | Int[np.ndarray, "n dim"],
    centre: Float[np.ndarray, "dim"],
    *,
    is_target: bool,
) -> Framed:
    """Vectors as one side of the product, in the type of the centre.

    Squares that leave that type come out infinite or nan.
    """
    count, dim = vectors.shape
    out: Framed = np.empty((count, dim + 2), dtype=centre.dtype)
    out[:, dim + (not is_target)] = 1
    share = 1 - off(dim, centre.dtype.type)

    def frame(rows: slice) -> None:
        inner = out[rows, :dim]
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(vectors[rows], centre, out=inner, casting="same_kind")
            out[rows, dim + is_target] = np.einsum("nd,nd->n", inner, inner) * share
            if is_target:
                inner *= -2

    spread(frame, count, ROWS_OF_A_PASS, dim)
    return out
