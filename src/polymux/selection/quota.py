"""Random draws and shares of languages: the baselines of DeMuX, section 4.3."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Int

from polymux.errors import UsageError
from polymux.records import Encodings
from polymux.selection.ask import Ask, Choice, Fetch, Strategy
from polymux.selection.average_dist import in_order
from polymux.selection.draws import draw_of_name, draws
from polymux.selection.summaries import Key, Smallest


def drawn(seed: int, purpose: str) -> Key:
    """The key of every random choice: hash(seed, purpose, content hash)."""

    def key(
        encodings: Encodings, n: int, cut: float
    ) -> tuple[Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
        keys = draws(seed, purpose, encodings.hashes)
        positions = np.flatnonzero(keys <= cut)
        return positions, keys[positions]

    return key


def _by_draw(purpose: str, *, per_language: bool = False) -> Callable[[Ask, int | None], Smallest]:
    return lambda ask, size: Smallest(
        ask.depth, drawn(ask.seed, purpose), per_language=per_language
    )


def _lists(seen: Smallest) -> dict[str, Int[np.ndarray, "m"]]:
    """Rows of each language in the order drawn; examples without a language are one group, ''."""
    names = np.array([language or "" for language in seen.languages], dtype=object)
    return {name: seen.rows[names == name] for name in sorted(set(names.tolist()))}


def egalitarian(seen: Smallest, ask: Ask, fetch: Fetch) -> Choice:
    """Languages take turns in the order of hash(seed, language), exhausted ones are skipped."""
    lists = _lists(seen)
    turns = sorted(lists, key=lambda name: draw_of_name(ask.seed, "egalitarian", name))
    place = np.concatenate([np.arange(len(lists[name])) for name in turns])
    turn = np.concatenate([np.full(len(lists[name]), i) for i, name in enumerate(turns)])
    rows = np.concatenate([lists[name] for name in turns])
    return Choice(rows[np.lexsort((turn, place))][: ask.depth])


def scaled(quotas: Mapping[str, int], budget: int) -> dict[str, int]:
    """The same shares for another budget, by largest remainder (ties: the first name)."""
    total = sum(quotas.values())
    if total <= 0:
        raise UsageError(
            "the plan asks for no example at all", "give counts above 0: language,count"
        )
    for name, count in quotas.items():
        if count < 0:
            raise UsageError(
                f"the plan asks for {count} examples of {name!r}", "give counts from 0"
            )
    exact = {name: count * budget / total for name, count in quotas.items()}
    whole = {name: int(share) for name, share in exact.items()}
    left = budget - sum(whole.values())
    by_remainder = sorted(exact, key=lambda name: (whole[name] - exact[name], name))
    for name in by_remainder[:left]:
        whole[name] += 1
    return whole


def _given_quotas(seen: Smallest, ask: Ask, fetch: Fetch) -> Choice:
    """Random with given counts per language; what one cannot give, the others of the plan do.

    Ranks mix the languages in proportion, so that any first part is about the plan.
    """
    lists = _lists(seen)
    quotas = dict(ask.quotas or {})
    unknown = sorted(name for name, count in quotas.items() if count > 0 and name not in lists)
    want = scaled(quotas, ask.depth)
    give = {name: min(count, len(lists.get(name, ()))) for name, count in want.items()}
    short = {name: want[name] - give[name] for name in want if give[name] < want[name]}
    while sum(give.values()) < ask.depth:
        room = {
            name: count
            for name, count in quotas.items()
            if count > 0 and give[name] < len(lists.get(name, ()))
        }
        if not room:
            break
        for name, more in scaled(room, ask.depth - sum(give.values())).items():
            give[name] = min(give[name] + more, len(lists[name]))
    rows = np.concatenate([lists.get(n, np.empty(0, dtype=np.int64))[: give[n]] for n in give])
    depth = np.concatenate([(np.arange(give[n]) + 0.5) / max(1, give[n]) for n in give])
    facts = {"languages_missing": unknown, "languages_short": short}
    order = np.argsort(depth, kind="stable")
    return Choice(rows[order].astype(np.int64), {k: v for k, v in facts.items() if v})


RANDOM = Strategy(
    "random, each example by its own draw",
    _by_draw("random"),
    in_order,
    is_prefix_consistent=True,
    is_drawn=True,
)
GOLD = Strategy(
    "random from a labelled-language pool (--gold): the upper bound",
    _by_draw("gold"),
    in_order,
    frozenset({"gold"}),
    is_prefix_consistent=True,
    is_drawn=True,
)
EGALITARIAN = Strategy(
    "random, the same number from every language",
    _by_draw("egalitarian", per_language=True),
    egalitarian,
    frozenset({"languages"}),
    is_prefix_consistent=True,
    is_drawn=True,
)
PLAN = Strategy(
    "random with given counts per language (--plan)",
    _by_draw("plan", per_language=True),
    _given_quotas,
    frozenset({"languages", "quotas"}),
    is_drawn=True,
)
SAME_DISTRIBUTION = Strategy(
    "random with the language counts of another choice (--like)",
    _by_draw("same-distribution", per_language=True),
    _given_quotas,
    frozenset({"languages", "quotas"}),
    is_drawn=True,
)
