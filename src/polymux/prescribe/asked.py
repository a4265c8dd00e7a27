"""What is asked of the pools, and the choices that answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from polymux.prescribe.answer import Answer, prescription
from polymux.prescribe.card import MAP_POINTS
from polymux.prescribe.clock import Clock
from polymux.prescribe.costs import Budgeting, is_limited, limits_on, refuse_empty
from polymux.prescribe.ground import Aim, Aims, Ground, Sample
from polymux.prescribe.hashes import HashSet
from polymux.prescribe.own import ask_own
from polymux.prescribe.plan import refuse_strangers
from polymux.prescribe.pools import EncodedPool
from polymux.prescribe.screen import CAUTIOUS, Screen
from polymux.progress import Progress
from polymux.records import Pool, Prescription
from polymux.selection import Ask, Choice, Limits, OwnStrategy, Strategy, choose, look_at

Quotas = Mapping[str, Mapping[str, int] | None]
Rules = Mapping[str, Strategy | OwnStrategy]


@dataclass(frozen=True, eq=False)
class Asked:
    """All that is asked of one pool."""

    rules: Rules
    aims: Aims
    ask: Ask
    quotas: Quotas
    near_duplicates: float | None
    budgeting: Budgeting
    told: Mapping[str, Any]
    """Settings for the manifest."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """For the manifest, by name: what the prefilter found, what was estimated."""


def seen_by(ask: Ask, aim: Aim) -> Ask:
    """The question about the target sample as a model sees it."""
    encodings = aim.encodings
    return replace(
        ask,
        target=encodings.embeddings,
        target_hashes=encodings.hashes,
        target_languages=tuple(encodings.languages or [None] * len(encodings)),
        product=aim.measured.product,
    )


def prescribe(
    asked: Asked,
    pool: Pool,
    budgets: Sequence[int],
    barred: HashSet,
    clock: Clock,
    progress: Progress | None,
) -> dict[tuple[str, int], Prescription]:
    """Every strategy's answer for every budget, from one pool, with reasons."""
    with clock.stage(f"encode {pool.name}"):
        sample = max(MAP_POINTS, *budgets)
        ground = Ground.of(
            pool,
            asked.aims,
            barred,
            without=asked.budgeting["without"],
            sample=sample,
            seed=asked.ask.seed,
            progress=progress,
        )
    sizes = {budget: min(budget, ground.pool.counts.eligible) for budget in budgets}
    limits: Limits | None = None
    if is_limited(asked.budgeting):
        for budget in budgets:
            limits, sizes[budget] = limits_on(ground.pool, budget, asked.budgeting)
    with clock.stage("choose"):
        found = choose_from(asked, sorted(set(sizes.values())), ground.pool, ground.screen, limits)
        for choice in found.values():
            refuse_empty(choice)
        if ground.alone is not None:
            ground.alone.judge(_streaming(asked), sizes, asked.near_duplicates)
    with clock.stage("explain"):
        wanted = [choice.rows for choice in found.values()]
        # A budget in characters may be far more than the examples that it bought.
        shown_rows = ground.sample_rows[: max([MAP_POINTS, *map(len, wanted)])]
        ground = replace(ground, sample_rows=shown_rows)
        examples = ground.pool.examples(np.concatenate([*wanted, shown_rows]))
        shown = Sample.of(ground, examples)
    made = {}
    for name in asked.rules:
        settings = {**asked.told, "quotas": asked.quotas[name]}
        for budget, size in sizes.items():
            choice = found[name, size]
            answer = Answer(name, budget, choice, asked.ask, settings, asked.beside)
            made[name, budget] = prescription(answer, examples, ground, shown, clock)
    return made


def _streaming(asked: Asked) -> dict[str, tuple[Strategy, Ask]]:
    """The strategies that say what they need of a pool, each with its question."""
    return {
        name: (rule, replace(asked.ask, quotas=asked.quotas[name]))
        for name, rule in asked.rules.items()
        if isinstance(rule, Strategy)
    }


def choose_from(
    asked: Asked,
    sizes: Sequence[int],
    pool: EncodedPool,
    screen: Screen | None,
    limits: Limits | None = None,
) -> dict[tuple[str, int], Choice]:
    """Strategies that stream share one look at each shard; a user's own gets its arrays."""
    streaming = _streaming(asked)
    for _, question in streaming.values():
        if question.quotas is not None:
            refuse_strangers(question.quotas, pool.languages)
    found = choose(
        streaming,
        sizes,
        look_at(pool.shards) if screen is None else screen,
        pool.fetch if screen is None else screen.decided.fetch,
        near_duplicates=asked.near_duplicates,
        limits=limits,
        **({} if screen is None else CAUTIOUS),
    )
    own = {n: rule for n, rule in asked.rules.items() if not isinstance(rule, Strategy)}
    if own:
        found |= ask_own(own, sizes, asked.ask, pool, asked.aims.chooser.encodings, limits)
    return found


def choose_plainly(asked: Asked, pool: EncodedPool, size: int) -> dict[str, Choice]:
    """The choices of the strategies that need neither languages nor quotas."""
    rules = {n: r for n, r in asked.rules.items() if not (isinstance(r, Strategy) and r.needs)}
    size = min(size, pool.counts.eligible)
    exact = replace(asked, rules=rules, ask=seen_by(asked.ask, asked.aims.exact))
    found = choose_from(exact, [size], pool, None)
    return {name: found[name, size] for name in rules}
