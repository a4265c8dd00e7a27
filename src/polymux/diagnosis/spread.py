"""Distances among the examples of one sample, and what their spread amounts to."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from polymux.selection import Target


def distances(embeddings: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n n"]:
    """L2 distances of all pairs by matrix product, infinite to itself; the caller bounds n."""
    squares, _ = Target.of(embeddings).screen(embeddings)
    apart: Float[np.ndarray, "n n"] = np.sqrt(squares)
    np.fill_diagonal(apart, np.inf)
    return apart


def neighbours(apart: Float[np.ndarray, "n n"], k: int) -> Int[np.ndarray, "n k"]:
    """The k nearest others of each, nearest first (ties: the earlier one)."""
    return np.argsort(apart, axis=1, kind="stable")[:, : min(k, len(apart) - 1)]


def effective_size(apart: Float[np.ndarray, "n n"], spacing: float) -> float:
    """How many different examples a sample is worth: the participation ratio of its kernel.

    (sum of eigenvalues)^2 / (sum of their squares) of exp(-2 (d / spacing)^2), which is the number
    of examples where all lie farther apart than `spacing`, and 1 where all are the same; two at
    `spacing` share 2 %.
    """
    if spacing <= 0:
        return float(len(apart))
    squared = np.exp(-4 * np.square(apart / spacing))
    return float(len(apart) ** 2 / (len(apart) + squared.sum()))
