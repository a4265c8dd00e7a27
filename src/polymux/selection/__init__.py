"""Strategies on arrays: the table, and the one loop that asks them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import entry_points

import numpy as np
from jaxtyping import Float, Int, UInt64

from polymux.errors import UsageError
from polymux.records import SHARD_SIZE, Encodings
from polymux.selection.arrays import (
    finite,
    given_hashes,
    one_each,
    positions,
    row_hashes,
    vector_hashes,
)
from polymux.selection.ask import (
    Arrays,
    Ask,
    Choice,
    Fetch,
    OwnStrategy,
    Question,
    Strategy,
    Summary,
)
from polymux.selection.average_dist import AVERAGE_DIST, AVERAGES
from polymux.selection.bounded import Bounded
from polymux.selection.coverage import COVERAGE
from polymux.selection.distance import METRICS, Target
from polymux.selection.knn_uncertainty import KNN_UNCERTAINTY
from polymux.selection.limits import Limits, trimmed
from polymux.selection.product import PRODUCT, Product
from polymux.selection.quota import EGALITARIAN, GOLD, PLAN, RANDOM, SAME_DISTRIBUTION, drawn
from polymux.selection.round_robin import ROUND_ROBIN
from polymux.selection.summaries import Nearest, Smallest
from polymux.selection.transductive import TRANSDUCTIVE, TRANSDUCTIVE_UNCERTAINTY
from polymux.selection.transport import TRANSPORT
from polymux.selection.uncertainty import UNCERTAINTY, UNCERTAINTY_KNN

__all__ = [
    "PRODUCT",
    "STRATEGIES",
    "Arrays",
    "Ask",
    "Bounded",
    "Choice",
    "Limits",
    "Look",
    "Nearest",
    "OwnStrategy",
    "Product",
    "Question",
    "Smallest",
    "Strategy",
    "Summary",
    "Target",
    "check",
    "choose",
    "choose_own",
    "drawn",
    "find_strategy",
    "lines",
    "look_at",
    "refuse_missing",
    "select_encoded",
]

# A name and the rule it stands for: one that streams, or a function of one's own on arrays.
STRATEGIES: dict[str, Strategy | OwnStrategy] = {
    "average-dist": AVERAGE_DIST,
    "uncertainty": UNCERTAINTY,
    "knn-uncertainty": KNN_UNCERTAINTY,
    "uncertainty-knn": UNCERTAINTY_KNN,
    "round-robin": ROUND_ROBIN,
    "transductive": TRANSDUCTIVE,
    "transductive-uncertainty": TRANSDUCTIVE_UNCERTAINTY,
    "transport": TRANSPORT,
    "coverage": COVERAGE,
    "random": RANDOM,
    "egalitarian": EGALITARIAN,
    "gold": GOLD,
    "same-distribution": SAME_DISTRIBUTION,
    "plan": PLAN,
}

# No pool is as large as this many budgets.
MOST_BUDGETS = 1e12

# From questions to summaries that have seen the whole pool.
Look = Callable[[Mapping[str, Question]], Mapping[str, Summary]]


def find_strategy(name: str) -> Strategy | OwnStrategy:
    """The rule of this name, from the table or from an installed package's entry point."""
    if name not in STRATEGIES:
        for entry in entry_points(group="polymux.strategies", name=name):
            STRATEGIES[name] = entry.load()
    if name not in STRATEGIES:
        near = get_close_matches(name, STRATEGIES, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"there is no strategy {name!r}", f"{meant}choose one of: {', '.join(STRATEGIES)}"
        )
    return STRATEGIES[name]


def lines() -> dict[str, str]:
    """Every strategy with its rule in one line."""
    return {
        name: rule.about if isinstance(rule, Strategy) else (rule.__doc__ or "").split("\n")[0]
        for name, rule in STRATEGIES.items()
    }


def look_at(shards: Callable[[], Iterable[Encodings]]) -> Look:
    """The plain look: all summaries see every shard."""

    def look(questions: Mapping[str, Question]) -> Mapping[str, Summary]:
        summaries = {name: question.begin() for name, question in questions.items()}
        for encodings in shards():
            for seen in summaries.values():
                seen.see(encodings)
        return summaries

    return look


