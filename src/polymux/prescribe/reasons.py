"""Why each one was chosen: its uncertainty, its distance, the target examples it stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from polymux.records import Encodings, Example, Neighbour, Pick
from polymux.selection import Target

# How many target examples are named with each choice.
NAMED = 3
ROWS_AT_ONCE = 512


def significant(value: float, digits: int = 7) -> float:
    """A number short enough to read and exact enough to compare."""
    return float(f"{value:.{digits}g}")


def near(
    target: Target, embeddings: Float[np.ndarray, "n dim"], named: int
) -> tuple[
    Float[np.ndarray, "n"],
    Int[np.ndarray, "n named"],
    Float[np.ndarray, "n named"],
    Float[np.ndarray, "targets"],
]:
    """Mean distance to the target; the nearest targets and how far; each target's nearest row."""
    named = min(named, len(target.vectors))
    means, places, distances = [], [], []
    best = np.full(len(target.vectors), np.inf)
    for start in range(0, len(embeddings), ROWS_AT_ONCE):
        squares, _ = target.screen(embeddings[start : start + ROWS_AT_ONCE])
        table = target.metric.finish(squares)
        means.append(table.mean(axis=1))
        order = np.argsort(table, axis=1, kind="stable")[:, :named]
        places.append(order)
        distances.append(np.take_along_axis(table, order, axis=1))
        best = np.minimum(best, table.min(axis=0))
    return np.concatenate(means), np.concatenate(places), np.concatenate(distances), best


def picks(
    chosen: Encodings,
    examples: Mapping[int, Example],
    target: Target,
    target_examples: Sequence[Example],
    measure: str,
) -> tuple[tuple[Pick, ...], Float[np.ndarray, "targets"]]:
    """The chosen with their reasons, and each target's distance to the nearest of them."""
    means, places, distances, best = near(target, chosen.embeddings, NAMED)
    uncertainty = chosen.of_measure(measure)
    made = tuple(
        Pick(
            rank=position + 1,
            row=int(row),
            example=examples[int(row)],
            uncertainty=significant(float(uncertainty[position])),
            distance=significant(float(means[position])),
            nearest=tuple(
                Neighbour(target_examples[place].id, significant(float(distance)))
                for place, distance in zip(places[position], distances[position], strict=True)
            ),
            prediction=json.loads(chosen.predictions[position]),
        )
        for position, row in enumerate(chosen.rows)
    )
    return made, best
