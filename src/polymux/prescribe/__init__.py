"""The main job: two pools in, a prescription out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np

from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.prescribe.answer import Answer, prescription
from polymux.prescribe.files import CARD_SAMPLE
from polymux.prescribe.ground import Clock, Ground, Sample
from polymux.prescribe.hashes import HashSet
from polymux.prescribe.own import ask_own
from polymux.prescribe.plan import counts_of, read_plan
from polymux.prescribe.pools import EncodedPool
from polymux.records import Pool, Prescription, content_hashes
from polymux.selection import (
    Ask,
    Choice,
    Nearest,
    OwnStrategy,
    Smallest,
    Strategy,
    Target,
    check,
    choose,
    drawn,
    find_strategy,
    refuse_missing,
)
from polymux.store import Store
from polymux.tasks import TASKS

__all__ = ["DEFAULT_STRATEGY", "PRESETS", "Options", "Preset", "select", "select_many"]

DEFAULT_STRATEGY = "knn-uncertainty"
Progress = Callable[[str, int, int | None], None]


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
    store: str | Path | None
    spool: str | Path | None
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Preset:
    """Another reading of the paper, under one name."""

    line: str
    measures: Mapping[str, str]
    aggregate: str
    more_than_budget: bool


PRESETS: dict[str, Preset] = {
    "released-code": Preset(
        "as the paper's released code reads it: log margins, |C| > B, a softmax per QA window",
        {
            "token-classification": "log-margin-min",
            "text-classification": "log-margin",
            "question-answering": "span-prob",
        },
        aggregate="surest",
        more_than_budget=True,
    )
}


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
    over what is nearer than that to an earlier choice. Encodings are kept in the folder `store`, or
    else spooled below `spool` (the system's place for temporary files) and deleted at the end.
    """
    clock = Clock()
    quotas = {name: _quotas(name, like, plan) for name in strategies}
    measure = _measure(model.task, uncertainty, preset)
    rules = {name: find_strategy(name) for name in strategies}
    asked = Ask(
        target=np.empty((0, 0)),
        target_hashes=np.empty((0, 2), dtype=np.uint64),
        target_languages=(),
        budget=min(budgets),
        depth=max(budgets),
        seed=seed,
        measure=measure,
        distance=distance,
        average=average,
        k=k,
        candidates=candidates,
        ratio=ratio,
        more_than_budget=preset is not None and PRESETS[preset].more_than_budget,
    )
    check(asked)
    _refuse_early(rules, source, quotas, gold)
    with _store(store, spool) as shelf:
        ground = _encode_both(
            model, source, target, exclude, exclude_target, shelf, seed, clock, progress
        )
        ask = replace(
            asked,
            target=ground.aim.embeddings,
            target_hashes=ground.aim.hashes,
            target_languages=tuple(ground.aim.languages or [None] * len(ground.aim)),
        )
        made: dict[tuple[str, int], Prescription] = {}
        pools = dict.fromkeys(rules, ground.source)
        if "gold" in rules and gold is not None:
            with clock.stage("encode gold"):
                pools["gold"] = EncodedPool(gold, model, shelf)
                pools["gold"].encode(_barred(exclude), progress=progress)
        sample: Sample | None = None
        for pool in dict.fromkeys([ground.source, *pools.values()]):
            here = {name: rules[name] for name in rules if pools[name] is pool}
            sizes = {budget: min(budget, pool.counts.eligible) for budget in budgets}
            with clock.stage("choose"):
                found = _ask_all(
                    here, sorted(set(sizes.values())), ask, quotas, pool, ground, near_duplicates
                )
            with clock.stage("explain"):
                wanted = [choice.rows for choice in found.values()]
                wanted += [ground.sample_rows] if sample is None else []
                examples = pool.examples(np.concatenate(wanted))
                sample = sample or Sample.of(ground, examples)
            for name in here:
                for budget, size in sizes.items():
                    answer = Answer(name, budget, found[name, size], pool, measure)
                    made[name, budget] = prescription(answer, examples, ground, sample, ask, clock)
        return {(name, budget): made[name, budget] for name in rules for budget in budgets}


