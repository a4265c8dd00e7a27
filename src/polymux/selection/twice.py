"""One question and its two answers, and how far what one of them decided is from equal keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from polymux.records import Encodings
from polymux.selection.ask import Ask, Fetch, Summary
from polymux.selection.distance import Target

# Two runs of a model agree in an embedding within this part of its norm.
EMBEDDING = 1e-5


@dataclass(frozen=True, eq=False)
class Twice:
    """One question and its two answers: that of another run then, that of this run now."""

    ask: Ask
    then: Int[np.ndarray, "chosen"]
    now: Int[np.ndarray, "chosen"]
    facts: Mapping[str, Any]
    """What the other run said of its answer."""
    facts_now: Mapping[str, Any]
    tolerance: float
    """How far two runs may be apart in the uncertainty that decides."""
    shards: Callable[[], Iterable[Encodings]]
    fetch: Fetch
    first_only: bool = False
    """Only the last of each answer differs: nothing is said of what neither chose."""

    def look(self, summary: Summary) -> None:
        """Show every shard to a summary."""
        for encodings in self.shards():
            summary.see(encodings)

    def outside(self, among: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
        """Those of `among` that the other run left out."""
        left = np.setdiff1d(among, self.then)
        return np.intersect1d(left, self.now) if self.first_only else left


@dataclass(frozen=True, slots=True)
class Gap:
    """A comparison that the other run decided against the keys of this one."""

    row: int | None
    """The example it put elsewhere; None where the comparison is of no single one."""
    comparison: str
    key: float
    gap: float
    """How far the key is from where equal keys would decide as the other run did."""
    tolerance: float

    @property
    def is_tie(self) -> bool:
        """Whether two honest runs may decide it differently."""
        return self.gap <= self.tolerance


def slack(target: Target, embeddings: Float[np.ndarray, "n dim"]) -> float:
    """How far apart two honest runs may be in the order of two distances to the target."""
    typical = sum(
        float(np.linalg.norm(target.metric.prepare(vectors), axis=-1).mean())
        for vectors in (target.vectors, embeddings)
    )
    return 2 * EMBEDDING * typical


def gaps(
    rows: Int[np.ndarray, "n"],
    comparison: str,
    keys: Float[np.ndarray, "n"],
    apart: Float[np.ndarray, "n"],
    tolerance: float,
) -> list[Gap]:
    """A gap for each of these rows."""
    return [
        Gap(int(row), comparison, float(key), float(gap), tolerance)
        for row, key, gap in zip(rows, keys, apart, strict=True)
    ]


def ranked(
    twice: Twice,
    keys: Float[np.ndarray, "chosen"],
    outside: Int[np.ndarray, "m"],
    outside_keys: Float[np.ndarray, "m"],
    comparison: str,
    tolerance: float,
) -> list[Gap]:
    """What an answer broke of a ranking, smallest key first: the order, and who is in."""
    then = twice.then
    least = outside_keys.min(initial=np.inf)
    strange = ~np.isin(then, twice.now) & (keys >= least)
    # What should not be in at all says nothing of the order of the others.
    sound = np.where(strange & (keys - least > tolerance), -np.inf, keys)
    late = np.maximum.accumulate(np.concatenate([[-np.inf], sound[:-1]])) - keys
    moved = (then != np.resize(twice.now, len(then))) & (late >= 0)
    behind = keys.max() - outside_keys
    left = behind >= 0
    order = f"order by {comparison}"
    return [
        *gaps(then[moved], order, keys[moved], late[moved], tolerance),
        *gaps(then[strange], comparison, keys[strange], keys[strange] - least, tolerance),
        *gaps(outside[left], comparison, outside_keys[left], behind[left], tolerance),
    ]
