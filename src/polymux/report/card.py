"""The card of a choice: what was chosen, from what, for what, how, and what to be careful of."""

from __future__ import annotations

from typing import Literal, TypedDict

import numpy as np

from polymux.report import charts, words
from polymux.report.facts import Choice, Facts, Languages, Source
from polymux.report.map import drawing
from polymux.report.pages import rendered

# A smaller target sample is a matter of luck.
_SMALL_TARGET = 50
_GROUPS: tuple[Literal["pool"], Literal["chosen"]] = ("pool", "chosen")
_REACH: tuple[Literal["pool"], Literal["chosen"], Literal["random"]] = ("pool", "chosen", "random")


class LanguageRow(TypedDict):
    """One language, in the pool and among the chosen."""

    name: str
    pool: int
    chosen: int
    pool_share: float
    chosen_share: float


def card(facts: Facts) -> str:
    """One self-contained page that asks no host for anything and runs no script but its own.

    Args:
        facts: What the card says, see `polymux.report.facts`.
    """
    chosen = len(facts["uncertainty"]["chosen"])
    languages = _languages(facts["languages"])
    return rendered(
        "card.html",
        "card.css",
        script="card.js",
        facts=facts,
        chosen=chosen,
        pool=_usable(facts["source"]),
        target=_usable(facts["target"]),
        cautions=_cautions(facts, languages),
        map=drawing(facts["map"]["points"]),
        languages=languages,
        coverage=charts.curves({name: facts["coverage"][name] for name in _REACH}),
        reach=_reach(facts),
        uncertainty=charts.histogram({g: facts["uncertainty"][g] for g in _GROUPS}),
        distance=charts.histogram({g: facts["distance"][g] for g in _GROUPS}),
        first=list(zip(facts["first"], _standing(facts), strict=True)),
    )


def _usable(source: Source) -> int:
    return source["read"] - source["duplicates"] - source["excluded"]


def _languages(languages: Languages | None) -> list[LanguageRow]:
    """The most chosen first; shares are of the pool and of the choice."""
    if languages is None:
        return []
    pool, chosen = languages["pool"], languages["chosen"]
    in_pool, in_choice = max(sum(pool.values()), 1), max(sum(chosen.values()), 1)
    rows = [
        LanguageRow(
            name=name,
            pool=pool.get(name, 0),
            chosen=chosen.get(name, 0),
            pool_share=pool.get(name, 0) / in_pool,
            chosen_share=chosen.get(name, 0) / in_choice,
        )
        for name in sorted({*pool, *chosen})
    ]
    return sorted(rows, key=lambda row: (-row["chosen"], -row["pool"]))


def _reach(facts: Facts) -> dict[str, tuple[float, float]]:
    """How near the nearest example is to half, and to nine tenths, of the target."""
    return {
        name: (float(np.quantile(values, 0.5)), float(np.quantile(values, 0.9)))
        for name in _REACH
        if len(values := facts["coverage"][name])
    }


def _cautions(facts: Facts, languages: list[LanguageRow]) -> list[str]:
    """What a careful person would say of these numbers, beside the warnings."""
    said = []
    target = _usable(facts["target"])
    if target < _SMALL_TARGET:
        said.append(
            f"The target sample is small ({words.count(target, 'example')}): another sample "
            "could have led to another choice."
        )
    reach = _reach(facts)
    if {"chosen", "random"} <= reach.keys():
        half, most = (reach["chosen"][i] >= reach["random"][i] for i in range(2))
        if half:
            said.append("The choice lies no nearer to the target than a random one would.")
        elif most and target > 1:
            said.append("The target's outliers lie farther from the choice than from a random one.")
    if len(languages) > 1 and languages[0]["chosen_share"] > 0.5:
        share = words.percent(languages[0]["chosen_share"])
        said.append(f"{share} of the choice is in one language.")
    return said


def _standing(facts: Facts) -> list[tuple[float, float]]:
    """For each of the first choices: the share of the pool surer, and that farther, than it."""
    pool = facts["uncertainty"]["pool"], facts["distance"]["pool"]
    unsure, far = (np.sort(np.asarray(values, dtype=np.float64)) for values in pool)

    def share(choice: Choice) -> tuple[float, float]:
        surer = int(np.searchsorted(unsure, choice["uncertainty"], "left"))
        farther = len(far) - int(np.searchsorted(far, choice["distance"], "right"))
        return surer / max(len(unsure), 1), farther / max(len(far), 1)

    return [share(choice) for choice in facts["first"]]
