"""The main job: two pools in, a prescription out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from polymux.encoders import Model
from polymux.engines import opened
from polymux.errors import UsageError
from polymux.prescribe.asked import Asked, Quotas, Rules, choose_plainly, prescribe, seen_by
from polymux.prescribe.clock import Clock
from polymux.prescribe.costs import Budgeting, checked
from polymux.prescribe.ground import Aims, Barred
from polymux.prescribe.hashes import HashSet
from polymux.prescribe.plan import counts_of, read_plan
from polymux.prescribe.presets import PRESETS, Preset, measure_named, preset_named
from polymux.prescribe.recall import check_prefilter, narrowed
from polymux.prescribe.screen import SCREENS, calibrate, screening
from polymux.prescribe.spool import store_for
from polymux.progress import Progress
from polymux.records import Pool, Prescription
from polymux.selection import Ask, Strategy, check, find_strategy, refuse_missing

__all__ = ["DEFAULT_STRATEGY", "PRESETS", "SCREENS", "Options", "Preset", "select", "select_many"]

DEFAULT_STRATEGY = "knn-uncertainty"


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
    budget_in: str
    rates: Mapping[str, float]
    per: str
    at_least: Mapping[str, int]
    at_most: Mapping[str, int]
    without: Collection[str]
    one_of: str | None
    preset: str | None
    screen: str
    screen_only: bool
    engine: str
    ray_address: str | None
    workers: int | None
    prefilter: int | None
    prefilter_sample: int | None
    estimated: Mapping[str, Any] | None
    auto: Mapping[str, Any] | None
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
    budget_in: str = "examples",
    rates: Mapping[str, float] = {},
    per: str = "token",
    at_least: Mapping[str, int] = {},
    at_most: Mapping[str, int] = {},
    without: Collection[str] = (),
    one_of: str | None = None,
    preset: str | None = None,
    screen: str = "off",
    screen_only: bool = False,
    engine: str = "local",
    ray_address: str | None = None,
    workers: int | None = None,
    prefilter: int | None = None,
    prefilter_sample: int | None = None,
    estimated: Mapping[str, Any] | None = None,
    auto: Mapping[str, Any] | None = None,
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
    of one's own). A budget is in examples, tokens (words), characters, minutes or money, by
    `budget_in`; the last two by `rates`, what a language (`*`: any other) takes `per` example,
    token or character. `at_least` and `at_most` are examples a language, `without` the languages
    that nobody can annotate; of those that share the field `one_of` (`number`: the place in their
    file), as in parallel pools, one is chosen. What does not fit is passed over, and the ranking
    goes on. `screen` names a low precision (one of `SCREENS`) in which the whole pool is
    read; what may matter is then read again by `model` and decided there (not with `screen_only`).
    `prefilter` is how many source examples the model sees at all, those most like the target by
    their sub-words; what it loses is measured on `prefilter_sample` more (2,000 or four budgets;
    0: not measured). `estimated` is the record of an `estimate`, to stand beside the truth,
    `auto` that of a recommendation which was followed.
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
    costs = {"budget_in": budget_in, "rates": dict(rates), "per": per, "one_of": one_of}
    least_most = {"at_least": dict(at_least), "at_most": dict(at_most), "without": sorted(without)}
    budgeting = checked(budgets, Budgeting(**costs, **least_most))  # type: ignore[typeddict-item]
    _refuse_early(rules, source, quotas, gold)
    check_prefilter(prefilter, prefilter_sample, max(budgets) if budget_in == "examples" else None)
    low = screening(model, screen, rules, only=screen_only)
    clock = Clock()
    keep = store_for(store, spool, store_dtype)
    with keep as shelf, opened(engine, ray_address, workers) as hands:
        barred = Barred.by(exclude)
        with clock.stage("encode target"):
            if low is not None:
                calibrate(low, source, seed)
            aims = Aims.of(
                target, model, low, shelf, hands, decide=not screen_only, progress=progress
            )
        if exclude_target:
            barred.hashes.add(aims.exact.encodings.hashes)
        asked = Asked(
            rules,
            aims,
            seen_by(ask, aims.chooser),
            quotas,
            near_duplicates,
            budgeting,
            told={
                **budgeting,
                "near_duplicates": near_duplicates,
                "preset": preset,
                "engine": engine,
                "workers": workers,
                "exclude": list(barred.facts),
                "exclude_rejected": barred.rejected,
                "exclude_target": exclude_target,
                "store_dtype": store_dtype,
                "prefilter": prefilter,
                "prefilter_sample": prefilter_sample,
            },
            beside={"estimate": estimated, "auto": auto},
        )
        prefilters = {} if prefilter is None else {source: (prefilter, prefilter_sample)}
        pools = _pools(source, gold, rules)
        made = _answers(asked, pools, target, budgets, prefilters, barred.hashes, clock, progress)
        return {(name, budget): made[name, budget] for name in rules for budget in budgets}


def _answers(
    asked: Asked,
    pools: Sequence[tuple[Pool, Sequence[str]]],
    target: Pool,
    budgets: Sequence[int],
    prefilters: Mapping[Pool, tuple[int, int | None]],
    barred: HashSet,
    clock: Clock,
    progress: Progress | None,
) -> dict[tuple[str, int], Prescription]:
    """Every strategy's answers from the pool that it chooses from."""
    made: dict[tuple[str, int], Prescription] = {}
    for whole, names in pools:
        pool, these = whole, replace(asked, rules={name: asked.rules[name] for name in names})
        if whole in prefilters and "gold" not in names:
            pool, facts = narrowed(
                whole,
                target,
                asked.aims.exact,
                partial(choose_plainly, these),
                prefilters[whole],
                budget=max(budgets),
                budgeting=asked.budgeting,
                seed=asked.ask.seed,
                barred=barred,
                clock=clock,
                progress=progress,
            )
            these = replace(these, beside={**these.beside, "prefilter": facts})
        made |= prescribe(these, pool, budgets, barred, clock, progress)
    return made


def _pools(source: Pool, gold: Pool | None, rules: Rules) -> list[tuple[Pool, list[str]]]:
    """Which strategies choose from which pool."""
    if "gold" not in rules or gold is None:
        return [(source, list(rules))]
    others = [name for name in rules if name != "gold"]
    return [*([(source, others)] if others else []), (gold, ["gold"])]


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
