"""Transductive (VTL; Huebotter et al. 2024, arXiv 2402.15898): what tells most about the target.

A Gaussian process over the embeddings stands for the unknown: a label of x narrows what is unknown
at the target, the more the nearer x is, and the less the more was told by what is chosen already.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from polymux.selection.ask import Strategy
from polymux.selection.near import EQUAL, TARGETS, Near, begin_near, by_blocks, ranked

# The variance of a label's noise, where that of the unknown is 1.
NOISE = 0.1

# Labels that room is made for at first; then it doubles.
FIRST_LABELS = 64

Weights = Callable[[Near], Float[np.ndarray, "candidates"]]


class Posterior:
    """What is still unknown once some candidates are labelled.

    Holds candidates x targets covariances and one factor of the candidates a label.
    """

    def __init__(self, near: Near) -> None:
        self.near = near
        self._double = 2 * near.square(near.scale())
        self.covariance = self._kernel(near.target.metric.undo(near.distances))
        self.variance = np.ones(len(near.rows))
        self._factor = np.empty((FIRST_LABELS, len(near.rows)))
        self._labels = 0

    def gains(self) -> Float[np.ndarray, "candidates"]:
        """By how much a label of each would lower the variance at the targets, in all."""
        sums, known = np.empty(len(self.variance)), self.covariance
        by_blocks(
            lambda some: np.einsum("ct,ct->c", known[some], known[some], out=sums[some]), self.near
        )
        gains: Float[np.ndarray, "candidates"] = sums / (self.variance + NOISE)
        return gains

    def sizes(self) -> Float[np.ndarray, "candidates"]:
        """By how much gains move, for half of what every covariance moves by."""
        sizes: Float[np.ndarray, "candidates"] = np.abs(self.covariance).sum(axis=1)
        return sizes / (self.variance + NOISE)

    def label(self, place: int) -> None:
        """Condition on a label of this candidate."""
        factor = self._factor[: self._labels]
        new = self._kernel(self.near.squares(np.array([place]))[0]) - factor[:, place] @ factor
        root = float(np.sqrt(self.variance[place] + NOISE))
        new /= root
        told, known = self.covariance[place] / root, self.covariance
        by_blocks(
            lambda some: np.subtract(known[some], new[some, None] * told, out=known[some]),
            self.near,
        )
        self.variance = np.maximum(self.variance - np.square(new), 0.0)
        if self._labels == len(self._factor):
            self._factor = np.concatenate([self._factor, np.empty_like(self._factor)])
        self._factor[self._labels] = new
        self._labels += 1

    def _kernel(self, squares: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """From squared differences, in their place, to covariances before any label."""
        squares /= -self._double
        np.exp(squares, out=squares)
        return squares


def best(scores: Float[np.ndarray, "candidates"]) -> int:
    """The place of the largest score; by content hash, of those as large but for rounding."""
    largest = scores.max()
    return int(np.argmax(scores >= largest - EQUAL * abs(largest)))


def transductive(weigh: Weights) -> Callable[[Near, int], Int[np.ndarray, "n"]]:
    """Greedily argmax over x of sum_t Cov(t, x)^2 / (Var(x) + noise), times a weight of x.

    RBF kernel with the median bandwidth; covariances are conditioned on the picks so far (METHOD
    1.7).
    """

    def order(near: Near, count: int) -> Int[np.ndarray, "n"]:
        known, weights = Posterior(near), weigh(near)
        is_free = np.ones(len(near.rows), dtype=np.bool_)
        picks: list[int] = []
        while len(picks) < count:
            picks.append(best(np.where(is_free, known.gains() * weights, -np.inf)))
            is_free[picks[-1]] = False
            if len(picks) < count:
                known.label(picks[-1])
        return np.array(picks, dtype=np.int64)

    return order


def alike(near: Near) -> Float[np.ndarray, "candidates"]:
    """Every candidate counts the same."""
    return np.ones(len(near.rows))


def unsure(near: Near) -> Float[np.ndarray, "candidates"]:
    """u(x) from the surest candidate up, which makes any measure a weight from 0.

    The surest of thousands has an entropy of about 0, so with entropy this is the entropy; a margin
    becomes 1 - margin. A rank instead would turn differences within rounding into large ones.
    """
    weights = near.uncertainty - near.uncertainty.min()
    return weights if weights.any() else alike(near)


TRANSDUCTIVE = Strategy(
    "greedily what lowers the variance at the target most (VTL, arXiv 2402.15898)",
    begin_near,
    ranked(transductive(alike)),
    is_prefix_consistent=True,
    seeded_from=TARGETS + 1,
)
TRANSDUCTIVE_UNCERTAINTY = Strategy(
    "transductive, each gain times how much less sure x is than the surest candidate",
    begin_near,
    ranked(transductive(unsure)),
    is_prefix_consistent=True,
    seeded_from=TARGETS + 1,
)
