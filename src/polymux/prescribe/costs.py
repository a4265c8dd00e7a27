"""What an example costs to label, and what a budget in tokens, minutes or money buys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, TypedDict

import numpy as np
import regex
from jaxtyping import Float, Int

from polymux.errors import BudgetError, UsageError
from polymux.prescribe.pools import EncodedPool
from polymux.records import Example
from polymux.selection import Choice
from polymux.selection.limits import Limits, Terms

UNITS = ("examples", "tokens", "characters", "minutes", "money")
ANY = "*"
# A sign of a script that writes no spaces is a word by itself, with the marks on it.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_WORDS = regex.compile(rf"[{_UNSPACED}]\p{{M}}*|[^\s{_UNSPACED}]+")
# Why a ranking passed examples over, and what would let one in.
_PASSED_OVER = {
    "cost": ("cost more than the budget", "give a larger --budget"),
    "at_most": ("are of languages that may have no more", "raise --at-most"),
    "one_of": ("are of groups bought before", "choose without --one-of"),
}
# No unit is so fine that this is not nothing.
_NOTHING = 1e-9


class Budgeting(TypedDict, total=False):
    """What a budget is in, and what limits a choice, by the names of the options."""

    budget_in: str
    rates: Mapping[str, float]
    per: str
    at_least: Mapping[str, int]
    at_most: Mapping[str, int]
    without: Collection[str]
    one_of: str | None


def words_in(example: Example) -> int:
    """The words of a token task, or what stands between spaces; where none are written, signs."""
    if "tokens" in example.fields:
        return len(example.fields["tokens"])
    return sum(len(_WORDS.findall(str(text))) for text in example.fields.values())


SIZES: dict[str, Callable[[Example], int]] = {
    "example": lambda example: 1,
    "token": words_in,
    "character": lambda example: example.characters,
}
_OF_UNIT = {"examples": "example", "tokens": "token", "characters": "character"}


def cost_of(budget_in: str, rates: Mapping[str, float], per: str) -> Callable[[Example], float]:
    """What an example costs in the unit of the budget."""
    if budget_in in _OF_UNIT:
        size = SIZES[_OF_UNIT[budget_in]]
        return lambda example: float(size(example))
    return partial(_by_rate, rates, SIZES[per])


def _by_rate(rates: Mapping[str, float], size: Callable[[Example], int], example: Example) -> float:
    language = example.language or ""
    rate = rates.get(language, rates.get(ANY))
    if rate is None:
        raise UsageError(
            f"there is no rate for the language {language!r}",
            f"give --rate {language or ANY}=X, or --rate '{ANY}=X' for all others",
        )
    return rate * size(example)


def checked(budgets: Sequence[int], told: Budgeting) -> Budgeting:
    """The same, after refusing what cannot be, before the model runs."""
    budget_in = told["budget_in"]
    rates, least, most = told["rates"], told["at_least"], told["at_most"]
    by_rate = budget_in not in _OF_UNIT
    wrong = [
        (
            budget_in not in UNITS,
            f"there is no budget in {budget_in!r}",
            f"choose one of: {', '.join(UNITS)}",
        ),
        (
            told["per"] not in SIZES,
            f"there is no rate per {told['per']!r}",
            f"choose one of: {', '.join(SIZES)}",
        ),
        (
            bool(rates) and not by_rate,
            f"a budget in {budget_in} has no rates",
            "give --budget-in minutes or money, or no --rate",
        ),
        (
            by_rate and not rates,
            f"a budget in {budget_in} needs what an example takes",
            "give --rate LANGUAGE=X, or --rate '*=X' for all",
        ),
        (
            not all(0 < rate < np.inf for rate in rates.values()),
            "a rate is not above 0",
            "an example that costs nothing cannot be counted",
        ),
        (
            budget_in != "examples" and len(budgets) > 1,
            f"several budgets in {budget_in}",
            "give one --budget at a time",
        ),
        (
            budget_in == "examples" and sum(least.values()) > min(budgets),
            f"--at-least asks for {sum(least.values())} of a budget of {min(budgets)}",
            "ask for less, or give a larger --budget",
        ),
    ]
    for language, count in least.items():
        if count > most.get(language, count) or language in told["without"]:
            wrong.append((True, f"more {language} is asked for than allowed", "change one of them"))
    for is_wrong, what, hint in wrong:
        if is_wrong:
            raise UsageError(what, hint)
    return told


def is_limited(told: Budgeting) -> bool:
    """Whether a plain ranking may not be what is bought; barred languages leave the pool before."""
    names = ("at_least", "at_most", "one_of")
    return told["budget_in"] != "examples" or any(told[name] for name in names)  # type: ignore[literal-required]


def limits_on(pool: EncodedPool, budget: int, told: Budgeting) -> tuple[Limits, int]:
    """The limits of a choice from this pool, and how many examples the budget buys about.

    Of groups of which something is excluded, as bought before, nothing more is bought.

    Raises:
        UsageError: a language that the pool does not have.
        BudgetError: not even one example is affordable.
    """
    there = pool.languages_read
    refuse_strangers(told, {*there, *told["without"]} if any(there) else there)
    cost = _cost(told)
    terms = partial(_terms, pool, cost, told["one_of"])
    taken: frozenset[Hashable] = frozenset()
    if told["one_of"] is not None:
        before = pool.examples(pool.excluded_rows).values()
        taken = frozenset(group_of(example, told["one_of"]) for example in before)
    limits = Limits(terms, at_least=told["at_least"], at_most=told["at_most"], taken=taken)
    if told["budget_in"] == "examples":
        return limits, min(budget, pool.counts.eligible)
    costs = _costs(pool, cost)
    cheapest = float(costs.min())
    if cheapest > budget:
        raise BudgetError(
            f"{budget} {told['budget_in']} buy no example: the cheapest costs {cheapest:g}",
            "give a larger --budget",
        )
    about = int(np.clip(_buys(budget, costs), 1, pool.counts.eligible))
    return (
        Limits(terms, float(budget), cheapest, told["at_least"], told["at_most"], taken),
        about,
    )


def bought(pool: EncodedPool, budget: int, told: Budgeting) -> float:
    """About how many examples of a pool a budget buys."""
    return _buys(budget, _costs(pool, _cost(told)))


def _cost(told: Budgeting) -> Callable[[Example], float]:
    return cost_of(told["budget_in"], told["rates"], told["per"])


def _costs(pool: EncodedPool, cost: Callable[[Example], float]) -> Float[np.ndarray, "eligible"]:
    """Of all that may be chosen, one text at a time."""
    return np.fromiter((cost(example) for _, example in pool.texts(pool.rows)), dtype=np.float64)


def _buys(budget: int, costs: Float[np.ndarray, "n"]) -> float:
    return budget / max(float(costs.mean()), _NOTHING)


def refuse_empty(choice: Choice) -> None:
    """Refuse a choice of which the limits left nothing."""
    if len(choice.rows) == 0:
        passed = choice.facts.get("passed_over", {})
        why = (f"{count:,} {_PASSED_OVER[name][0]}" for name, count in passed.items())
        raise BudgetError(
            f"the limits leave nothing to choose: {', '.join(why)}",
            " or ".join(_PASSED_OVER[name][1] for name in passed),
        )


def _terms(
    pool: EncodedPool,
    cost: Callable[[Example], float],
    one_of: str | None,
    rows: Int[np.ndarray, "n"],
) -> Terms:
    found = pool.examples(rows)
    examples = [found[row] for row in rows.tolist()]
    return Terms(
        np.array([cost(example) for example in examples], dtype=np.float64),
        [example.language or "" for example in examples],
        [group_of(example, one_of) for example in examples],
    )


def group_of(example: Example, one_of: str | None) -> Hashable:
    """What makes an example the same as others: a field of its own, or its number in its file."""
    if one_of is None:
        return None
    if one_of == "number":
        return example.id.rpartition("#")[2]
    value: Any = example.source_id if one_of == "source_id" else example.extra.get(one_of)
    if not isinstance(value, str | int):
        raise UsageError(
            f"{example.id} has no {one_of} to be one of",
            "name a field that every example has, or `number` for its place in its file",
        )
    return value


def refuse_strangers(told: Budgeting, languages: Collection[str]) -> None:
    """Refuse limits on languages that the pool does not have."""
    named = {*told["at_least"], *told["at_most"], *told["without"]}
    if not named:
        return
    if not any(languages):
        raise UsageError(
            "limits name languages, and the pool tells of none", "say where with --language"
        )
    unknown = sorted(named.difference(languages))
    if unknown:
        near = get_close_matches(unknown[0], languages, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"the pool has no example of {', '.join(unknown)}",
            f"{meant}it has {', '.join(sorted(name for name in languages if name)[:40])}",
        )
