"""A choice by the low-precision model alone: what it keeps of the exact one, on a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from polymux.prescribe.screen import Decided
from polymux.records import Encodings
from polymux.selection import Ask, Strategy, choose, look_at

# The even sample on which both models choose, and the least that they choose of it.
JUDGED, LEAST = 1000, 20


@dataclass(eq=False)
class ScreenOnly:
    """A choice by the low-precision model alone, judged by the exact one on an even sample."""

    decided: Decided
    target: Float[np.ndarray, "targets dim"]
    """The target sample as the exact model sees it."""
    sample: Int[np.ndarray, "sample"]
    kept: dict[tuple[str, int], tuple[int, float]] = field(default_factory=dict)
    """By strategy and budget: how many were chosen from the sample, and the share kept."""

    def judge(
        self,
        asked: Mapping[str, tuple[Strategy, Ask]],
        sizes: Mapping[int, int],
        near_duplicates: float | None,
    ) -> None:
        """Choose from the sample by both models, the same share of it, but no fewer than 20.

        `sizes`: by budget, how many examples it buys about.
        """
        count = self.decided.pool.counts.eligible
        scaled = {
            budget: min(len(self.sample), max(LEAST, size * len(self.sample) // count))
            for budget, size in sizes.items()
        }
        low, exact = (f(self.sample) for f in (self.decided.pool.fetch, self.decided.fetch))
        judged = {
            name: (rule, replace(ask, target=self.target)) for name, (rule, ask) in asked.items()
        }
        wanted = sorted(set(scaled.values()))
        ours, theirs = (
            choose(
                who,
                wanted,
                look_at(partial(iter, [seen])),
                partial(_rows_of, seen),
                near_duplicates=near_duplicates,
            )
            for who, seen in ((asked, low), (judged, exact))
        )
        for name in asked:
            for budget, size in scaled.items():
                same = np.intersect1d(ours[name, size].rows, theirs[name, size].rows)
                self.kept[name, budget] = size, len(same) / size

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says: what read the pool, and what it kept of a sample's choice."""
        model = self.decided.pool.model
        return {
            "model": model.fingerprint,
            **model.settings,
            "only": True,
            "sampled": len(self.sample),
            "kept": {
                f"{name}/{budget}": {"of": size, "share": round(share, 4)}
                for (name, budget), (size, share) in self.kept.items()
            },
        }

    def warnings(self, strategy: str, budget: int) -> list[str]:
        """What a person should know of this choice."""
        size, share = self.kept[strategy, budget]
        of = f"of the {size} that full precision chooses from a sample of {len(self.sample):,}"
        return [f"chosen in {self.decided.pool.model.dtype} alone: {of}, it keeps {share:.0%}"]


def _rows_of(seen: Encodings, rows: Int[np.ndarray, "m"]) -> Encodings:
    """The encodings of these rows of the pool."""
    order = np.argsort(seen.rows)
    return seen.take(order[np.searchsorted(seen.rows, rows, sorter=order)])
