"""What a prefilter loses: how much survives of a choice from a sample encoded in full."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from polymux.errors import UsageError
from polymux.prescribe.clock import Clock
from polymux.prescribe.costs import Budgeting, bought
from polymux.prescribe.ground import Aim
from polymux.prescribe.hashes import HashSet
from polymux.prescribe.pools import EncodedPool
from polymux.prescribe.prefilter import Narrowed, narrow
from polymux.progress import Progress
from polymux.records import Pool
from polymux.selection import Choice

# Below this many examples a choice from the sample says little of a choice from the pool.
SMALLEST_CHOICE = 50
# How many examples are encoded to measure a prefilter; four budgets if that is more.
SAMPLE = 2000
# A prefilter that loses more than this of the choice is warned of.
ENOUGH = 0.9

# (sample, budget) -> the choice of each strategy.
Choose = Callable[[EncodedPool, int], Mapping[str, Choice]]


def check_prefilter(keep: int | None, sample: int | None, budget: int | None) -> None:
    """Refuse a prefilter that cannot be; a budget that is not in examples is None."""
    if keep is None and sample is not None:
        raise UsageError("--prefilter-sample is for --prefilter", "give --prefilter N too")
    if keep is not None and budget is not None and keep < budget:
        raise UsageError(
            f"--prefilter {keep} keeps fewer examples than the budget of {budget:,}",
            "keep many budgets, as many as the time allows",
        )
    if sample is not None and sample < 0:
        raise UsageError(f"--prefilter-sample {sample}", "give a number of examples, or 0")


def narrowed(
    source: Pool,
    target: Pool,
    aim: Aim,
    choose: Choose,
    prefilter: tuple[int, int | None],
    *,
    budget: int,
    budgeting: Budgeting,
    seed: int,
    barred: HashSet,
    clock: Clock,
    progress: Progress | None,
) -> tuple[Pool, dict[str, Any]]:
    """The pool that a prefilter leaves, and what is to be told of it, its recall measured.

    `prefilter`: how many stay, and how many are encoded beside to measure that (`SAMPLE`, or four
    budgets, if not given).
    """
    keep, sample = prefilter
    in_examples = budgeting["budget_in"] == "examples"
    size = sample_size(sample, budget if in_examples else None)
    before = clock.seconds.get("prefilter", 0.0)
    with clock.stage("prefilter"):
        made = narrow(
            source,
            target,
            aim.pool.model,
            keep,
            sample=max(size, 1),
            seed=seed,
            barred=barred,
            without=budgeting["without"],
            one_of=budgeting["one_of"],
            progress=progress,
        )
    facts = {**made.facts, "seconds": round(clock.seconds["prefilter"] - before, 3)}
    if size > 0 and not narrows_nothing(facts):
        with clock.stage("measure prefilter"):
            facts["recall"] = recall_of(
                made, partial(bought, budget=budget, told=budgeting), aim, choose, progress
            )
    return made.pool, facts


def sample_size(given: int | None, budget: int | None) -> int:
    """How many examples are encoded to measure a prefilter; `budget` as in `check_prefilter`."""
    return max(SAMPLE, 4 * (budget or 0)) if given is None else given


def narrows_nothing(facts: Mapping[str, Any]) -> bool:
    """Whether a prefilter kept all that may be chosen."""
    return bool(facts["kept"] == facts["eligible"])


def recall_of(
    made: Narrowed,
    buys: Callable[[EncodedPool], float],
    aim: Aim,
    choose: Choose,
    progress: Progress | None,
) -> dict[str, Any]:
    """The share of each strategy's choice that the prefilter kept, measured on the even sample.

    The sample is encoded in full and chosen from, with the budget's share of the pool but at least
    `SMALLEST_CHOICE` examples and never more than the prefilter keeps of the sample on average.
    `buys` says how many examples of a pool the budget buys. `random` is what a prefilter by lot
    would keep. Intervals are Wilson's, 95 %.
    """
    start = time.perf_counter()
    pool = EncodedPool(made.sample, aim.pool.model, aim.pool.store, aim.pool.engine)
    pool.encode(HashSet(), progress=progress)
    size = pool.counts.eligible
    eligible = made.facts["eligible"]
    share = made.facts["kept"] / eligible
    part = min(buys(pool) / eligible, share)
    wanted = max(round(part * size), min(SMALLEST_CHOICE, round(share * size)), 1)
    strategies = {}
    for name, choice in choose(pool, wanted).items():
        kept = int(made.kept.contains(pool.fetch(choice.rows).hashes).sum())
        strategies[name] = _share(kept, len(choice.rows))
    return {
        "sample": size,
        "budget": wanted,
        "random": round(share, 4),
        "strategies": strategies,
        "seconds": round(time.perf_counter() - start, 3),
    }


def _share(kept: int, chosen: int) -> dict[str, float]:
    """A share with its 95 % interval (Wilson 1927)."""
    from scipy.stats import binomtest

    interval = binomtest(kept, chosen).proportion_ci(0.95, method="wilson")
    return {
        "recall": round(kept / chosen, 4),
        "low": round(float(interval.low), 4),
        "high": round(float(interval.high), 4),
    }


def warnings_of(facts: Mapping[str, Any], strategy: str) -> list[str]:
    """What a person should know of a prefilter before trusting this strategy's choice."""
    if narrows_nothing(facts):
        return [
            f"--prefilter {facts['asked']:,} narrowed nothing: only {facts['kept']:,} may be chosen"
        ]
    recall = facts.get("recall")
    if recall is None or strategy not in recall["strategies"]:
        return []
    found = recall["strategies"][strategy]
    if found["recall"] >= ENOUGH:
        return []
    between = f"{found['low']:.0%} to {found['high']:.0%}"
    told = (
        f"of what {strategy} chooses from a sample of {recall['sample']:,}, the prefilter kept "
        f"{found['recall']:.0%} ({between}); one by lot keeps {recall['random']:.0%} "
        "(a larger --prefilter loses less)"
    )
    return [told]
