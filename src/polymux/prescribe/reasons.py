"""Why each one was chosen: its uncertainty, its distance, the target examples it stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from polymux.records import Encodings, Example, Neighbour, Pick
from polymux.selection import Target

# How many target examples are named with each choice.
NAMED = 3
# Rows x targets held at once, as float64.
TABLE_BYTES = 64 * 2**20


class Nearness(NamedTuple):
    """How some examples lie to the target sample."""

    means: Float[np.ndarray, "n"]
    """Mean distance to the target."""
    places: Int[np.ndarray, "n named"]
    """The nearest targets, nearest first."""
    distances: Float[np.ndarray, "n named"]
    covered: Float[np.ndarray, "targets"]
    """Each target's distance to the nearest of these examples."""


def significant(value: float, digits: int = 7) -> float:
    """A number short enough to read and exact enough to compare."""
    return float(f"{value:.{digits}g}")


def near(target: Target, embeddings: Float[np.ndarray, "n dim"], named: int) -> Nearness:
    """Nearness of examples to the target sample, a few rows at a time.

    What is named is measured directly: two equal vectors are at distance 0.
    """
    named = min(named, len(target.vectors))
    means, places, distances = [], [], []
    covered = np.full(len(target.vectors), np.inf)
    step = max(1, TABLE_BYTES // (8 * len(target.vectors)))
    for start in range(0, len(embeddings), step):
        rows = embeddings[start : start + step]
        squares, _ = target.screen(rows)
        table = target.metric.finish(squares)
        means.append(table.mean(axis=1))
        order = np.argsort(table, axis=1, kind="stable")[:, :named]
        places.append(order)
        exact = target.pairs(rows, order.ravel(), np.repeat(np.arange(len(rows)), named))
        distances.append(exact.reshape(len(rows), named))
        np.put_along_axis(table, order, distances[-1], axis=1)
        covered = np.minimum(covered, table.min(axis=0))
    return Nearness(
        np.concatenate(means), np.concatenate(places), np.concatenate(distances), covered
    )


def picks(
    chosen: Encodings,
    examples: Mapping[int, Example],
    target: Target,
    target_examples: Sequence[Example],
    measure: str,
) -> tuple[tuple[Pick, ...], Float[np.ndarray, "targets"]]:
    """The chosen with their reasons, and each target's distance to the nearest of them."""
    lies = near(target, chosen.embeddings, NAMED)
    uncertainty = chosen.of_measure(measure)
    reasoned = tuple(
        Pick(
            rank=position + 1,
            row=int(row),
            example=examples[int(row)],
            uncertainty=significant(float(uncertainty[position])),
            distance=significant(float(lies.means[position])),
            nearest=tuple(
                Neighbour(target_examples[place].id, significant(float(distance)))
                for place, distance in zip(
                    lies.places[position], lies.distances[position], strict=True
                )
            ),
            prediction=json.loads(chosen.predictions[position]),
        )
        for position, row in enumerate(chosen.rows)
    )
    return reasoned, lies.covered
