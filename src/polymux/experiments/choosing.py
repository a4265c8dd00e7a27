"""Choose for an experiment: every strategy and budget, from one encoding of the pools."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polymux.encoders import Model
from polymux.experiments.pools import Setting
from polymux.experiments.settings import Experiment, Strategy
from polymux.folders import write_text
from polymux.prescribe import select_many
from polymux.records import Example, Pool


@dataclass(frozen=True, slots=True)
class Chosen:
    """What strategies chose."""

    ids: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    """By strategy and budget, best first."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By strategy: of the call that answered it, shared by all that it answered."""


def choose(
    experiment: Experiment,
    configuration: str,
    setting: Setting,
    model: Model,
    strategies: Sequence[str],
    budgets: Sequence[int],
    *,
    seed: int,
    exclude: Sequence[Example] = (),
    known: Chosen | None = None,
    store: Path | None = None,
) -> Chosen:
    """The choices of these strategies, and those that are `known`.

    Gold is left out where no target language has text for it.

    Strategies with the same options share one call. Those that copy the language counts of another
    (`like`) come last, and take the counts that it has for the same budget and seed.
    """
    made = Chosen() if known is None else Chosen(dict(known.ids), dict(known.seconds))
    plan = experiment.configurations[configuration].plan
    barred = [Pool.of(exclude, experiment.task, name="labelled")] if exclude else []
    shared: dict[str, Any] = {"seed": seed, "exclude": barred, "store": store}
    for names, rule in _together(experiment, strategies):
        named = {experiment.rule(name).strategy: name for name in names}
        if setting.gold is None:
            named.pop("gold", None)
        if not named:
            continue
        given: dict[str, Any] = _options(rule) | shared
        if "plan" in named:
            given["plan"] = plan
        if "gold" in named:
            given["gold"] = setting.gold
        for sizes, copied in _parts(made, rule, budgets):
            like = Counter(setting.by_id[one].language or "" for one in copied)
            began = time.perf_counter()
            found = select_many(
                model,
                setting.source,
                setting.target,
                budgets=sizes,
                strategies=list(named),
                like=dict(like) or None,
                **given,
            )
            took = time.perf_counter() - began
            for (strategy, budget), choice in found.items():
                made.ids[named[strategy], budget] = choice.ids
                made.seconds[named[strategy]] = took
    return made


def _together(
    experiment: Experiment, strategies: Sequence[str]
) -> Iterable[tuple[list[str], Strategy]]:
    """Names whose rules one call can answer; those that copy another come last."""
    groups: dict[str, list[str]] = {}
    for name in strategies:
        rule = experiment.rule(name)
        # Two names of one strategy cannot share a call, whatever their options.
        key = repr((rule.model_copy(update={"strategy": ""}), name in experiment.variants and name))
        groups.setdefault(key, []).append(name)
    found = [(names, experiment.rule(names[0])) for names in groups.values()]
    return sorted(found, key=lambda one: one[1].like is not None)


def _parts(
    made: Chosen, rule: Strategy, budgets: Sequence[int]
) -> Iterable[tuple[list[int], list[str]]]:
    """All budgets in one call, or each with the choice whose counts it copies."""
    if rule.like is None:
        return [(list(budgets), [])]
    return [([budget], made.ids[rule.like, budget]) for budget in budgets]


def _options(rule: Strategy) -> dict[str, Any]:
    return rule.model_dump(exclude={"strategy", "like"})


def read_choices(file: Path, of: Mapping[str, str], budgets: Sequence[int]) -> Chosen:
    """The choices that were kept of strategies made of the same (`of`), for all these budgets."""
    found = Chosen()
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for name, made_of in of.items():
        told = kept.get(name)
        if told and told["of"] == made_of and {str(b) for b in budgets} <= told["ids"].keys():
            found.seconds[name] = told["seconds"]
            found.ids.update({(name, budget): told["ids"][str(budget)] for budget in budgets})
    return found


def write_choices(file: Path, of: Mapping[str, str], made: Chosen) -> None:
    """Keep choices beside those of other strategies."""
    told: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    for name, seconds in made.seconds.items():
        ids = {str(budget): chosen for (one, budget), chosen in made.ids.items() if one == name}
        told[name] = {"of": of[name], "seconds": seconds, "ids": ids}
    write_text(file, json.dumps(told, ensure_ascii=False) + "\n", force=True)
