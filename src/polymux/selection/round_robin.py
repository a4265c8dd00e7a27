"""Round-robin: each target example in turn takes its nearest unused source example."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from polymux.selection.ask import Ask, Choice, Fetch, Strategy
from polymux.selection.draws import draws
from polymux.selection.knn_uncertainty import begin_nearest
from polymux.selection.summaries import Nearest


def turns_of(ask: Ask) -> Int[np.ndarray, "targets"]:
    """The targets in the order of their turns."""
    drawn = draws(ask.seed, "round-robin", ask.target_hashes)
    return np.lexsort((ask.target_hashes[:, 1], ask.target_hashes[:, 0], drawn))


def round_robin(seen: Nearest, ask: Ask, fetch: Fetch) -> Choice | None:
    """Targets take turns in the order of hash(seed, target), so the choice is prefix-consistent."""
    turns = turns_of(ask)
    held = (seen.rows >= 0).sum(axis=1)
    wanted = min(ask.depth, seen.seen)
    next_place = np.zeros(len(seen.rows), dtype=np.int64)
    used: set[int] = set()
    ranking: list[int] = []
    while len(ranking) < wanted:
        for target in turns:
            while next_place[target] < held[target]:
                row = int(seen.rows[target, next_place[target]])
                next_place[target] += 1
                if row not in used:
                    used.add(row)
                    ranking.append(row)
                    break
            else:
                if not seen.is_everything:
                    return None
            if len(ranking) == wanted:
                break
    return Choice(np.array(ranking, dtype=np.int64))


ROUND_ROBIN = Strategy(
    "each target example in turn takes its nearest unused source example",
    lambda ask, size: begin_nearest(replace(ask, k=1, candidates=None), size),
    round_robin,
    is_prefix_consistent=True,
)
