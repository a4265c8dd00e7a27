"""The main job: two pools in, a prescription out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from polymux.encoders import Model
from polymux.engines import opened
from polymux.errors import UsageError
from polymux.prescribe.answer import Answer, prescription
from polymux.prescribe.card import MAP_POINTS
from polymux.prescribe.clock import Clock
from polymux.prescribe.ground import Aim, Barred, Ground, Sample
from polymux.prescribe.own import ask_own
from polymux.prescribe.plan import counts_of, read_plan, refuse_strangers
from polymux.prescribe.presets import PRESETS, Preset, measure_named, preset_named
from polymux.prescribe.screen import CAUTIOUS, SCREENS, refuse_screen, screening
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

__all__ = ["DEFAULT_STRATEGY", "PRESETS", "SCREENS", "Options", "Preset", "select", "select_many"]

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
    like: str | Path | Mapping[str, int] | None
    plan: str | Path | Mapping[str, int] | None
    distance: str
    average: str
    k: int
    candidates: float | None
    ratio: float
    near_duplicates: float | None
    preset: str | None
    screen: str
    screen_only: bool
    engine: str
    ray_address: str | None
    workers: int | None
    store: str | Path | None
    store_dtype: str
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
    like: str | Path | Mapping[str, int] | None = None,
    plan: str | Path | Mapping[str, int] | None = None,
    distance: str = "l2",
    average: str = "mean",
    k: int = 1,
    candidates: float | None = None,
    ratio: float = 10.0,
    near_duplicates: float | None = None,
    preset: str | None = None,
    screen: str = "off",
    screen_only: bool = False,
    engine: str = "local",
    ray_address: str | None = None,
    workers: int | None = None,
    store: str | Path | None = None,
    store_dtype: str = "float32",
    spool: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[tuple[str, int], Prescription]:
    """Choose by several strategies and budgets from one encoding pass; keys (strategy, budget).

    `uncertainty` names a measure of the task (DeMuX 3.2; its default without). `exclude` holds
    examples that may not be chosen, `exclude_target` those of the target sample too. `gold` is the
    labelled-language pool that gold draws from, `like` a folder written by `select` (or its counts
    per language), `plan` such counts or their CSV file. `distance` is l2 or cosine; `average`
    (average-dist) mean or macro; `k` the first k and `candidates` how many budgets the smallest k
    must reach (knn-uncertainty); `ratio` how many budgets uncertainty-knn looks at;
    `near_duplicates` passes over what is nearer than that to an earlier choice (not for strategies
    of one's own). `screen` names a low precision (one of `SCREENS`) in which the whole pool is
    read; what may matter is then read again by `model` and decided there (not with `screen_only`).
    `engine` says who encodes, local or ray (`workers` of them, on the cluster at `ray_address` if
    that is given), and does not change the choice. Encodings are kept in the folder `store`, or
    else spooled below `spool` (the system's place for temporary files) and deleted at the end;
    their embeddings as `store_dtype`, float32 or float16, and the choice is made from what is kept.
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
    low = screening(model, screen)
    if low is not None:
        refuse_screen(rules)
    elif screen_only:
        raise UsageError("--screen-only without a screen", "name one: --screen auto")
    clock = Clock()
    sample = max(MAP_POINTS, *budgets)
    keep = store_for(store, spool, store_dtype)
    with keep as shelf, opened(engine, ray_address, workers) as hands:
        barred = Barred.by(exclude)
        with clock.stage("encode target"):
            aim = Aim.of(target, model, shelf, hands, progress)
            screened = aim if low is None else Aim.of(target, low, shelf, hands, progress)
        if exclude_target:
            barred.hashes.add(aim.encodings.hashes)
        ask = replace(
            ask,
            target=aim.encodings.embeddings,
            target_hashes=aim.encodings.hashes,
            target_languages=tuple(aim.encodings.languages or [None] * len(aim.encodings)),
            product=aim.measured.product,
        )
        told = {
            "near_duplicates": near_duplicates,
            "preset": preset,
            "engine": engine,
            "workers": workers,
            "exclude": list(barred.facts),
            "exclude_rejected": barred.rejected,
            "exclude_target": exclude_target,
            "store_dtype": store_dtype,
        }
        judge = aim
        if screen_only:
            # The choice is the low-precision model's own; the other one only judges a sample of it.
            aim = screened
            ask = replace(ask, target=aim.encodings.embeddings)
        made: dict[tuple[str, int], Prescription] = {}
        for pool, names in _pools(source, gold, rules).items():
            with clock.stage(f"encode {pool.name}"):
                ground = Ground.of(
                    pool,
                    aim,
                    barred.hashes,
                    read_as=screened,
                    judge=judge,
                    sample=sample,
                    seed=seed,
                    progress=progress,
                )
            asked = _Asked({n: rules[n] for n in names}, ask, quotas, near_duplicates, told)
            made |= _prescribe(asked, ground, budgets, clock)
        return {(name, budget): made[name, budget] for name in rules for budget in budgets}


@dataclass(frozen=True, eq=False)
class _Asked:
    """All that is asked of one pool."""

    rules: Rules
    ask: Ask
    quotas: Quotas
    near_duplicates: float | None
    told: Mapping[str, Any]
    """Settings for the manifest."""


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
        found = _choose(asked, sorted(set(sizes.values())), ground)
    with clock.stage("explain"):
        wanted = [choice.rows for choice in found.values()]
        examples = ground.pool.examples(np.concatenate([*wanted, ground.sample_rows]))
        sample = Sample.of(ground, examples)
    made = {}
    for name in asked.rules:
        settings = {**asked.told, "quotas": asked.quotas[name]}
        for budget, size in sizes.items():
            answer = Answer(name, budget, found[name, size], asked.ask, settings)
            made[name, budget] = prescription(answer, examples, ground, sample, clock)
    return made


def _choose(asked: _Asked, sizes: Sequence[int], ground: Ground) -> dict[tuple[str, int], Choice]:
    """Strategies that stream share one look at each shard; a user's own gets its arrays."""
    pool = ground.pool
    streaming = {
        name: (rule, replace(asked.ask, quotas=asked.quotas[name]))
        for name, rule in asked.rules.items()
        if isinstance(rule, Strategy)
    }
    for _, question in streaming.values():
        if question.quotas is not None:
            refuse_strangers(question.quotas, pool.languages)
    found = choose(
        streaming,
        sizes,
        ground.look,
        ground.fetch,
        near_duplicates=asked.near_duplicates,
        **({} if ground.screen is None else CAUTIOUS),
    )
    if ground.trial is not None:
        ground.trial.judge(streaming, sizes)
    own = {n: rule for n, rule in asked.rules.items() if not isinstance(rule, Strategy)}
    if own:
        found |= ask_own(own, sizes, asked.ask, pool, ground.aim.encodings)
    return found


def _quotas(
    rules: Rules,
    like: str | Path | Mapping[str, int] | None,
    plan: str | Path | Mapping[str, int] | None,
) -> Quotas:
    """Counts per language by strategy; what nobody would use is refused."""
    given = {"same-distribution": ("--like", like), "plan": ("--plan", plan)}
    for name, (option, value) in given.items():
        if value is not None and name not in rules:
            raise UsageError(f"{option} is for the strategy {name}", f"add {name} to --strategy")
    quotas: dict[str, Mapping[str, int] | None] = dict.fromkeys(rules)
    if like is not None:
        quotas["same-distribution"] = like if isinstance(like, Mapping) else counts_of(like)
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
