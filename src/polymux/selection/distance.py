"""Distances between examples and the target sample: screened by matrix product, decided directly.

Matrix products give |x|^2 + |t|^2 - 2xt fast, but lose digits for near-equal vectors and differ in
the last bit with the shape of the tile. So a product only *screens*: whatever may fall on either
side of a cut is computed again as the norm of the difference, whose bits depend on the two vectors
alone. Everything here is float64; embeddings come as float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# Two float64 screens of one pair agree far better than this (relative, of the larger norm squared).
SCREEN_SLACK = 1e-9
# Rows computed directly at once: bounds the temporary of rows x targets x dim.
DIRECT_BYTES = 32 * 2**20

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


@dataclass(frozen=True)
class Target:
    """A target sample made ready to measure distances to."""

    vectors: Vectors
    metric: Metric
    centre: Float[np.ndarray, "dim"]

    @classmethod
    def of(cls, embeddings: Vectors, distance: str = "l2") -> Target:
        """Prepare once what every shard is compared with."""
        metric = METRICS[distance]
        vectors = metric.prepare(embeddings)
        return cls(vectors, metric, vectors.mean(axis=0))

    def screen(
        self, embeddings: Vectors
    ) -> tuple[Float[np.ndarray, "n targets"], Float[np.ndarray, "n targets"]]:
        """Squared differences by matrix product, and how far each may be off.

        Moving the origin to the target's centre keeps the norms, and with them the error, small.
        """
        x = self.metric.prepare(embeddings) - self.centre
        t = self.vectors - self.centre
        sizes = np.square(x).sum(axis=1)[:, None] + np.square(t).sum(axis=1)[None, :]
        return np.maximum(sizes - 2 * (x @ t.T), 0.0), SCREEN_SLACK * sizes

    def pairs(self, embeddings: Vectors, targets: np.ndarray) -> Float[np.ndarray, "n"]:
        """The distance of each row to the target beside it, directly."""
        x = self.metric.prepare(embeddings)
        step = max(1, DIRECT_BYTES // (8 * max(1, x.shape[1])))
        out = np.empty(len(x))
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            difference = x[part] - self.vectors[targets[part]]
            out[part] = np.square(difference).sum(axis=-1)
        finished: Float[np.ndarray, "n"] = self.metric.finish(out)
        return finished

    def all(self, embeddings: Vectors) -> Float[np.ndarray, "n targets"]:
        """The distance of each row to every target, directly; the caller bounds the rows."""
        x = self.metric.prepare(embeddings)
        difference = x[:, None, :] - self.vectors[None, :, :]
        finished: Float[np.ndarray, "n targets"] = self.metric.finish(
            np.square(difference).sum(axis=-1)
        )
        return finished

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

    def _reduced(
        self, embeddings: Vectors, reduce: Callable[[np.ndarray], np.ndarray]
    ) -> Float[np.ndarray, "n"]:
        """`reduce` over the distances to all targets, a few rows at a time."""
        step = max(1, DIRECT_BYTES // (8 * max(1, self.vectors.size)))
        parts = [
            reduce(self.all(embeddings[start : start + step]))
            for start in range(0, len(embeddings), step)
        ]
        return np.concatenate(parts) if parts else np.empty(0)
