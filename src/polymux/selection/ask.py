"""What is asked of a strategy, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from polymux.records import Encodings, Hashes
from polymux.selection.bounded import Bounded
from polymux.selection.product import PRODUCT, Product
from polymux.selection.summaries import Nearest, Smallest

Summary = Smallest | Bounded | Nearest


@dataclass(frozen=True, eq=False)
class Ask:
    """One question to a strategy: which `budget` examples, for this target?"""

    target: Float[np.ndarray, "targets dim"]
    target_hashes: Hashes
    target_languages: tuple[str | None, ...]
    budget: int
    depth: int
    """How long a ranking is wanted; more than the budget when near-duplicates are left out."""
    seed: int
    measure: str
    """Which uncertainty measure decides."""
    distance: str = "l2"
    average: str = "mean"
    """average-dist: `mean` over targets, or `macro` over their languages or clusters first."""
    k: int = 1
    """knn-uncertainty: the first k."""
    candidates: float | None = None
    """knn-uncertainty: the smallest k whose union has this many budgets; None doubles k."""
    more_than_budget: bool = False
    """knn-uncertainty: |C| > budget, as in the released code, instead of |C| >= budget."""
    ratio: float = 10.0
    """uncertainty-knn: how many budgets of the least sure examples are looked at."""
    quotas: Mapping[str, int] | None = None
    """plan, same-distribution: examples a language, for any budget (scaled)."""
    product: Product = PRODUCT
    """Where tiles of distances are screened: it decides how fast, never what is chosen."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A strategy's answer: rows of the pool, best first, and what it has to say of them."""

    rows: Int[np.ndarray, "chosen"]
    facts: Mapping[str, Any] = field(default_factory=dict)


Fetch = Callable[[Int[np.ndarray, "m"]], Encodings]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A rule that streams: the summary it needs, and how it decides from it.

    `begin(ask, size)` makes an empty summary; `size` is how many neighbours it holds of each
    target, None as many as will most likely do. `decide` answers None where that was too few, and
    is asked again with `growth` (of `choose`) times as many. `fetch` gives the encodings of rows.
    """

    about: str
    begin: Callable[[Ask, int | None], Summary]
    decide: Callable[[Any, Ask, Fetch], Choice | None]
    needs: frozenset[str] = frozenset()
    """Of `languages`, `quotas`, `gold`: what the user has to give."""
    is_prefix_consistent: bool = False
    """Whether the choice for 100 is the first 100 of the choice for 1000."""
    seeded_from: int | None = 0
    """Target examples from which another seed may give another choice; None: never, but for what
    options draw."""
    is_drawn: bool = False
    """Whether content hashes alone decide, and no number that a model gives."""


@dataclass(frozen=True, eq=False)
class Question:
    """What a look at the pool must answer for one strategy."""

    rule: Strategy
    ask: Ask
    size: int | None

    def begin(self) -> Summary:
        """An empty summary."""
        return self.rule.begin(self.ask, self.size)

    def about(self, target: Float[np.ndarray, "targets dim"]) -> Question:
        """The same question about the target sample as another model sees it."""
        return replace(self, ask=replace(self.ask, target=target))


@dataclass(frozen=True, eq=False)
class Arrays:
    """What a strategy of the user's own sees of a pool: aligned rows, in memory or mapped."""

    embeddings: Float[np.ndarray, "n dim"]
    uncertainty: Float[np.ndarray, "n"]
    languages: tuple[str | None, ...]
    hashes: Hashes


# f(source, target, budget, seed) -> positions in source, best first.
OwnStrategy = Callable[[Arrays, Arrays, int, int], Int[np.ndarray, "chosen"]]
