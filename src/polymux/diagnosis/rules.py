"""Which strategy to take, by rules that each name the results they were derived from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from polymux.errors import UsageError

# The name that stands for the strategy recommended.
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may look at; None: not measured."""

    task: str
    budget: int | None = None
    """Labels that will be bought; None: not said."""
    targets: int | None = None
    """Examples of the target sample."""
    pool: int | None = None
    """Examples that may be chosen."""
    out_of_reach: float | None = None
    """Share of the target with nothing near in the pool."""
    correlation: float | None = None
    """r at k = 8 between the target's uncertainty and its neighbours'."""
    near_duplicates: float | None = None
    """Share of the pool with a near-duplicate in it."""
    purity: float | None = None
    """How far the ten nearest are of one language (or script): 0 by chance, 1 all of them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A strategy for the cases in which `when` holds."""

    name: str
    when: Callable[[Facts], bool]
    strategy: str
    reason: str
    """Why, as the end of: 'because ...'."""
    results: tuple[str, ...]
    """The pages of the documentation that it was derived from, below docs/."""
    measured: bool = False
    """Whether `when` needs more than task and budget, so that the pools must be looked at."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The strategy to take, and what speaks for it."""

    strategy: str
    reason: str
    evidence: tuple[str, ...]
    """Pages below docs/ that hold the results."""
    rule: str

    @property
    def record(self) -> dict[str, Any]:
        """As `selection.json` says it."""
        return {**asdict(self), "evidence": list(self.evidence)}


# The first that holds is taken, and the last always holds. A rule needs results of its own.
RULES: tuple[Rule, ...] = (
    Rule(
        name="words",
        when=lambda facts: facts.task == "token-classification",
        strategy="knn-uncertainty",
        reason=(
            "on parts of speech, named before the run, it gained 4.0 points over random choice "
            "(1.1 to 8.1, three targets, 10 and 100 labels). On data that this rule was not made "
            "from it gained 0.9 (-0.8 to 2.5, two groups of languages), on slots 1.7 (-0.1 to 3.5, "
            "five targets), and 20.7 at 100 labels where the pool held 112 sentences of the "
            "target's own language (one target)"
        ),
        results=(
            *("results/choosing-udpos.md", "results/choosing-udpos-groups.md"),
            *("results/choosing-slots.md", "results/question-7-overlap.md"),
        ),
    ),
    Rule(
        name="default",
        when=lambda facts: True,
        strategy="knn-uncertainty",
        reason="no result here speaks for another one, and it is the paper's best on token tasks",
        results=("explanation/method.md",),
    ),
)


def recommend(facts: Facts) -> Recommendation:
    """The strategy of the first rule that holds."""
    rule = next(rule for rule in RULES if rule.when(facts))
    return Recommendation(rule.strategy, rule.reason, rule.results, rule.name)


def advise(
    strategies: Sequence[str],
    budgets: Sequence[int | None],
    task: str,
    look: Callable[[], Facts],
) -> tuple[list[str], Recommendation | None]:
    """The strategies with `auto` replaced by what is recommended, which is given beside them.

    A budget that is not in examples is None. `look` diagnoses the pools; it is called only if a
    rule needs that.

    Raises:
        UsageError: the budgets call for different strategies.
    """
    if AUTO not in strategies:
        return list(strategies), None
    known = look() if any(rule.measured for rule in RULES) else Facts(task)
    advice = [recommend(replace(known, budget=budget)) for budget in budgets]
    if len({one.strategy for one in advice}) > 1:
        told = ", ".join(
            f"{one.strategy} for {budget}" for one, budget in zip(advice, budgets, strict=True)
        )
        raise UsageError(f"auto would take {told}", "ask for one budget at a time")
    named = [advice[0].strategy if name == AUTO else name for name in strategies]
    return list(dict.fromkeys(named)), advice[0]