def choose(
    asked: Mapping[str, tuple[Strategy, Ask]],
    budgets: Sequence[int],
    look: Look,
    fetch: Fetch,
    *,
    near_duplicates: float | None = None,
    limits: Limits | None = None,
    first_size: int | None = None,
    growth: int = 4,
) -> dict[tuple[str, int], Choice]:
    """Answer every strategy and budget with as few looks at the pool as possible.

    `look` is called again when a summary turned out too small; `fetch` gives the encodings of
    rows. With `near_duplicates` an example nearer than that to one ranked before it is passed over,
    with `limits` what does not fit, and the ranking goes on. Neighbour lists start at `first_size`
    (None: as long as will most likely do) and grow by `growth`.
    """
    for _, ask in asked.values():
        check(ask, near_duplicates)
    answers: dict[tuple[str, int], Choice] = {}
    pending = dict(asked)
    sizes: dict[str, int | None] = dict.fromkeys(asked, first_size)
    deeper = 1 if near_duplicates is None else 2
    while pending:
        most = max(budgets)
        questions = {
            name: Question(rule, replace(ask, budget=most, depth=deeper * most), sizes[name])
            for name, (rule, ask) in pending.items()
        }
        for name, seen in look(questions).items():
            rule, ask = pending[name]
            # Dear rankings are made once: those for less are their beginnings.
            once = rule.is_prefix_consistent
            whole = rule.decide(seen, questions[name].ask, fetch) if once else None
            # What was answered stays: a longer ranking, for other budgets, must not change it.
            for budget in [b for b in budgets if (name, b) not in answers]:
                question = replace(ask, budget=budget, depth=deeper * budget)
                choice = whole if once else rule.decide(seen, question, fetch)
                if choice is not None:
                    choice = replace(choice, rows=choice.rows[: question.depth])
                    choice = trimmed(choice, near_duplicates, limits, question, fetch)
                if choice is not None:
                    answers[name, budget] = choice
            if all((name, budget) in answers for budget in budgets):
                del pending[name]
            elif isinstance(seen, Nearest):
                sizes[name] = growth * seen.k
        if near_duplicates is not None or limits is not None:
            deeper *= 2
    return answers


def check(ask: Ask, near_duplicates: float | None = None) -> None:
    """Refuse options that no strategy can follow."""
    candidates = 1.0 if ask.candidates is None else ask.candidates
    least = 0.0 if near_duplicates is None else near_duplicates
    # Written so that nan, of which every comparison is false, is refused too.
    wrong = [
        (ask.budget < 1, f"the budget is {ask.budget}", "ask for at least one example"),
        (ask.k < 1, f"--k {ask.k}", "the first k is a whole number from 1"),
        (
            not 1 <= ask.ratio <= MOST_BUDGETS,
            f"--ratio {ask.ratio}",
            f"budgets that are looked at: from 1 to {MOST_BUDGETS:g}",
        ),
        (
            not 1 <= candidates <= MOST_BUDGETS,
            f"--candidates {candidates}",
            f"budgets that the candidates reach: from 1 to {MOST_BUDGETS:g}",
        ),
        (
            not 0 <= least < math.inf,
            f"--near-duplicates {least}",
            "a distance from 0, below which two examples count as the same",
        ),
        (
            ask.distance not in METRICS,
            f"there is no distance {ask.distance!r}",
            f"choose one of: {', '.join(METRICS)}",
        ),
        (
            ask.average not in AVERAGES,
            f"there is no average {ask.average!r}",
            f"choose one of: {', '.join(AVERAGES)}",
        ),
    ]
    for is_wrong, what, hint in wrong:
        if is_wrong:
            raise UsageError(what, hint)


def choose_own(
    rule: OwnStrategy, name: str, budget: int, seed: int, source: Arrays, target: Arrays
) -> Int[np.ndarray, "chosen"]:
    """Ask a function of the user's own and hold it to the rules: positions in `source`."""
    size = len(source.hashes)
    return positions(name, rule(source, target, budget, seed), min(budget, size), size)


