"""Probabilities and the uncertainty measures made of them, over segments of one long array.

Everything is computed in float64 from the model's float32 logits, so equal logits give equal
probabilities: an exact tie has margin 0, the least sure of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

# The longest answer, in sub-words, that counts as one span (DeMuX 3.2).
LONGEST_SPAN = 30
# How far the numbers of two honest runs may be apart.
PROBABILITY, LOGARITHM = 1e-5, 1e-4
# Rows looked at together when spans are tried: few enough to stay in a core's cache.
_BLOCK = 1 << 15


@dataclass(frozen=True, slots=True)
class Distributions:
    """Log-probabilities of several units (examples, or windows), one after the other.

    Words and texts: each row is a distribution over the classes. Question answering: each of the
    two columns (start, end) is a distribution over the rows of a unit.
    """

    log_p: Float[np.ndarray, "rows classes"]
    starts: Int[np.ndarray, "units"]
    """The first row of each unit, ascending from 0; no unit is empty."""
    window: Int[np.ndarray, "rows"]
    """Rows of one window share a number; a span stays inside its window."""
    inside: Bool[np.ndarray, "rows"]
    """Whether an answer may start or end here."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How unsure a model is of an example; higher = less sure."""

    about: str
    """The formula: p1 and p2 are the two largest probabilities, H the entropy in nats."""
    of: Callable[[Distributions], Float[np.ndarray, "units"]]
    tolerance: float = PROBABILITY
    """How far two runs of one model may be apart in it."""

    def __call__(self, distributions: Distributions) -> Float[np.ndarray, "units"]:
        """One number a unit."""
        return self.of(distributions)


def log_softmax(logits: Float[np.ndarray, "rows classes"]) -> Float[np.ndarray, "rows classes"]:
    """Log-probabilities over the classes of each row."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    normed: Float[np.ndarray, "rows classes"] = shifted - np.log(
        np.exp(shifted).sum(axis=1, keepdims=True)
    )
    return normed


def counts_of(starts: Int[np.ndarray, "units"], rows: int) -> Int[np.ndarray, "units"]:
    """How many rows each unit has."""
    return np.diff(starts, append=rows)


def segment_log_softmax(
    logits: Float[np.ndarray, "rows columns"], starts: Int[np.ndarray, "units"]
) -> Float[np.ndarray, "rows columns"]:
    """Log-probabilities over the rows of each unit, every column by itself."""
    counts = counts_of(starts, len(logits))
    top = np.maximum.reduceat(logits, starts, axis=0).astype(np.float64)
    shifted = logits.astype(np.float64) - np.repeat(top, counts, axis=0)
    total = np.log(np.add.reduceat(np.exp(shifted), starts, axis=0))
    normed: Float[np.ndarray, "rows columns"] = shifted - np.repeat(total, counts, axis=0)
    return normed


def segment_mean(
    values: Float[np.ndarray, "rows"], starts: Int[np.ndarray, "units"]
) -> Float[np.ndarray, "units"]:
    """The mean of each unit's rows."""
    means: Float[np.ndarray, "units"] = np.add.reduceat(values, starts) / counts_of(
        starts, len(values)
    )
    return means


def top_two(
    log_p: Float[np.ndarray, "rows classes"],
) -> tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
    """The largest and the second largest log-probability of each row; equal when they tie."""
    two = np.partition(log_p, log_p.shape[1] - 2, axis=1)
    return two[:, -1], two[:, -2]


def segment_top_two(
    values: Float[np.ndarray, "rows"], starts: Int[np.ndarray, "units"]
) -> tuple[Float[np.ndarray, "units"], Float[np.ndarray, "units"]]:
    """The largest and the second largest value of each unit; the second of a lone row is -inf."""
    counts = counts_of(starts, len(values))
    first = np.maximum.reduceat(values, starts)
    is_first = values == np.repeat(first, counts)
    below = np.maximum.reduceat(np.where(is_first, -np.inf, values), starts)
    second = np.where(np.add.reduceat(is_first.astype(np.int64), starts) > 1, first, below)
    return first, second


def margin(log_p: Float[np.ndarray, "rows classes"]) -> Float[np.ndarray, "rows"]:
    """-(p1 - p2) of each row."""
    first, second = top_two(log_p)
    unsure: Float[np.ndarray, "rows"] = np.exp(second) - np.exp(first)
    return unsure


def log_margin(log_p: Float[np.ndarray, "rows classes"]) -> Float[np.ndarray, "rows"]:
    """-(log p1 - log p2) of each row: what the released code calls margin."""
    first, second = top_two(log_p)
    unsure: Float[np.ndarray, "rows"] = second - first
    return unsure


def entropy(log_p: Float[np.ndarray, "rows classes"]) -> Float[np.ndarray, "rows"]:
    """-sum p log p of each row, in nats."""
    total: Float[np.ndarray, "rows"] = -(np.exp(log_p) * log_p).sum(axis=1)
    return total


def least_confidence(log_p: Float[np.ndarray, "rows classes"]) -> Float[np.ndarray, "rows"]:
    """1 - p1 of each row."""
    unsure: Float[np.ndarray, "rows"] = -np.expm1(log_p.max(axis=1))
    return unsure


def segment_entropy(
    log_p: Float[np.ndarray, "rows columns"], starts: Int[np.ndarray, "units"]
) -> Float[np.ndarray, "units columns"]:
    """-sum p log p of each unit, every column by itself, in nats."""
    total: Float[np.ndarray, "units columns"] = -np.add.reduceat(
        np.exp(log_p) * log_p, starts, axis=0
    )
    return total


def best_spans(
    values: Float[np.ndarray, "rows 2"],
    window: Int[np.ndarray, "rows"],
    inside: Bool[np.ndarray, "rows"],
) -> tuple[Float[np.ndarray, "rows"], Int[np.ndarray, "rows"]]:
    """For each start, the largest start + end of a valid span from there, and the row of its end.

    A span is valid inside one window, inside the context, with its end not before its start, at
    most `LONGEST_SPAN` rows long. Where none can start the value is -inf.
    """
    best = np.empty(len(values))
    end = np.empty(len(values), dtype=np.int64)
    for first in range(0, len(values), _BLOCK):
        # A span that starts in this block may end behind it.
        reach = slice(first, first + _BLOCK + LONGEST_SPAN)
        some, ends = _best_spans(values[reach], window[reach], inside[reach])
        best[first : first + _BLOCK] = some[:_BLOCK]
        end[first : first + _BLOCK] = ends[:_BLOCK] + first
    return best, end


def _best_spans(
    values: Float[np.ndarray, "rows 2"],
    window: Int[np.ndarray, "rows"],
    inside: Bool[np.ndarray, "rows"],
) -> tuple[Float[np.ndarray, "rows"], Int[np.ndarray, "rows"]]:
    rows = len(values)
    best = np.where(inside, values[:, 0] + values[:, 1], -np.inf)
    end = np.arange(rows)
    for ahead in range(1, min(LONGEST_SPAN, rows)):
        start, stop = slice(0, rows - ahead), slice(ahead, rows)
        valid = inside[start] & inside[stop] & (window[start] == window[stop])
        total = np.where(valid, values[start, 0] + values[stop, 1], -np.inf)
        better = np.flatnonzero(total > best[start])
        best[better] = total[better]
        end[better] = better + ahead
    return best, end
