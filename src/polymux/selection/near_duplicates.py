"""A ranking without near-duplicates: what is too near to something ranked before is passed over."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from polymux.records import SHARD_SIZE
from polymux.selection.ask import Ask, Fetch
from polymux.selection.distance import Target

# Ranks compared at once with what was kept before and among themselves.
RANKS_AT_ONCE = 512


def apart(
    rows: Int[np.ndarray, "n"], least: float, most: int, ask: Ask, fetch: Fetch
) -> Int[np.ndarray, "kept"]:
    """The ranking without what is nearer than `least` to something kept before it, at most `most`.

    Embeddings of what is kept are held, and of as many ranks at once as there is budget.
    """
    kept: list[int] = []
    held: Float[np.ndarray, "most dim"] = np.empty((0, 0))
    step = max(SHARD_SIZE, ask.budget)
    for first in range(0, len(rows), step):
        embeddings = fetch(rows[first : first + step]).embeddings
        if first == 0:
            held = np.empty((most, embeddings.shape[1]), dtype=embeddings.dtype)
        for start in range(0, len(embeddings), RANKS_AT_ONCE):
            block = embeddings[start : start + RANKS_AT_ONCE]
            new = _new(block, held[: len(kept)], least, ask.distance)[: most - len(kept)]
            held[len(kept) : len(kept) + len(new)] = block[new]
            kept += [first + start + position for position in new]
            if len(kept) == most:
                return rows[kept]
    return rows[kept]


def _new(
    block: Float[np.ndarray, "n dim"],
    held: Float[np.ndarray, "kept dim"],
    least: float,
    distance: str,
) -> list[int]:
    """Positions in the block that are near to nothing held and to no earlier one of these."""
    is_near = Target.of(held, distance).nearer(block, least).any(axis=1)
    among = Target.of(block, distance).nearer(block, least)
    new: list[int] = []
    for position in np.flatnonzero(~is_near).tolist():
        if not among[position, new].any():
            new.append(position)
    return new