def select_encoded(
    source_embeddings: Float[np.ndarray, "pool dim"],
    source_uncertainty: Float[np.ndarray, "pool"],
    target_embeddings: Float[np.ndarray, "targets dim"],
    *,
    budget: int,
    strategy: str = "knn-uncertainty",
    languages: Sequence[str | None] | None = None,
    target_languages: Sequence[str | None] | None = None,
    keys: UInt64[np.ndarray, "pool 2"] | None = None,
    seed: int = 0,
    quotas: Mapping[str, int] | None = None,
    distance: str = "l2",
    average: str = "mean",
    k: int = 1,
    candidates: float | None = None,
    ratio: float = 10.0,
    near_duplicates: float | None = None,
) -> Int[np.ndarray, "chosen"]:
    """Arrays in, row numbers out, best first: the strategies of DeMuX section 3 without a model.

    Uncertainty: higher = less sure. `keys` are content hashes, which decide ties and random draws;
    without them the row number does. `target_languages` serve `average="macro"`. Raises UsageError
    for arrays that do not fit together or are not finite, for an unknown name or an option without
    sense, and when the strategy needs languages that were not given.
    """
    embeddings = finite("source_embeddings", source_embeddings, (None, None))
    count, dim = embeddings.shape
    uncertainty = finite("source_uncertainty", source_uncertainty, (count,))
    aim = finite("target_embeddings", target_embeddings, (None, dim))
    named = one_each("languages", languages, count)
    rows = np.arange(count, dtype=np.int64)
    hashes = row_hashes(rows) if keys is None else given_hashes(keys, count)
    no_language: tuple[str | None, ...] = (None,)
    size = min(budget, count)
    ask = Ask(
        target=aim,
        target_hashes=vector_hashes(aim),
        target_languages=one_each("target_languages", target_languages, len(aim))
        or no_language * len(aim),
        budget=size,
        depth=size,
        seed=seed,
        measure="given",
        distance=distance,
        average=average,
        k=k,
        candidates=candidates,
        ratio=ratio,
        quotas=quotas,
    )
    check(ask, near_duplicates)
    rule = find_strategy(strategy)
    if not isinstance(rule, Strategy):
        if near_duplicates is not None:
            raise UsageError(
                f"{strategy!r} is a strategy of your own: it is asked for no more than the budget",
                "drop near_duplicates, and leave out in the strategy what is too near",
            )
        source = Arrays(embeddings, uncertainty, named or no_language * count, hashes)
        unsure = np.full(len(aim), np.nan)
        target = Arrays(aim, unsure, ask.target_languages, ask.target_hashes)
        return choose_own(rule, strategy, size, seed, source, target)
    refuse_missing(strategy, rule, {"languages": named is not None, "quotas": quotas is not None})
    encodings = Encodings(
        rows=rows,
        hashes=hashes,
        embeddings=embeddings,
        uncertainty={"given": uncertainty},
        lengths=np.zeros(count, dtype=np.int64),
        lost=np.zeros(count, dtype=np.int64),
        predictions=[""] * count,
        languages=named,
    )

    def shards() -> Iterator[Encodings]:
        for start in range(0, count, SHARD_SIZE):
            yield encodings.take(rows[start : start + SHARD_SIZE])

    found = choose(
        {strategy: (rule, ask)},
        [size],
        look_at(shards),
        encodings.take,
        near_duplicates=near_duplicates,
    )
    return found[strategy, size].rows


# What a strategy needs, in words, and how to give it.
WHERE_TO_GIVE = {
    "languages": (
        "to know the languages",
        "tell where an example's language stands: --language FIELD, folder or file",
    ),
    "quotas": (
        "counts per language",
        "give --plan FILE (plan) or --like OUT (same-distribution)",
    ),
    "gold": ("a labelled-language pool", "name it: --gold PATH"),
}


def refuse_missing(name: str, rule: Strategy, given: Mapping[str, bool]) -> None:
    """A strategy asked for without what it needs."""
    for need in sorted(rule.needs):
        if not given.get(need, False):
            what, hint = WHERE_TO_GIVE[need]
            raise UsageError(f"the strategy {name} needs {what}", hint)
