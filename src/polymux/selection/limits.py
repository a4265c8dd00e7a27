"""What a choice may cost and must hold: a ranking is walked, and what does not fit is passed over.

Minimums come first, in rank order inside each language, then the rest in rank order (METHOD 1.2,
rule 6). Every strategy is held to them in the same way, because they see its ranking alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int

from polymux.selection.ask import Ask, Choice, Fetch
from polymux.selection.near_duplicates import apart

# Sums of costs differ by rounding only.
_EQUAL = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What limits need to know of some examples, aligned."""

    costs: Float[np.ndarray, "n"]
    languages: Sequence[str]
    """'' where none is told."""
    groups: Sequence[Hashable]
    """Of those with the same one only one is bought; None belongs to no group."""


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """What a choice may cost in all, and how many examples of a language it holds."""

    terms: Callable[[Int[np.ndarray, "n"]], Terms]
    """Of rows of the pool."""
    budget: float | None = None
    """In the unit of the costs; None: the budget that is asked for, in examples."""
    cheapest: float = 1.0
    """No example of the pool costs less."""
    at_least: Mapping[str, int] = field(default_factory=dict)
    at_most: Mapping[str, int] = field(default_factory=dict)
    taken: frozenset[Hashable] = frozenset()
    """Groups of which one was bought before."""


@dataclass(slots=True)
class _Walk:
    """What was taken so far, and why the rest was not."""

    limits: Limits
    terms: Terms
    left: float
    groups: set[Hashable]
    held: Counter[str] = field(default_factory=Counter)
    taken: list[int] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)

    def take(self, place: int) -> bool:
        """Take what stands at a place of the ranking, unless something forbids it."""
        why = self._forbids(place)
        if why is not None:
            self.passed[why] += 1
            return False
        self.left -= float(self.terms.costs[place])
        self.held[self.terms.languages[place]] += 1
        self.groups.add(self.terms.groups[place])
        self.taken.append(place)
        return True

    def _forbids(self, place: int) -> str | None:
        language, group = self.terms.languages[place], self.terms.groups[place]
        if self.terms.costs[place] > self.left + _EQUAL:
            return "cost"
        if self.held[language] >= self.limits.at_most.get(language, np.inf):
            return "at_most"
        if group is not None and group in self.groups:
            return "one_of"
        return None


def within(choice: Choice, budget: int, limits: Limits) -> tuple[Choice, bool]:
    """The part of a ranking that the limits allow, and whether a longer ranking adds nothing."""
    terms = limits.terms(choice.rows)
    whole = float(budget if limits.budget is None else limits.budget)
    walk = _Walk(limits, terms, whole, set(limits.taken))
    for language, least in limits.at_least.items():
        for place, name in enumerate(terms.languages):
            if walk.held[language] == least:
                break
            if name == language:
                walk.take(place)
    before = set(walk.taken)
    walk.passed.clear()
    for place in range(len(choice.rows)):
        if walk.left + _EQUAL < limits.cheapest:
            break
        if place not in before:
            walk.take(place)
    short = {
        language: least - walk.held[language]
        for language, least in limits.at_least.items()
        if walk.held[language] < least
    }
    kept = sorted(walk.taken)
    facts = {
        **choice.facts,
        "spent": round(whole - walk.left, 6),
        "passed_over": dict(walk.passed),
        "at_least_short": short,
    }
    is_full = walk.left + _EQUAL < limits.cheapest and not short
    return Choice(choice.rows[kept], {k: v for k, v in facts.items() if v != {}}), is_full


def trimmed(
    choice: Choice, near_duplicates: float | None, limits: Limits | None, ask: Ask, fetch: Fetch
) -> Choice | None:
    """What of a ranking may be chosen; None where a longer ranking is needed to say."""
    ranked, is_full = choice.rows, True
    is_whole = len(ranked) < ask.depth
    if near_duplicates is not None:
        most = ask.budget if limits is None else len(ranked)
        choice = replace(choice, rows=apart(ranked, near_duplicates, most, ask, fetch))
        is_full = len(choice.rows) >= ask.budget
    left = choice.rows
    if limits is not None:
        choice, is_full = within(choice, ask.budget, limits)
    if not (is_full or is_whole):
        return None
    if near_duplicates is not None:
        # What is full looks no further than the last that it took.
        last = np.flatnonzero(np.isin(ranked, choice.rows)).max(initial=-1)
        seen = ranked[: last + 1] if is_full else ranked
        near = int((~np.isin(seen, left)).sum())
        choice = replace(choice, facts={**choice.facts, "near_duplicates": near})
    return choice