def _ask_all(
    rules: Mapping[str, Strategy | OwnStrategy],
    sizes: Sequence[int],
    ask: Ask,
    quotas: Mapping[str, Mapping[str, int] | None],
    pool: EncodedPool,
    ground: Ground,
    near_duplicates: float | None,
) -> dict[tuple[str, int], Choice]:
    """Strategies that stream share one look at each shard; a user's own gets its arrays."""
    streaming = {
        name: (rule, replace(ask, quotas=quotas[name]))
        for name, rule in rules.items()
        if isinstance(rule, Strategy)
    }
    found = choose(streaming, sizes, pool.shards, pool.fetch, near_duplicates=near_duplicates)
    own = {name: rule for name, rule in rules.items() if not isinstance(rule, Strategy)}
    if own:
        found |= ask_own(own, sizes, ask, pool, ground.aim)
    return found


def _encode_both(
    model: Model,
    source: Pool,
    target: Pool,
    exclude: Sequence[Pool],
    exclude_target: bool,
    shelf: Store,
    seed: int,
    clock: Clock,
    progress: Progress | None,
) -> Ground:
    """The target sample, then the source; what the card wants is seen on the way."""
    barred = _barred(exclude)
    with clock.stage("encode target"):
        encoded_target = EncodedPool(target, model, shelf)
        encoded_target.encode(HashSet(), progress=progress)
        aim = encoded_target.all()
        examples = encoded_target.examples(aim.rows)
    aimed = HashSet()
    aimed.add(aim.hashes)
    if exclude_target:
        barred.add(aim.hashes)
    measured = Target.of(aim.embeddings)
    sample = Smallest(CARD_SAMPLE, drawn(seed, "card"))
    nearest = Nearest(1, measured, TASKS[model.task].DEFAULT_MEASURE)
    with clock.stage("encode source"):
        encoded_source = EncodedPool(source, model, shelf)
        encoded_source.encode(
            barred, overlap=aimed, see=(sample.see, nearest.see), progress=progress
        )
    return Ground(
        source=encoded_source,
        target=encoded_target,
        aim=aim,
        aim_examples=tuple(examples[int(row)] for row in aim.rows),
        measured=measured,
        sample_rows=sample.rows,
        nearest_in_pool=nearest.distances[:, 0],
    )


def _barred(pools: Sequence[Pool]) -> HashSet:
    """Content hashes of examples that may not be chosen; reading them takes no model."""
    barred = HashSet()
    for pool in pools:
        for shard in pool.shards():
            barred.add(content_hashes(shard.examples))
    return barred


def _measure(task: str, uncertainty: str | None, preset: str | None) -> str:
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}", f"choose one of: {', '.join(PRESETS)}")
    measures = TASKS[task].MEASURES
    if uncertainty is not None and uncertainty not in measures:
        raise UsageError(
            f"there is no uncertainty {uncertainty!r} for {task}",
            f"choose one of: {', '.join(measures)}",
        )
    if uncertainty is None and preset is not None:
        return PRESETS[preset].measures[task]
    return uncertainty or TASKS[task].DEFAULT_MEASURE


def _quotas(
    strategy: str, like: str | Path | None, plan: str | Path | Mapping[str, int] | None
) -> Mapping[str, int] | None:
    if strategy == "same-distribution" and like is not None:
        return counts_of(like)
    if strategy == "plan" and plan is not None:
        return plan if isinstance(plan, Mapping) else read_plan(plan)
    return None


def _refuse_early(
    rules: Mapping[str, Strategy | OwnStrategy],
    source: Pool,
    quotas: Mapping[str, Mapping[str, int] | None],
    gold: Pool | None,
) -> None:
    """Whatever can be seen before the model runs."""
    languages = any(e.language is not None for e in next(source.shards()).examples)
    for name, rule in rules.items():
        if isinstance(rule, Strategy):
            given = {
                "languages": languages,
                "quotas": quotas[name] is not None,
                "gold": gold is not None,
            }
            refuse_missing(name, rule, given)


@contextmanager
def _store(folder: str | Path | None, spool: str | Path | None) -> Iterator[Store]:
    if folder is not None:
        yield Store(Path(folder))
        return
    with tempfile.TemporaryDirectory(prefix="polymux-spool-", dir=spool) as place:
        yield Store(Path(place))
