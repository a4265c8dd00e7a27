"""The main job: two pools in, a prescription out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.prescribe.answer import Answer, prescription
from polymux.prescribe.card import MAP_POINTS
from polymux.prescribe.clock import Clock
from polymux.prescribe.ground import Aim, Ground, Sample, barred_by
from polymux.prescribe.own import ask_own
from polymux.prescribe.plan import counts_of, read_plan, refuse_strangers
from polymux.prescribe.pools import EncodedPool
from polymux.prescribe.presets import PRESETS, Preset, measure_named, preset_named
from polymux.prescribe.recall import check_prefilter, narrowed
from polymux.prescribe.spool import store_for
from polymux.progress import Progress
from polymux.records import Pool, Prescription
from polymux.selection import (
    Ask,
    Choice,
    OwnStrategy,
    Strategy,
    check,
    choose,
    find_strategy,
    refuse_missing,
)

__all__ = ["DEFAULT_STRATEGY", "PRESETS", "Options", "Preset", "select", "select_many"]

DEFAULT_STRATEGY = "knn-uncertainty"
Quotas = Mapping[str, Mapping[str, int] | None]
Rules = Mapping[str, Strategy | OwnStrategy]


class Options(TypedDict, total=False):
    """How to choose, beyond strategy and budget; the defaults stand in `select_many`."""

    seed: int
    uncertainty: str | None
    exclude: Sequence[Pool]
    exclude_target: bool
    gold: Pool | None
    like: str | Path | None
    plan: str | Path | Mapping[str, int] | None
    distance: str
    average: str
    k: int
    candidates: float | None
    ratio: float
    near_duplicates: float | None
    preset: str | None
    prefilter: int | None
    prefilter_sample: int | None
    estimated: Mapping[str, Any] | None
    store: str | Path | None
    spool: str | Path | None
    progress: Progress | None


def select(
    model: Model,
    source: Pool,
    target: Pool,
    *,
    budget: int,
    strategy: str = DEFAULT_STRATEGY,
    **options: Unpack[Options],
) -> Prescription:
    """Choose which `budget` source examples to label, for this model and this target sample.

    Both pools are unlabelled; both pass through the model once (DeMuX section 3). The other options
    are those of `select_many`. Raises UserError for input that cannot be used, WorkError when the
    work fails.
    """
    made = select_many(model, source, target, budgets=[budget], strategies=[strategy], **options)
    return made[strategy, budget]


def select_many(
    model: Model,
    source: Pool,
    target: Pool,
    *,
    budgets: Sequence[int],
    strategies: Sequence[str] = (DEFAULT_STRATEGY,),
    seed: int = 0,
    uncertainty: str | None = None,
    exclude: Sequence[Pool] = (),
    exclude_target: bool = False,
    gold: Pool | None = None,
    like: str | Path | None = None,
    plan: str | Path | Mapping[str, int] | None = None,
    distance: str = "l2",
    average: str = "mean",
    k: int = 1,
    candidates: float | None = None,
    ratio: float = 10.0,
    near_duplicates: float | None = None,
    preset: str | None = None,
    prefilter: int | None = None,
    prefilter_sample: int | None = None,
    estimated: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    spool: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[tuple[str, int], Prescription]:
    """Choose by several strategies and budgets from one encoding pass; keys (strategy, budget).

    `uncertainty` names a measure of the task (DeMuX 3.2; its default without). `exclude` holds
    examples that may not be chosen, `exclude_target` those of the target sample too. `gold` is the
    labelled-language pool that gold draws from, `like` a folder written by `select`, `plan` counts
    per language or their CSV file. `distance` is l2 or cosine; `average` (average-dist) mean or
    macro; `k` the first k and `candidates` how many budgets the smallest k must reach
    (knn-uncertainty); `ratio` how many budgets uncertainty-knn looks at; `near_duplicates` passes
    over what is nearer than that to an earlier choice (not for strategies of one's own).
    `prefilter` is how many source examples the model sees at all, those most like the target by
    their sub-words; what it loses is measured on `prefilter_sample` more (2,000 or four budgets;
    0: not measured). `estimated` is the record of an `estimate`, to stand beside the truth.
    Encodings are kept in the folder `store`, or else spooled below `spool` (the system's place for
    temporary files) and deleted at the end.
    """
    reading = preset_named(preset, model)
    rules = {name: find_strategy(name) for name in strategies}
    quotas = _quotas(rules, like, plan)
    ask = Ask(
        target=np.empty((0, 0)),
        target_hashes=np.empty((0, 2), dtype=np.uint64),
        target_languages=(),
        budget=min(budgets),
        depth=max(budgets),
        seed=seed,
        measure=measure_named(uncertainty, model.task, reading),
        distance=distance,
        average=average,
        k=k,
        candidates=candidates,
        ratio=ratio,
        more_than_budget=reading is not None and reading.more_than_budget,
    )
    check(ask, near_duplicates)
    _refuse_early(rules, source, quotas, gold)
    check_prefilter(prefilter, prefilter_sample, max(budgets))
    clock = Clock()
    sample = max(MAP_POINTS, *budgets)
    with store_for(store, spool) as shelf:
        barred, left_out = barred_by(exclude)
        with clock.stage("encode target"):
            aim = Aim.of(target, model, shelf, progress)
        if exclude_target:
            barred.add(aim.encodings.hashes)
        ask = replace(
            ask,
            target=aim.encodings.embeddings,
            target_hashes=aim.encodings.hashes,
            target_languages=tuple(aim.encodings.languages or [None] * len(aim.encodings)),
        )
        told = {
            "near_duplicates": near_duplicates,
            "preset": preset,
            "exclude": [pool.how for pool in exclude],
            "exclude_rejected": left_out,
            "exclude_target": exclude_target,
            "prefilter": prefilter,
            "prefilter_sample": prefilter_sample,
        }
        made: dict[tuple[str, int], Prescription] = {}
        for pool, names in _pools(source, gold, rules).items():
            asked = _Asked({n: rules[n] for n in names}, aim, ask, quotas, near_duplicates, told)
            beside: dict[str, Any] = {"estimate": estimated}
            if prefilter is not None and pool is source:
                pool, beside["prefilter"] = narrowed(
                    source,
                    target,
                    aim,
                    partial(_plainly, asked),
                    keep=prefilter,
                    sample=prefilter_sample,
                    budget=max(budgets),
                    seed=seed,
                    barred=barred,
                    clock=clock,
                    progress=progress,
                )
            with clock.stage(f"encode {pool.name}"):
                ground = Ground.of(pool, aim, barred, sample=sample, seed=seed, progress=progress)
            made |= _prescribe(replace(asked, beside=beside), ground, budgets, clock)
        return {(name, budget): made[name, budget] for name in rules for budget in budgets}


@dataclass(frozen=True, eq=False)
class _Asked:
    """All that is asked of one pool."""

    rules: Rules
    aim: Aim
    ask: Ask
    quotas: Quotas
    near_duplicates: float | None
    told: Mapping[str, Any]
    """Settings for the manifest."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """For the manifest, by name: what the prefilter found, what was estimated."""


def _pools(source: Pool, gold: Pool | None, rules: Rules) -> dict[Pool, list[str]]:
    """Which strategies choose from which pool."""
    if "gold" not in rules or gold is None:
        return {source: list(rules)}
    others = [name for name in rules if name != "gold"]
    return {source: others, gold: ["gold"]} if others else {gold: ["gold"]}


def _prescribe(
    asked: _Asked, ground: Ground, budgets: Sequence[int], clock: Clock
) -> dict[tuple[str, int], Prescription]:
    """Every strategy's answer for every budget, from one pool, with reasons."""
    sizes = {budget: min(budget, ground.pool.counts.eligible) for budget in budgets}
    with clock.stage("choose"):
        found = _choose(asked, sorted(set(sizes.values())), ground.pool)
    with clock.stage("explain"):
        wanted = [choice.rows for choice in found.values()]
        examples = ground.pool.examples(np.concatenate([*wanted, ground.sample_rows]))
        sample = Sample.of(ground, examples)
    made = {}
    for name in asked.rules:
        settings = {**asked.told, "quotas": asked.quotas[name]}
        for budget, size in sizes.items():
            choice = found[name, size]
            answer = Answer(name, budget, choice, asked.ask, settings, asked.beside)
            made[name, budget] = prescription(answer, examples, ground, sample, clock)
    return made


def _choose(
    asked: _Asked, sizes: Sequence[int], pool: EncodedPool
) -> dict[tuple[str, int], Choice]:
    """Strategies that stream share one look at each shard; a user's own gets its arrays."""
    streaming = {
        name: (rule, replace(asked.ask, quotas=asked.quotas[name]))
        for name, rule in asked.rules.items()
        if isinstance(rule, Strategy)
    }
    for _, question in streaming.values():
        if question.quotas is not None:
            refuse_strangers(question.quotas, pool.languages)
    found = choose(streaming, sizes, pool.shards, pool.fetch, near_duplicates=asked.near_duplicates)
    own = {n: rule for n, rule in asked.rules.items() if not isinstance(rule, Strategy)}
    if own:
        found |= ask_own(own, sizes, asked.ask, pool, asked.aim.encodings)
    return found


def _plainly(asked: _Asked, pool: EncodedPool, size: int) -> dict[str, Choice]:
    """The choices of the strategies that need neither languages nor quotas."""
    rules = {n: r for n, r in asked.rules.items() if not (isinstance(r, Strategy) and r.needs)}
    size = min(size, pool.counts.eligible)
    found = _choose(replace(asked, rules=rules), [size], pool)
    return {name: found[name, size] for name in rules}


def _quotas(
    rules: Rules, like: str | Path | None, plan: str | Path | Mapping[str, int] | None
) -> Quotas:
    """Counts per language by strategy; what nobody would use is refused."""
    given = {"same-distribution": ("--like", like), "plan": ("--plan", plan)}
    for name, (option, value) in given.items():
        if value is not None and name not in rules:
            raise UsageError(f"{option} is for the strategy {name}", f"add {name} to --strategy")
    quotas: dict[str, Mapping[str, int] | None] = dict.fromkeys(rules)
    if like is not None:
        quotas["same-distribution"] = counts_of(like)
    if plan is not None:
        quotas["plan"] = plan if isinstance(plan, Mapping) else read_plan(plan)
    return quotas


def _refuse_early(rules: Rules, source: Pool, quotas: Quotas, gold: Pool | None) -> None:
    """Whatever can be seen before the model runs."""
    if gold is not None and "gold" not in rules:
        raise UsageError("--gold is for the strategy gold", "add gold to --strategy")
    streaming = {name: rule for name, rule in rules.items() if isinstance(rule, Strategy)}
    # Reading stops at the first example with a language; only pools without any are read whole.
    languages = any("languages" in rule.needs for rule in streaming.values()) and any(
        example.language is not None for example in source
    )
    for name, rule in streaming.items():
        given = {
            "languages": languages,
            "quotas": quotas[name] is not None,
            "gold": gold is not None,
        }
        refuse_missing(name, rule, given)
