"""A ranking without near-duplicates: what is too near to something ranked before is passed over."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from polymux.records import SHARD_SIZE
from polymux.selection.ask import Ask, Choice, Fetch
from polymux.selection.distance import Target

# Ranks compared at once with what was kept before and among themselves.
RANKS_AT_ONCE = 512


def apart(choice: Choice, least: float, most: int, ask: Ask, fetch: Fetch) -> Choice:
    """The ranking without what is nearer than `least` to something kept before it, at most `most`.

    Embeddings of what is kept are held, and of as many ranks at once as there is budget.
    """
    kept: list[int] = []
    held: Float[np.ndarray, "most dim"] = np.empty((0, 0))
    step = max(SHARD_SIZE, ask.budget)
    for first in range(0, len(choice.rows), step):
        embeddings = fetch(choice.rows[first : first + step]).embeddings
        if first == 0:
            held = np.empty((most, embeddings.shape[1]), dtype=embeddings.dtype)
        for start in range(0, len(embeddings), RANKS_AT_ONCE):
            block = embeddings[start : start + RANKS_AT_ONCE]
            new = _new(block, held[: len(kept)], least, ask.distance)[: most - len(kept)]
            held[len(kept) : len(kept) + len(new)] = block[new]
            kept += [first + start + position for position in new]
            if len(kept) == most:
                return _without(choice, kept)
    return _without(choice, kept)


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


def _without(choice: Choice, kept: list[int]) -> Choice:
    passed_over = kept[-1] + 1 - len(kept) if kept else 0
    return Choice(choice.rows[kept], {**choice.facts, "near_duplicates": passed_over})
